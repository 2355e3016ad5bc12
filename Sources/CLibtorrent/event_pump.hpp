#ifndef CLIBTORRENT_EVENT_PUMP_HPP
#define CLIBTORRENT_EVENT_PUMP_HPP

#include "session.hpp"

#include <libtorrent/alert_types.hpp>

#include <unordered_map>

/// Turns the alerts that libtorrent has ready into events.
///
/// The mutex is never held while the handler runs: it may call back. Records are erased here alone.
class event_pump {
  public:
    event_pump(clt_session& session, void (*handler)(void*, const clt_event*), void* context)
        : session_{ session }, handler_{ handler }, context_{ context } {}

    /// How many events there were.
    size_t run() noexcept;

  private:
    clt_session& session_;
    void (*handler_)(void*, const clt_event*);
    void* context_;
    size_t count_ = 0;
    std::unordered_map<uint64_t, bool> stalled_;

    void emit(const clt_event& event);
    void emit(clt_event_kind kind, uint64_t number, int32_t error = 0, const std::string& message = {});

    void take(lt::alert& alert);
    void take_of_session(lt::alert& alert);

    void added(const lt::add_torrent_alert& alert);
    void removed(const lt::torrent_removed_alert& alert);
    void deleted(const lt::info_hash_t& hashes, const lt::error_code& error);
    void metadata_received(uint64_t number, const lt::torrent_handle& handle);
    void conflicting(const lt::torrent_conflict_alert& alert);
    void metadata_failed(const lt::metadata_failed_alert& alert);
    /// `is_catching_up` if only what has not been told yet is to be.
    void checked(uint64_t number, const lt::torrent_handle& handle, bool is_catching_up);
    void state_changed(const lt::state_changed_alert& alert);
    void piece_finished(const lt::piece_finished_alert& alert);
    void piece_read(const lt::read_piece_alert& alert);
    void stopped(const lt::torrent_error_alert& alert);
    bool reconcile(uint64_t number, const lt::torrent_handle& handle);
    void file_failed(const lt::file_error_alert& alert);
    void resume_saved(const lt::save_resume_data_alert& alert);
    void resume_failed(const lt::save_resume_data_failed_alert& alert);
    void peer_refused(const lt::peer_alert& alert, const char* reason);
    void status_changed(const lt::torrent_status& status);
    void listening(const lt::listen_succeeded_alert& alert);
    void listen_failed(const lt::listen_failed_alert& alert);
    void dropped();

    bool is_present(uint64_t number);
    void emit_finished(uint64_t number, lt::piece_index_t piece);
    void emit_added(uint64_t number, const lt::error_code& error);
    void emit_info(clt_event_kind kind, uint64_t number, const lt::torrent_info& metadata);
    bool replace(uint64_t number, const lt::torrent_info& metadata);
    /// Says why and removes the torrent.
    void refuse(uint64_t number, const lt::error_code& error);
    bool is_stalled(uint64_t number, const lt::torrent_handle& handle);
};

#endif
