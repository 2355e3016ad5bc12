#include "event_pump.hpp"

#include "metadata.hpp"

#include <libtorrent/peer_info.hpp>

#include <boost/shared_array.hpp>

#include <algorithm>
#include <cerrno>
#include <string>

namespace {

/// What keeps the bytes of an event.
using owner = std::shared_ptr<const void>;

template <typename Alert>
const Alert& as(const lt::alert& alert) {
    return static_cast<const Alert&>(alert);
}

std::string described(const lt::error_code& error, const char* subject) {
    return subject[0] == '\0' ? error.message() : std::string{ subject } + ": " + error.message();
}

clt_torrent_state state_of(const lt::torrent_status& status) {
    switch (status.state) {
        case lt::torrent_status::downloading_metadata: return CLT_STATE_FETCHING_METADATA;
        case lt::torrent_status::downloading: return CLT_STATE_DOWNLOADING;
        case lt::torrent_status::finished: return CLT_STATE_FINISHED;
        case lt::torrent_status::seeding: return CLT_STATE_SEEDING;
        default: return CLT_STATE_CHECKING;
    }
}

constexpr lt::torrent_flags_t stalled_flags = lt::torrent_flags::upload_mode | lt::torrent_flags::paused;

}  // namespace

size_t event_pump::run() noexcept {
    // An alert that cannot be told for want of memory is as one that libtorrent dropped.
    bool is_short_of_memory = false;
    guarded([&] {
        const std::lock_guard<std::mutex> lock{ session_.mutex };
        open_session(session_).pop_alerts(&session_.alerts);
    });
    for (lt::alert* alert : session_.alerts)
        is_short_of_memory |= guarded([&] { take(*alert); }) == CLT_NO_MEMORY;
    if (is_short_of_memory)
        guarded([&] { dropped(); });
    // Some of the pointers die with the next call, and then this would not be called twice.
    session_.alerts.clear();
    return count_;
}

void event_pump::take(lt::alert& alert) {
    switch (alert.type()) {
        case lt::add_torrent_alert::alert_type: return added(as<lt::add_torrent_alert>(alert));
        case lt::torrent_removed_alert::alert_type: return removed(as<lt::torrent_removed_alert>(alert));
        case lt::torrent_deleted_alert::alert_type:
            return deleted(as<lt::torrent_deleted_alert>(alert).info_hashes, {});
        case lt::torrent_delete_failed_alert::alert_type: {
            const auto& failed = as<lt::torrent_delete_failed_alert>(alert);
            return deleted(failed.info_hashes, failed.error);
        }
        case lt::metadata_received_alert::alert_type: {
            const auto& handle = as<lt::metadata_received_alert>(alert).handle;
            return metadata_received(number_of(handle.userdata()), handle);
        }
        case lt::torrent_conflict_alert::alert_type: return conflicting(as<lt::torrent_conflict_alert>(alert));
        case lt::metadata_failed_alert::alert_type: return metadata_failed(as<lt::metadata_failed_alert>(alert));
        case lt::torrent_checked_alert::alert_type: {
            const auto& handle = as<lt::torrent_checked_alert>(alert).handle;
            return checked(number_of(handle.userdata()), handle, false);
        }
        case lt::state_changed_alert::alert_type: return state_changed(as<lt::state_changed_alert>(alert));
        case lt::piece_finished_alert::alert_type: return piece_finished(as<lt::piece_finished_alert>(alert));
        case lt::read_piece_alert::alert_type: return piece_read(as<lt::read_piece_alert>(alert));
        case lt::torrent_error_alert::alert_type: return stopped(as<lt::torrent_error_alert>(alert));
        case lt::file_error_alert::alert_type: return file_failed(as<lt::file_error_alert>(alert));
        case lt::save_resume_data_alert::alert_type: return resume_saved(as<lt::save_resume_data_alert>(alert));
        case lt::save_resume_data_failed_alert::alert_type:
            return resume_failed(as<lt::save_resume_data_failed_alert>(alert));
        case lt::hash_failed_alert::alert_type: {
            const auto& failed = as<lt::hash_failed_alert>(alert);
            clt_event event{};
            event.kind = CLT_EVENT_HASH_FAILED;
            event.torrent = number_of(failed.handle.userdata());
            event.piece = static_cast<int>(failed.piece_index);
            return is_present(event.torrent) ? emit(event) : void();
        }
        case lt::tracker_error_alert::alert_type: {
            const auto& failed = as<lt::tracker_error_alert>(alert);
            const uint64_t number = number_of(failed.handle.userdata());
            const char* reason = failed.failure_reason();
            const std::string text = std::string{ failed.tracker_url() } + ": "
                + (reason[0] == '\0' ? failed.error.message() : std::string{ reason });
            return is_present(number) ? emit(CLT_EVENT_TRACKER_ERROR, number, failed.error.value(), text) : void();
        }
        case lt::peer_ban_alert::alert_type:
            return peer_refused(as<lt::peer_ban_alert>(alert), "banned for bad pieces");
        case lt::peer_blocked_alert::alert_type:
            return peer_refused(as<lt::peer_blocked_alert>(alert), "blocked address");
        default: return take_of_session(alert);
    }
}

