#include "session.hpp"

#include <libtorrent/announce_entry.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/torrent_flags.hpp>

#include <algorithm>
#include <cstring>
#include <string>

static_assert(sizeof(void*) == sizeof(uint64_t), "the number of a torrent has to fit a pointer");

lt::client_data_t client_data_of(uint64_t number) {
    return lt::client_data_t{ reinterpret_cast<torrent_record*>(number) };
}

uint64_t number_of(lt::client_data_t data) {
    return reinterpret_cast<uint64_t>(data.get<torrent_record>());
}

present_torrent find(clt_session& session, uint64_t number) {
    const std::lock_guard<std::mutex> lock{ session.mutex };
    const auto found = session.torrents.find(number);
    require(found != session.torrents.end(), CLT_NO_TORRENT);
    const torrent_record& record = found->second;
    require(record.now == torrent_record::stage::present, CLT_NO_TORRENT);
    return { record.handle, record.metadata };
}

present_torrent find_with_metadata(clt_session& session, uint64_t number) {
    present_torrent torrent = find(session, number);
    require(torrent.metadata != nullptr, CLT_NO_METADATA);
    return torrent;
}

lt::piece_index_t checked_piece(const present_torrent& torrent, int32_t piece) {
    require(piece >= 0 && piece < torrent.metadata->num_pieces());
    return lt::piece_index_t{ piece };
}

bool has_piece(clt_session& session, uint64_t number, int32_t piece) {
    const lt::piece_index_t index = checked_piece(find_with_metadata(session, number), piece);
    const std::lock_guard<std::mutex> lock{ session.mutex };
    const auto found = session.torrents.find(number);
    return found != session.torrents.end() && piece < found->second.have.size() && found->second.have.get_bit(index);
}

/// Whether libtorrent may be asked to delete the files: it lists every folder above every file, each by its whole path,
/// which for some 100 kB of hostile metadata are gigabytes.
static bool is_deletable(const lt::torrent_info& metadata) {
    constexpr size_t most_bytes = 16 * 1024 * 1024;
    size_t bytes = 0;
    const lt::file_storage& files = metadata.files();
    for (const lt::file_index_t file : files.file_range()) {
        const std::string path = files.file_path(file);
        bytes += path.size() * static_cast<size_t>(std::count(path.begin(), path.end(), '/')) / 2;
        if (bytes > most_bytes)
            return false;
    }
    return true;
}

void remove_from_libtorrent(clt_session& session, torrent_record& record, bool deletes_files) {
    lt::remove_flags_t flags{};
    // Of no torrent here there is a part file: that is answered likewise, once nothing is written any more.
    if (deletes_files)
        flags = record.metadata && is_deletable(*record.metadata) ? lt::session::delete_files
                                                                  : lt::session::delete_partfile;
    open_session(session).remove_torrent(record.handle, flags);
    record.expects_deletion = deletes_files;
}

extern "C" clt_code clt_set_priorities(
    clt_session* session, uint64_t number, const clt_piece_priority* priorities, size_t count) noexcept {
    return guarded([&] {
        require(priorities != nullptr || count == 0);
        const present_torrent torrent = find_with_metadata(*session, number);
        std::vector<std::pair<lt::piece_index_t, lt::download_priority_t>> list;
        list.reserve(count);
        for (size_t index = 0; index < count; index++) {
            const clt_piece_priority& entry = priorities[index];
            require(entry.priority <= 7);
            list.emplace_back(checked_piece(torrent, entry.piece), lt::download_priority_t{ entry.priority });
        }
        if (!list.empty())
            torrent.handle.prioritize_pieces(list);
    });
}

extern "C" clt_code clt_set_deadline(
    clt_session* session, uint64_t number, int32_t piece, int32_t milliseconds) noexcept {
    return guarded([&] {
        require(milliseconds >= 0);
        const present_torrent torrent = find_with_metadata(*session, number);
        torrent.handle.set_piece_deadline(checked_piece(torrent, piece), milliseconds);
    });
}

extern "C" clt_code clt_reset_deadline(clt_session* session, uint64_t number, int32_t piece) noexcept {
    return guarded([&] {
        const present_torrent torrent = find_with_metadata(*session, number);
        torrent.handle.reset_piece_deadline(checked_piece(torrent, piece));
    });
}

