#include "session.hpp"

#include <libtorrent/address.hpp>
#include <libtorrent/ip_filter.hpp>
#include <libtorrent/mmap_disk_io.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/torrent_status.hpp>

#include <cstring>

namespace {

lt::address address_of(const uint8_t (&bytes)[16], bool is_v6) {
    if (is_v6) {
        lt::address_v6::bytes_type v6;
        std::memcpy(v6.data(), bytes, v6.size());
        return lt::address_v6{ v6 };
    }
    lt::address_v4::bytes_type v4;
    std::memcpy(v4.data(), bytes, v4.size());
    return lt::address_v4{ v4 };
}

lt::ip_filter filter_of(const clt_address_range* blocked, size_t count) {
    lt::ip_filter filter;
    for (size_t index = 0; index < count; index++) {
        const clt_address_range& range = blocked[index];
        const lt::address first = address_of(range.first, range.is_v6 != 0);
        const lt::address last = address_of(range.last, range.is_v6 != 0);
        require(first <= last);
        filter.add_rule(first, last, lt::ip_filter::blocked);
    }
    return filter;
}

}  // namespace

lt::tcp::endpoint endpoint_of(const clt_endpoint& endpoint) {
    return { address_of(endpoint.address, endpoint.is_v6 != 0), endpoint.port };
}

clt_endpoint endpoint_of(const lt::tcp::endpoint& endpoint) {
    clt_endpoint made{};
    made.port = endpoint.port();
    if (endpoint.address().is_v6()) {
        const auto bytes = endpoint.address().to_v6().to_bytes();
        made.is_v6 = 1;
        std::memcpy(made.address, bytes.data(), bytes.size());
    } else {
        const auto bytes = endpoint.address().to_v4().to_bytes();
        std::memcpy(made.address, bytes.data(), bytes.size());
    }
    return made;
}

extern "C" clt_code clt_session_new(
    const clt_settings* settings, const clt_address_range* blocked, size_t blocked_count, void (*notify)(void*),
    void* context, clt_session** session) noexcept {
    return guarded([&] {
        require(session != nullptr);
        *session = nullptr;
        require(settings != nullptr && (blocked != nullptr || blocked_count == 0));
        lt::settings_pack pack = settings->pack;
        set_required(pack);
        lt::session_params parameters{ std::move(pack) };
        // Reads, writes and hashes on threads of its own; set_required() keeps it from mapping files.
        parameters.disk_io_constructor = lt::mmap_disk_io_constructor;
        parameters.ip_filter = filter_of(blocked, blocked_count);
        auto made = std::make_unique<clt_session>(std::move(parameters));
        if (notify != nullptr)
            made->session->set_alert_notify([notify, context] { notify(context); });
        *session = made.release();
    });
}

lt::session& open_session(clt_session& session) {
    require(session.session != nullptr, CLT_CLOSED);
    return *session.session;
}

extern "C" clt_code clt_session_apply(clt_session* session, const clt_settings* settings) noexcept {
    return guarded([&] {
        require(settings != nullptr);
        lt::settings_pack pack = settings->pack;
        set_required(pack);
        const std::lock_guard<std::mutex> lock{ session->mutex };
        open_session(*session).apply_settings(std::move(pack));
    });
}

extern "C" void clt_session_close(clt_session* session) noexcept {
    if (session == nullptr)
        return;
    guarded([&] {
        std::unique_ptr<lt::session> ending;
        {
            const std::lock_guard<std::mutex> lock{ session->mutex };
            ending = std::move(session->session);
            session->torrents.clear();
        }
        if (ending == nullptr)
            return;
        ending->set_alert_notify({});
        // Waits for the session's threads when it goes out of scope.
        const lt::session_proxy proxy = ending->abort();
        ending.reset();
    });
}

extern "C" void clt_session_free(clt_session* session) noexcept {
    clt_session_close(session);
    delete session;
}

extern "C" clt_code clt_session_post_status(clt_session* session) noexcept {
    return guarded([&] {
        const std::lock_guard<std::mutex> lock{ session->mutex };
        open_session(*session).post_torrent_updates(lt::status_flags_t{});
    });
}
