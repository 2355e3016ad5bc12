#ifndef CLIBTORRENT_FAILURE_HPP
#define CLIBTORRENT_FAILURE_HPP

#include "build.hpp"
#include "clibtorrent.h"

#include <libtorrent/error_code.hpp>

#include <new>

/// Thrown to leave a function of the façade with a code.
struct failure {
    clt_code code;
};

inline void require(bool condition, clt_code code = CLT_INVALID) {
    if (!condition)
        throw failure{ code };
}

inline clt_code code_of(const lt::error_code& error) noexcept {
    // What a handle throws whose torrent has gone.
    if (error == lt::errors::invalid_torrent_handle)
        return CLT_NO_TORRENT;
    if (error == lt::errors::invalid_session_handle || error == lt::errors::session_is_closing)
        return CLT_CLOSED;
    return CLT_INTERNAL;
}

/// Runs `body` and turns what it throws into a code.
template <typename Body>
clt_code guarded(Body body) noexcept {
    try {
        body();
        return CLT_OK;
    } catch (const failure& cause) {
        return cause.code;
    } catch (const std::bad_alloc&) {
        return CLT_NO_MEMORY;
    } catch (const lt::system_error& cause) {
        return code_of(cause.code());
    } catch (...) {
        return CLT_INTERNAL;
    }
}

#endif