extern "C" clt_code clt_clear_deadlines(clt_session* session, uint64_t number) noexcept {
    return guarded([&] { find_with_metadata(*session, number).handle.clear_piece_deadlines(); });
}

extern "C" clt_code clt_read_piece(clt_session* session, uint64_t number, int32_t piece) noexcept {
    return guarded([&] {
        require(has_piece(*session, number, piece), CLT_NOT_HAVE);
        find(*session, number).handle.read_piece(lt::piece_index_t{ piece });
    });
}

extern "C" clt_code clt_is_on_disk(clt_session* session, uint64_t number, int32_t piece) noexcept {
    return guarded([&] {
        require(has_piece(*session, number, piece), CLT_NOT_HAVE);
        require(find(*session, number).handle.have_piece(lt::piece_index_t{ piece }), CLT_NOT_HAVE);
    });
}

extern "C" clt_code clt_file_path(
    clt_session* session, uint64_t number, int32_t file, char* path, size_t capacity) noexcept {
    return guarded([&] {
        require(path != nullptr);
        const lt::file_storage& files = find_with_metadata(*session, number).metadata->files();
        require(file >= 0 && file < files.num_files());
        const std::string text = files.file_path(lt::file_index_t{ file });
        require(text.size() < capacity);
        std::memcpy(path, text.c_str(), text.size() + 1);
    });
}

extern "C" clt_code clt_get_layout(clt_session* session, uint64_t number, clt_layout* layout) noexcept {
    return guarded([&] {
        require(layout != nullptr);
        const present_torrent torrent = find_with_metadata(*session, number);
        layout->total_bytes = torrent.metadata->total_size();
        layout->piece_length = torrent.metadata->piece_length();
        layout->piece_count = torrent.metadata->num_pieces();
        layout->file_count = torrent.metadata->num_files();
    });
}

extern "C" clt_code clt_get_file_layout(
    clt_session* session, uint64_t number, int32_t file, int64_t* offset, int64_t* size) noexcept {
    return guarded([&] {
        require(offset != nullptr && size != nullptr);
        const present_torrent torrent = find_with_metadata(*session, number);
        const lt::file_storage& files = torrent.metadata->files();
        require(file >= 0 && file < files.num_files());
        *offset = files.file_offset(lt::file_index_t{ file });
        *size = files.file_size(lt::file_index_t{ file });
    });
}

extern "C" clt_code clt_resume_download(clt_session* session, uint64_t number) noexcept {
    return guarded([&] {
        const present_torrent torrent = find(*session, number);
        torrent.handle.clear_error();
        torrent.handle.unset_flags(lt::torrent_flags::upload_mode);
        torrent.handle.resume();
    });
}

extern "C" clt_code clt_connect_peer(clt_session* session, uint64_t number, const clt_endpoint* peer) noexcept {
    return guarded([&] {
        require(peer != nullptr);
        find(*session, number).handle.connect_peer(endpoint_of(*peer));
    });
}

extern "C" clt_code clt_retry_peers(clt_session* session, uint64_t number, int32_t max_connections) noexcept {
    return guarded([&] {
        const present_torrent torrent = find(*session, number);
        {
            const std::lock_guard<std::mutex> lock{ session->mutex };
            // Peers are counted anew only when this changes.
            for (const int limit : { max_failures - 1, max_failures }) {
                lt::settings_pack pack;
                pack.set_int(lt::settings_pack::max_failcount, limit);
                open_session(*session).apply_settings(std::move(pack));
            }
        }
        // Looks at the count.
        torrent.handle.set_max_connections(max_connections);
    });
}

extern "C" clt_code clt_add_tracker(clt_session* session, uint64_t number, const char* url) noexcept {
    return guarded([&] {
        require(url != nullptr && url[0] != '\0');
        find(*session, number).handle.add_tracker(lt::announce_entry{ url });
    });
}

extern "C" clt_code clt_save_resume(clt_session* session, uint64_t number, int only_if_modified) noexcept {
    return guarded([&] {
        find(*session, number).handle.save_resume_data(
            only_if_modified != 0 ? lt::torrent_handle::only_if_modified : lt::resume_data_flags_t{});
    });
}
