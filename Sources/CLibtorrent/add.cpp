#include "metadata.hpp"
#include "session.hpp"

#include <algorithm>

namespace {

lt::span<const char> span_of(const uint8_t* bytes, size_t count) {
    return { reinterpret_cast<const char*>(bytes), static_cast<std::ptrdiff_t>(count) };
}

void check_arguments(const clt_new_torrent& torrent) {
    require(torrent.torrent != 0);
    require(torrent.directory != nullptr && torrent.directory[0] == '/');
    require(torrent.torrent_file != nullptr || torrent.info_hash_v1 != nullptr || torrent.info_hash_v2 != nullptr);
    require(torrent.trackers != nullptr || torrent.tracker_count == 0);
    require(torrent.peers != nullptr || torrent.peer_count == 0);
    require(torrent.resume_data != nullptr || torrent.resume_data_count == 0);
}

void set_identity(const clt_new_torrent& torrent, lt::add_torrent_params& parameters) {
    if (torrent.info_hash_v1 != nullptr)
        parameters.info_hashes.v1.assign(reinterpret_cast<const char*>(torrent.info_hash_v1));
    if (torrent.info_hash_v2 != nullptr)
        parameters.info_hashes.v2.assign(reinterpret_cast<const char*>(torrent.info_hash_v2));
    if (torrent.torrent_file == nullptr) {
        require(parameters.info_hashes.has_v1() || parameters.info_hashes.has_v2());
        return;
    }
    const lt::info_hash_t expected = parameters.info_hashes;
    read_torrent_file(span_of(torrent.torrent_file, torrent.torrent_file_count), parameters);
    require(!expected.has_v1() || expected.v1 == parameters.info_hashes.v1);
    require(!expected.has_v2() || expected.v2 == parameters.info_hashes.v2);
}

lt::add_torrent_params parameters_of(const clt_new_torrent& torrent) {
    check_arguments(torrent);
    lt::add_torrent_params made;
    set_identity(torrent, made);
    // Not auto-managed: it starts at once and stays started. What has no files to be looked at waits for a moment, since
    // peers are connected at once when a torrent is resumed, and else at the next second: see event_pump::added().
    made.flags = lt::torrent_flags::update_subscribe | lt::torrent_flags::apply_ip_filter
        | lt::torrent_flags::sequential_download | lt::torrent_flags::duplicate_is_error
        | lt::torrent_flags::override_trackers | lt::torrent_flags::override_web_seeds;
    made.save_path = torrent.directory;
    made.userdata = client_data_of(torrent.torrent);
    made.max_connections = torrent.max_connections;
    made.max_uploads = torrent.max_uploads;
    set_priorities(made, torrent.wanted_head);
    for (size_t index = 0; index < torrent.tracker_count; index++) {
        require(torrent.trackers[index] != nullptr);
        made.trackers.emplace_back(torrent.trackers[index]);
    }
    for (size_t index = 0; index < torrent.peer_count; index++)
        made.peers.push_back(endpoint_of(torrent.peers[index]));
    if (!made.ti)
        made.flags |= lt::torrent_flags::paused;
    if (torrent.resume_data != nullptr)
        apply_resume(
            span_of(torrent.resume_data, torrent.resume_data_count), torrent.resumes_peers_only != 0, made);
    return made;
}

}  // namespace

extern "C" clt_code clt_add(clt_session* session, const clt_new_torrent* torrent) noexcept {
    return guarded([&] {
        require(torrent != nullptr);
        lt::add_torrent_params parameters = parameters_of(*torrent);
        torrent_record record;
        record.metadata = parameters.ti;
        if (!parameters.ti)
            record.parameters = std::make_unique<lt::add_torrent_params>(parameters);
        const std::lock_guard<std::mutex> lock{ session->mutex };
        const auto [position, is_new] = session->torrents.try_emplace(torrent->torrent, std::move(record));
        require(is_new);
        try {
            open_session(*session).async_add_torrent(std::move(parameters));
        } catch (...) {
            session->torrents.erase(position);
            throw;
        }
    });
}

extern "C" clt_code clt_remove(clt_session* session, uint64_t number, int deletes_files) noexcept {
    return guarded([&] {
        const std::lock_guard<std::mutex> lock{ session->mutex };
        const auto found = session->torrents.find(number);
        require(found != session->torrents.end(), CLT_NO_TORRENT);
        torrent_record& record = found->second;
        require(record.now != torrent_record::stage::leaving, CLT_NO_TORRENT);
        // If it is being added or replaced, the answer to that finds it leaving and goes on from there.
        if (record.now == torrent_record::stage::present)
            remove_from_libtorrent(*session, record, deletes_files != 0);
        record.deletes_files = deletes_files != 0;
        record.now = torrent_record::stage::leaving;
    });
}