void event_pump::take_of_session(lt::alert& alert) {
    switch (alert.type()) {
        case lt::listen_succeeded_alert::alert_type: return listening(as<lt::listen_succeeded_alert>(alert));
        case lt::listen_failed_alert::alert_type: return listen_failed(as<lt::listen_failed_alert>(alert));
        case lt::state_update_alert::alert_type:
            for (const lt::torrent_status& status : as<lt::state_update_alert>(alert).status)
                status_changed(status);
            return;
        case lt::alerts_dropped_alert::alert_type: return dropped();
        default: return;
    }
}

void event_pump::emit(const clt_event& event) {
    clt_event whole = event;
    if (whole.message == nullptr)
        whole.message = "";
    count_++;
    handler_(context_, &whole);
}

void event_pump::emit(clt_event_kind kind, uint64_t number, int32_t error, const std::string& message) {
    clt_event event{};
    event.kind = kind;
    event.torrent = number;
    event.error = error;
    event.message = message.c_str();
    emit(event);
}

bool event_pump::is_present(uint64_t number) {
    const std::lock_guard<std::mutex> lock{ session_.mutex };
    const auto found = session_.torrents.find(number);
    return found != session_.torrents.end() && found->second.now == torrent_record::stage::present;
}

void event_pump::checked(uint64_t number, const lt::torrent_handle& handle, bool is_catching_up) {
    if (!is_present(number))
        return;
    const lt::torrent_status status = handle.status(lt::torrent_handle::query_pieces);
    // It is being checked anew by now: another alert follows. Pieces that were finished before this moment are in these
    // bits, and those after it have alerts yet to come.
    if (state_of(status) == CLT_STATE_CHECKING || status.pieces.empty())
        return;
    lt::typed_bitfield<lt::piece_index_t> known = status.pieces;
    {
        const std::lock_guard<std::mutex> lock{ session_.mutex };
        known.swap(session_.torrents.at(number).have);
    }
    if (is_catching_up && !known.empty()) {
        for (const lt::piece_index_t piece : status.pieces.range()) {
            if (status.pieces.get_bit(piece) && !known.get_bit(piece))
                emit_finished(number, piece);
        }
        return;
    }
    // libtorrent 2.0.8 has those among them whose hash is right and that are still being written.
    lt::typed_bitfield<lt::piece_index_t> written = status.pieces;
    std::vector<lt::piece_index_t> unwritten;
    if (status.num_pieces != status.pieces.count()) {
        for (const lt::piece_index_t piece : status.pieces.range()) {
            if (!status.pieces.get_bit(piece) || handle.have_piece(piece))
                continue;
            written.clear_bit(piece);
            unwritten.push_back(piece);
        }
    }
    clt_event event{};
    event.kind = CLT_EVENT_CHECKED;
    event.torrent = number;
    event.bytes = reinterpret_cast<const uint8_t*>(written.data());
    event.byte_count = static_cast<size_t>(written.size() + 7) / 8;
    emit(event);
    for (const lt::piece_index_t piece : unwritten)
        emit_finished(number, piece);
}

void event_pump::state_changed(const lt::state_changed_alert& alert) {
    if (alert.state != lt::torrent_status::checking_files && alert.state != lt::torrent_status::checking_resume_data)
        return;
    const std::lock_guard<std::mutex> lock{ session_.mutex };
    const auto found = session_.torrents.find(number_of(alert.handle.userdata()));
    if (found != session_.torrents.end())
        found->second.have.clear();
}

