#include "session.hpp"

#include <libtorrent/alert.hpp>

#include <limits>

namespace {

using lt::settings_pack;

struct setting {
    int name;
    int value;
};

/// What differs from libtorrent's defaults, each with its reason.
constexpr setting settings[] = {
    // Seeds are kept when nothing is wanted for a moment. Without this a seek reconnects, and the third waits a minute.
    { settings_pack::close_redundant_connections, false },
    // Connections and requests for metadata start on this tick.
    { settings_pack::tick_interval, 100 },
    // The first pieces are picked by our priorities, not at random.
    { settings_pack::initial_picker_threshold, 0 },
    // A fast peer gets blocks, not whole pieces: one piece comes from several peers at once.
    { settings_pack::whole_pieces_threshold, 0 },
    // Few requests wait at a peer, so that a seek does not wait behind them.
    { settings_pack::request_queue_time, 1 },
    // A peer that was lost is tried again soon, then after ever longer waits, and never given up: without a tracker
    // nobody would name it anew. A peer that stands still is given up soon.
    { settings_pack::min_reconnect_time, 3 },
    { settings_pack::max_failcount, max_failures },
    { settings_pack::piece_timeout, 10 },
    { settings_pack::request_timeout, 15 },
    { settings_pack::peer_connect_timeout, 7 },
    { settings_pack::handshake_timeout, 7 },
    // Many connections are begun at once.
    { settings_pack::connection_speed, 60 },
    { settings_pack::torrent_connect_boost, 50 },
    { settings_pack::smooth_connects, false },
    { settings_pack::connections_limit, 400 },
    // Attempts over uTP come first and take seconds to fail where it does not work.
    { settings_pack::enable_outgoing_utp, false },
    { settings_pack::enable_incoming_utp, false },
    { settings_pack::mixed_mode_algorithm, settings_pack::prefer_tcp },
    // Every tracker is asked at once: the first answer counts.
    { settings_pack::announce_to_all_trackers, true },
    { settings_pack::announce_to_all_tiers, true },
    // The disk is two threads here, which is as much as writes that go to the page cache gain from. What may wait for them
    // is half a second of a fast line: with the default of 1 MiB every peer is held up again and again.
    { settings_pack::aio_threads, 2 },
    { settings_pack::max_queued_disk_bytes, 8 * 1024 * 1024 },
    // Bounds how long clt_session_close() takes.
    { settings_pack::stop_tracker_timeout, 1 },
    // Nothing is discovered, nor any port mapped, unless it is asked for.
    { settings_pack::enable_dht, false },
    { settings_pack::enable_lsd, false },
    { settings_pack::enable_upnp, false },
    { settings_pack::enable_natpmp, false },
    // Peers and trackers cannot aim us at the services of a machine.
    { settings_pack::no_connect_privileged_ports, true },
    // Web seeds are requests to where a torrent says, and 2.0.8 frees their connections too early.
    { settings_pack::max_web_seed_connections, 0 },
    { settings_pack::max_metadata_size, 8 * 1024 * 1024 },
    // Metadata from peers is judged once libtorrent has taken it, which makes all its empty files at once: with this there
    // are some 60,000 at most. Ends of lists and dictionaries count here, so it refuses a little more than TorrentLimits.
    { settings_pack::metadata_token_limit, 500000 },
};

}  // namespace

lt::settings_pack default_settings() {
    settings_pack pack;
    for (const setting& setting : settings) {
        if ((setting.name & settings_pack::type_mask) == settings_pack::bool_type_base)
            pack.set_bool(setting.name, setting.value != 0);
        else
            pack.set_int(setting.name, setting.value);
    }
    pack.set_str(settings_pack::listen_interfaces, "");
    return pack;
}

void set_required(lt::settings_pack& pack) {
    namespace category = lt::alert_category;
    // "peer" is needed for bans, "error" for failing trackers.
    constexpr lt::alert_category_t mask = category::error | category::status | category::storage
        | category::piece_progress | category::ip_block | category::peer;
    pack.set_int(settings_pack::alert_mask, static_cast<int>(static_cast<uint32_t>(mask)));
    // Each piece that the largest torrent has when it is added is an alert; and as many again for the rest.
    pack.set_int(settings_pack::alert_queue_size, 2 * CLT_MAX_PIECES);
    // Refused before anything of it is downloaded: a piece past the vector of priorities would be wanted.
    pack.set_int(settings_pack::max_piece_count, CLT_MAX_PIECES);
    pack.set_int(settings_pack::max_web_seed_connections, 0);
    // No file is mapped, however large: a read past the end of one that was cut would be a signal.
    pack.set_int(settings_pack::mmap_file_size_cutoff, std::numeric_limits<int>::max());
    pack.set_bool(settings_pack::apply_ip_filter_to_trackers, true);
}
