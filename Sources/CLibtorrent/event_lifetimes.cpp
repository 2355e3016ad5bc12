#include "event_pump.hpp"

#include "metadata.hpp"

#include <algorithm>

using stage = torrent_record::stage;

namespace {

bool has_same_paths(const lt::file_storage& some, const lt::file_storage& others) {
    if (some.num_files() != others.num_files())
        return false;
    for (const lt::file_index_t file : some.file_range()) {
        if (some.file_path(file) != others.file_path(file))
            return false;
    }
    return true;
}

}  // namespace

void event_pump::added(const lt::add_torrent_alert& alert) {
    const uint64_t number = number_of(alert.params.userdata);
    torrent_record record;
    {
        const std::lock_guard<std::mutex> lock{ session_.mutex };
        const auto found = session_.torrents.find(number);
        if (found == session_.torrents.end())
            return;
        torrent_record& kept = found->second;
        if (!alert.error) {
            kept.handle = alert.handle;
            if (kept.now == stage::leaving)
                return remove_from_libtorrent(session_, kept, kept.deletes_files);
            kept.now = stage::present;
            if (alert.params.flags & lt::torrent_flags::paused)
                alert.handle.resume();
        }
        record.now = kept.now;
        record.deletes_files = kept.deletes_files;
        record.is_announced = kept.is_announced;
        record.metadata = kept.metadata;
        kept.is_announced = true;
        if (alert.error)
            session_.torrents.erase(found);
    }
    if (alert.error && record.now == stage::leaving) {
        emit(CLT_EVENT_REMOVED, number);
        if (record.deletes_files)
            emit(CLT_EVENT_DELETED, number);
    } else if (!record.is_announced) {
        emit_added(number, alert.error);
    } else if (alert.error) {
        emit(CLT_EVENT_ERROR, number, alert.error.value(), alert.error.message());
        emit(CLT_EVENT_REMOVED, number);
    } else {
        emit_info(CLT_EVENT_METADATA, number, *record.metadata);
    }
}

void event_pump::removed(const lt::torrent_removed_alert& alert) {
    const uint64_t number = number_of(alert.userdata);
    {
        const std::lock_guard<std::mutex> lock{ session_.mutex };
        const auto found = session_.torrents.find(number);
        if (found == session_.torrents.end())
            return;
        torrent_record& record = found->second;
        // What is to be replaced goes on with the answer to its deletion.
        if (record.expects_deletion)
            session_.deletions.push_back({ alert.info_hashes, number, record.deletes_files });
        if (record.is_replaced)
            return;
        session_.torrents.erase(found);
    }
    emit(CLT_EVENT_REMOVED, number);
}

void event_pump::deleted(const lt::info_hash_t& hashes, const lt::error_code& error) {
    auto& pending = session_.deletions;
    const auto found = std::find_if(pending.begin(), pending.end(), [&](const pending_deletion& deletion) {
        const lt::info_hash_t& other = deletion.hashes;
        return (hashes.has_v1() && hashes.v1 == other.v1) || (hashes.has_v2() && hashes.v2 == other.v2);
    });
    if (found == pending.end())
        return;
    const uint64_t number = found->number;
    bool is_asked = found->is_asked;
    pending.erase(found);
    bool is_removed = false;
    {
        const std::lock_guard<std::mutex> lock{ session_.mutex };
        const auto kept = session_.torrents.find(number);
        if (kept != session_.torrents.end() && kept->second.is_replaced) {
            torrent_record& record = kept->second;
            record.is_replaced = false;
            if (record.now == stage::replacing) {
                record.now = stage::adding;
                open_session(session_).async_add_torrent(std::move(*record.parameters));
                record.parameters.reset();
                return;
            }
            // Removed meanwhile.
            is_removed = true;
            is_asked = record.deletes_files;
            session_.torrents.erase(kept);
        }
    }
    if (is_removed)
        emit(CLT_EVENT_REMOVED, number);
    if (is_asked)
        emit(CLT_EVENT_DELETED, number, error.value(), error ? error.message() : "");
}