void event_pump::piece_finished(const lt::piece_finished_alert& alert) {
    const uint64_t number = number_of(alert.handle.userdata());
    {
        const std::lock_guard<std::mutex> lock{ session_.mutex };
        const auto found = session_.torrents.find(number);
        if (found == session_.torrents.end() || found->second.now != torrent_record::stage::present)
            return;
        // Pieces found by looking at the files have such alerts too; they are told by #CLT_EVENT_CHECKED.
        auto& have = found->second.have;
        if (alert.piece_index >= have.end_index() || have.get_bit(alert.piece_index))
            return;
        have.set_bit(alert.piece_index);
    }
    emit_finished(number, alert.piece_index);
}

void event_pump::emit_finished(uint64_t number, lt::piece_index_t piece) {
    clt_event event{};
    event.kind = CLT_EVENT_PIECE_FINISHED;
    event.torrent = number;
    event.piece = static_cast<int>(piece);
    emit(event);
}

void event_pump::piece_read(const lt::read_piece_alert& alert) {
    clt_event event{};
    event.torrent = number_of(alert.handle.userdata());
    event.piece = static_cast<int>(alert.piece);
    if (!is_present(event.torrent))
        return;
    if (alert.error || !alert.buffer) {
        const std::string text = alert.error.message();
        event.kind = CLT_EVENT_PIECE_FAILED;
        event.error = alert.error.value();
        event.message = text.c_str();
        return emit(event);
    }
    event.kind = CLT_EVENT_PIECE_DATA;
    event.bytes = reinterpret_cast<const uint8_t*>(alert.buffer.get());
    event.byte_count = static_cast<size_t>(alert.size);
    event.owner = new owner{ std::make_shared<boost::shared_array<char>>(alert.buffer) };
    emit(event);
}

void event_pump::stopped(const lt::torrent_error_alert& alert) {
    const uint64_t number = number_of(alert.handle.userdata());
    // Told by #CLT_EVENT_CONFLICT.
    if (alert.error == lt::errors::duplicate_torrent)
        return;
    if (alert.error == lt::errors::torrent_inconsistent_hashes && reconcile(number, alert.handle))
        return;
    if (is_present(number))
        emit(CLT_EVENT_ERROR, number, alert.error.value(), described(alert.error, alert.filename()));
}

/// libtorrent 2.0.8 says so of a torrent of both versions too when hashes of version 2 come while a piece that is right is
/// still being written. They are known from then on.
bool event_pump::reconcile(uint64_t number, const lt::torrent_handle& handle) {
    constexpr int most = 3;
    {
        const std::lock_guard<std::mutex> lock{ session_.mutex };
        const auto found = session_.torrents.find(number);
        if (found == session_.torrents.end() || found->second.now != torrent_record::stage::present)
            return false;
        if (found->second.reconciliations >= most)
            return false;
        found->second.reconciliations++;
    }
    handle.clear_error();
    handle.resume();
    return true;
}

void event_pump::file_failed(const lt::file_error_alert& alert) {
    const std::string text = described(alert.error, alert.filename());
    const bool has_errno = alert.error.category() == lt::generic_category()
        || alert.error.category() == lt::system_category();
    clt_event event{};
    event.kind = CLT_EVENT_FILE_ERROR;
    event.torrent = number_of(alert.handle.userdata());
    event.error = has_errno ? alert.error.value() : EIO;
    event.message = text.c_str();
    if (!is_present(event.torrent))
        return;
    event.is_stalled = is_stalled(event.torrent, alert.handle);
    emit(event);
}

bool event_pump::is_stalled(uint64_t number, const lt::torrent_handle& handle) {
    // Asked once for the many alerts that come together: it takes a turn of the session's thread.
    const auto known = stalled_.find(number);
    if (known != stalled_.end())
        return known->second;
    return stalled_[number] = static_cast<bool>(handle.flags() & stalled_flags);
}

namespace {

/// libtorrent leaves out most of the peers that it is connected to. Of those that connected to us the port is not known.
void add_connected_peers(const lt::torrent_handle& handle, lt::add_torrent_params& saved) {
    std::vector<lt::peer_info> peers;
    try {
        handle.get_peer_info(peers);
    } catch (const lt::system_error&) {
        return;
    }
    for (const lt::peer_info& peer : peers) {
        const bool is_ours = static_cast<bool>(peer.flags & lt::peer_info::local_connection);
        const bool is_new = std::find(saved.peers.begin(), saved.peers.end(), peer.ip) == saved.peers.end();
        if (is_ours && is_new && !(peer.flags & lt::peer_info::connecting))
            saved.peers.push_back(peer.ip);
    }
}

}  // namespace

