#ifndef CLIBTORRENT_SESSION_HPP
#define CLIBTORRENT_SESSION_HPP

#include "failure.hpp"

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/bitfield.hpp>
#include <libtorrent/client_data.hpp>
#include <libtorrent/info_hash.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/settings_pack.hpp>
#include <libtorrent/socket.hpp>
#include <libtorrent/torrent_handle.hpp>
#include <libtorrent/torrent_info.hpp>
#include <libtorrent/units.hpp>

#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

struct clt_settings {
    lt::settings_pack pack;
};

/// A peer that could not be reached so often is given up. libtorrent counts to 31.
constexpr int max_failures = 30;

/// The settings of a new session.
lt::settings_pack default_settings();

/// Sets what the façade itself depends on.
void set_required(lt::settings_pack& pack);

/// What is known of one torrent without asking libtorrent.
struct torrent_record {
    enum class stage {
        /// No handle yet.
        adding,
        present,
        /// Removed from the session to be added once more with the metadata as a file: see event_pump::replace().
        replacing,
        /// Not there any more for the caller; the number is taken until libtorrent says that the torrent is gone.
        leaving,
    };

    stage now = stage::adding;
    /// Whether the caller wants the files deleted.
    bool deletes_files = false;
    /// Whether libtorrent was told to delete files, which it will answer.
    bool expects_deletion = false;
    /// Whether it was removed to be added once more, and that answer is still to come.
    bool is_replaced = false;
    /// Whether #CLT_EVENT_ADDED has been sent.
    bool is_announced = false;
    lt::torrent_handle handle;
    /// Null until the metadata is there.
    std::shared_ptr<const lt::torrent_info> metadata;
    /// The pieces whose hash is right. Empty until the files have been looked at, and while they are looked at again.
    lt::typed_bitfield<lt::piece_index_t> have;
    /// How often it was made to go on after hashes of both versions seemed not to agree.
    int reconciliations = 0;
    /// What it was added with, while its metadata is awaited.
    std::unique_ptr<lt::add_torrent_params> parameters;
};

struct pending_deletion {
    lt::info_hash_t hashes;
    uint64_t number;
    /// Whether the caller waits for it.
    bool is_asked;
};

struct clt_session {
    explicit clt_session(lt::session_params parameters)
        : session{ std::make_unique<lt::session>(std::move(parameters)) } {}

    std::mutex mutex;
    /// Under the mutex, as the next are. Null once the session is closing.
    std::unique_ptr<lt::session> session;
    /// Under the mutex.
    std::unordered_map<uint64_t, torrent_record> torrents;

    /// Of the polling thread alone, as the next is.
    std::vector<lt::alert*> alerts;
    /// Deletions that libtorrent has not answered yet, in order. The answer has the info-hash only.
    std::deque<pending_deletion> deletions;
};

/// Parts of a record, to be used without the mutex: handles are weak and say so when their torrent has gone.
struct present_torrent {
    lt::torrent_handle handle;
    std::shared_ptr<const lt::torrent_info> metadata;
};

/// Throws #CLT_NO_TORRENT.
present_torrent find(clt_session& session, uint64_t number);
/// Throws #CLT_NO_TORRENT or #CLT_NO_METADATA.
present_torrent find_with_metadata(clt_session& session, uint64_t number);
/// Whether the piece can be read. Throws #CLT_NO_TORRENT, #CLT_NO_METADATA, #CLT_INVALID if there is no such piece.
bool has_piece(clt_session& session, uint64_t number, int32_t piece);
/// Throws #CLT_INVALID.
lt::piece_index_t checked_piece(const present_torrent& torrent, int32_t piece);

/// The session, which may be used as long as the caller has the mutex. Throws #CLT_CLOSED.
lt::session& open_session(clt_session& session);

/// Tells libtorrent to remove a torrent whose record has a handle. The caller has the mutex and has set the stage.
void remove_from_libtorrent(clt_session& session, torrent_record& record, bool deletes_files);

/// The number of a torrent travels through libtorrent as a pointer that is never followed.
lt::client_data_t client_data_of(uint64_t number);
/// 0 if the torrent has gone.
uint64_t number_of(lt::client_data_t data);

lt::tcp::endpoint endpoint_of(const clt_endpoint& endpoint);
clt_endpoint endpoint_of(const lt::tcp::endpoint& endpoint);

#endif