void event_pump::metadata_received(uint64_t number, const lt::torrent_handle& handle) {
    if (!is_present(number))
        return;
    const std::shared_ptr<const lt::torrent_info> metadata = handle.torrent_file();
    if (!metadata || !metadata->is_valid())
        return;
    if (metadata->num_files() > 1 && replace(number, *metadata))
        return;
    {
        const std::lock_guard<std::mutex> lock{ session_.mutex };
        torrent_record& record = session_.torrents.at(number);
        record.metadata = metadata;
        record.parameters.reset();
    }
    emit_info(CLT_EVENT_METADATA, number, *metadata);
}

/// libtorrent 2.0.8 tells files of one name apart when it reads metadata from a file, but not when peers send it: they
/// would then overwrite one another on the disk. Such a torrent is removed and added again, now from a file.
bool event_pump::replace(uint64_t number, const lt::torrent_info& metadata) {
    lt::add_torrent_params read;
    if (guarded([&] { read_info(metadata.info_section(), read); }) != CLT_OK) {
        refuse(number, lt::errors::make_error_code(lt::errors::invalid_swarm_metadata));
        return true;
    }
    if (has_same_paths(read.ti->files(), metadata.files()))
        return false;
    const std::lock_guard<std::mutex> lock{ session_.mutex };
    torrent_record& record = session_.torrents.at(number);
    if (!record.parameters || record.now != stage::present)
        return false;
    record.parameters->ti = read.ti;
    record.parameters->info_hashes = read.info_hashes;
    record.metadata = read.ti;
    remove_from_libtorrent(session_, record, true);
    record.handle = {};
    record.is_replaced = true;
    record.now = stage::replacing;
    return true;
}

void event_pump::emit_added(uint64_t number, const lt::error_code& error) {
    const std::string text = error ? error.message() : "";
    clt_event event{};
    event.kind = CLT_EVENT_ADDED;
    event.torrent = number;
    event.error = error.value();
    event.message = text.c_str();
    event.is_duplicate = error == lt::errors::duplicate_torrent;
    emit(event);
}

void event_pump::emit_info(clt_event_kind kind, uint64_t number, const lt::torrent_info& metadata) {
    const lt::span<const char> bytes = metadata.info_section();
    clt_event event{};
    event.kind = kind;
    event.torrent = number;
    event.bytes = reinterpret_cast<const uint8_t*>(bytes.data());
    event.byte_count = static_cast<size_t>(bytes.size());
    emit(event);
}

void event_pump::conflicting(const lt::torrent_conflict_alert& alert) {
    for (const lt::torrent_handle& handle : { alert.handle, alert.conflicting_torrent }) {
        const uint64_t number = number_of(handle.userdata());
        if (alert.metadata && is_present(number))
            emit_info(CLT_EVENT_CONFLICT, number, *alert.metadata);
    }
}

void event_pump::metadata_failed(const lt::metadata_failed_alert& alert) {
    // A peer sent something else; another may have it.
    if (alert.error == lt::errors::mismatching_info_hash)
        return;
    // It is what the info-hash names and it cannot be used, now or later.
    const uint64_t number = number_of(alert.handle.userdata());
    if (!is_present(number))
        return;
    refuse(number, alert.error);
}

void event_pump::refuse(uint64_t number, const lt::error_code& error) {
    {
        // First: whoever hears of the error may remove the torrent at once.
        const std::lock_guard<std::mutex> lock{ session_.mutex };
        const auto found = session_.torrents.find(number);
        if (found == session_.torrents.end() || found->second.now != stage::present)
            return;
        remove_from_libtorrent(session_, found->second, false);
        found->second.now = stage::leaving;
    }
    emit(CLT_EVENT_ERROR, number, error.value(), error.message());
}