void event_pump::resume_saved(const lt::save_resume_data_alert& alert) {
    const uint64_t number = number_of(alert.handle.userdata());
    if (!is_present(number))
        return;
    lt::add_torrent_params saved = alert.params;
    add_connected_peers(alert.handle, saved);
    const auto bytes = std::make_shared<const std::vector<char>>(write_resume(saved));
    clt_event event{};
    event.kind = CLT_EVENT_RESUME_DATA;
    event.torrent = number;
    event.bytes = reinterpret_cast<const uint8_t*>(bytes->data());
    event.byte_count = bytes->size();
    event.owner = new owner{ bytes };
    emit(event);
}

void event_pump::resume_failed(const lt::save_resume_data_failed_alert& alert) {
    const uint64_t number = number_of(alert.handle.userdata());
    if (!is_present(number))
        return;
    const bool is_unchanged = alert.error == lt::errors::resume_data_not_modified;
    emit(CLT_EVENT_NO_RESUME_DATA, number, is_unchanged ? 0 : alert.error.value(), alert.error.message());
}

void event_pump::peer_refused(const lt::peer_alert& alert, const char* reason) {
    const std::string text = alert.endpoint.address().to_string() + ": " + reason;
    clt_event event{};
    event.kind = CLT_EVENT_PEER_REFUSED;
    event.torrent = number_of(alert.handle.userdata());
    event.message = text.c_str();
    event.endpoint = endpoint_of(alert.endpoint);
    if (is_present(event.torrent))
        emit(event);
}

void event_pump::status_changed(const lt::torrent_status& status) {
    clt_event event{};
    event.kind = CLT_EVENT_STATUS;
    event.torrent = number_of(status.handle.userdata());
    if (!is_present(event.torrent))
        return;
    event.status.state = state_of(status);
    event.status.done_bytes = status.total_done;
    event.status.wanted_bytes = status.total_wanted;
    event.status.downloaded_bytes = status.total_payload_download;
    event.status.uploaded_bytes = status.total_payload_upload;
    event.status.failed_bytes = status.total_failed_bytes;
    event.status.redundant_bytes = status.total_redundant_bytes;
    event.status.download_rate = status.download_payload_rate;
    event.status.upload_rate = status.upload_payload_rate;
    event.status.peers = status.num_peers;
    event.status.seeds = status.num_seeds;
    event.status.known_peers = status.list_peers;
    event.status.is_stalled = static_cast<bool>(status.flags & stalled_flags);
    event.is_stalled = event.status.is_stalled;
    emit(event);
}

void event_pump::listening(const lt::listen_succeeded_alert& alert) {
    // A datagram socket with the same number goes with each.
    if (alert.socket_type != lt::socket_type_t::tcp)
        return;
    clt_event event{};
    event.kind = CLT_EVENT_LISTENING;
    event.endpoint = endpoint_of({ alert.address, static_cast<uint16_t>(alert.port) });
    emit(event);
}

void event_pump::listen_failed(const lt::listen_failed_alert& alert) {
    const std::string text = described(alert.error, alert.listen_interface());
    clt_event event{};
    event.kind = CLT_EVENT_LISTEN_FAILED;
    event.error = alert.error.value();
    event.message = text.c_str();
    event.endpoint = endpoint_of({ alert.address, static_cast<uint16_t>(alert.port) });
    emit(event);
}

void event_pump::dropped() {
    emit(CLT_EVENT_DROPPED, 0);
    // What was lost may be that metadata came, files were looked at or pieces were finished.
    std::vector<std::pair<uint64_t, present_torrent>> torrents;
    {
        const std::lock_guard<std::mutex> lock{ session_.mutex };
        for (const auto& [number, record] : session_.torrents) {
            if (record.now == torrent_record::stage::present)
                torrents.push_back({ number, { record.handle, record.metadata } });
        }
    }
    for (const auto& [number, torrent] : torrents) {
        guarded([&, number = number, handle = torrent.handle, has_metadata = torrent.metadata != nullptr] {
            if (!has_metadata)
                metadata_received(number, handle);
            checked(number, handle, true);
        });
    }
}

extern "C" size_t clt_session_poll(
    clt_session* session, void (*handler)(void*, const clt_event*), void* context) noexcept {
    return event_pump{ *session, handler, context }.run();
}

extern "C" void clt_buffer_release(void* bytes) noexcept {
    delete static_cast<owner*>(bytes);
}
