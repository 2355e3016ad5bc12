#ifndef CLIBTORRENT_H
#define CLIBTORRENT_H

/** @file clibtorrent.h
 *  @brief The part of libtorrent-rasterbar 2.0 that a streaming source needs, as C functions that never throw.
 *
 *  A session has sockets and threads of its own. What happens in it is told by events, which one thread of the caller
 *  takes with clt_session_poll(). Torrents are named by numbers that the caller chooses and never uses twice in one
 *  session; a call on a torrent that is not there, or not any more, returns #CLT_NO_TORRENT and does nothing.
 *
 *  Threads: unless a function says otherwise it may be called from any thread, and it only posts work to the session's
 *  own thread, which takes some microseconds. Functions marked BLOCKS wait for that thread, which under load can take
 *  tens of milliseconds: they belong on a thread that may wait.
 *
 *  Memory: what is passed in is copied before the function returns. What an event points to is valid until the handler
 *  returns, except for bytes with an owner, which stay valid until clt_buffer_release().
 *
 *  Nothing here decides what may be connected to, or which torrents are acceptable: the caller vets before it adds. The
 *  filter of addresses that is given to clt_session_new() backs that up.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define CLT_NOEXCEPT noexcept
extern "C" {
#else
#define CLT_NOEXCEPT
#endif

/** @brief What functions return. */
typedef enum {
    CLT_OK = 0,
    /** There is no torrent of this number. */
    CLT_NO_TORRENT = 1,
    /** An argument makes no sense; nothing was done. */
    CLT_INVALID = 2,
    /** The torrent's metadata is not there yet. */
    CLT_NO_METADATA = 3,
    /** The piece has not been downloaded and verified. */
    CLT_NOT_HAVE = 4,
    /** There is no setting of this name. */
    CLT_UNKNOWN_SETTING = 5,
    /** The setting has another type. */
    CLT_WRONG_TYPE = 6,
    CLT_NO_MEMORY = 7,
    /** The session is closing. */
    CLT_CLOSED = 8,
    /** libtorrent failed in a way it does not document. */
    CLT_INTERNAL = 9,
} clt_code;

/** @brief The version of the library that is loaded, "2.0.8.0" say. Static. */
const char *clt_version(void) CLT_NOEXCEPT;

/** @brief Whether the library that is loaded has the layout this was compiled for: same major, minor and tiny version.
 *  If not, nothing else here may be called. */
int clt_is_compatible(void) CLT_NOEXCEPT;

/** @brief Stores the SHA-1 digest of `count` bytes in the 20 bytes at `digest`: what names a torrent of version 1. */
void clt_sha1(const uint8_t *bytes, size_t count, uint8_t *digest) CLT_NOEXCEPT;

/** @brief Stores the SHA-256 digest in the 32 bytes at `digest`: what names a torrent of version 2. */
void clt_sha256(const uint8_t *bytes, size_t count, uint8_t *digest) CLT_NOEXCEPT;

/* Settings */

/** @brief Settings of a session by libtorrent's names (reference-Settings.html), e.g. "listen_interfaces". */
typedef struct clt_settings clt_settings;

/** @brief Settings for streaming on demand, as far as they differ from libtorrent's: see session_defaults.cpp, which
 *  gives the reason of each. No discovery of any kind, no listening socket and no uTP until they are set; without a
 *  listening socket no tracker is asked either.
 *
 *  What the functions here depend on is theirs, and setting it has no effect: "alert_mask", "alert_queue_size",
 *  "max_piece_count", "max_web_seed_connections", "apply_ip_filter_to_trackers". */
clt_code clt_settings_new(clt_settings **settings) CLT_NOEXCEPT;
/** @brief No settings at all: for clt_session_apply(), which leaves the others as they are. */
clt_code clt_settings_new_empty(clt_settings **settings) CLT_NOEXCEPT;
clt_code clt_settings_set_string(clt_settings *settings, const char *name, const char *value) CLT_NOEXCEPT;
clt_code clt_settings_set_int(clt_settings *settings, const char *name, int value) CLT_NOEXCEPT;
clt_code clt_settings_set_bool(clt_settings *settings, const char *name, int value) CLT_NOEXCEPT;
/** @brief Frees `settings`, which may be NULL. */
void clt_settings_free(clt_settings *settings) CLT_NOEXCEPT;

/* Addresses */

/** @brief An address with a port. */
typedef struct {
    /** IPv4 in the first 4 bytes if `is_v6` is 0. Network byte order. */
    uint8_t address[16];
    uint8_t is_v6;
    uint16_t port;
} clt_endpoint;

/** @brief Addresses from `first` to `last`, both included, of one family. Network byte order. */
typedef struct {
    uint8_t first[16];
    uint8_t last[16];
    uint8_t is_v6;
} clt_address_range;

/* Sessions */

typedef struct clt_session clt_session;

/** @brief Starts a session.
 *
 *  @param blocked  ranges that are never connected to, nor accepted from; also for trackers
 *  @param notify   called on a thread of libtorrent whenever events come to be, after there were none. It may only wake
 *                  another thread: it holds a lock of libtorrent.
 *  @param session  receives the session; NULL on failure
 */
clt_code clt_session_new(
    const clt_settings *settings, const clt_address_range *blocked, size_t blocked_count, void (*notify)(void *context),
    void *context, clt_session **session) CLT_NOEXCEPT;

/** @brief Changes settings of a running session. */
clt_code clt_session_apply(clt_session *session, const clt_settings *settings) CLT_NOEXCEPT;

/** @brief Ends the session. BLOCKS, for as long as trackers that are told "stopped" take, which the default settings bound
 *  to a second; a name look-up can hold it for longer. From then on other calls return #CLT_CLOSED or #CLT_NO_TORRENT, and
 *  `notify` is not called any more when it returns. Nobody may be in clt_session_poll(). */
void clt_session_close(clt_session *session) CLT_NOEXCEPT;

/** @brief Frees a session, which is closed first if it is not. No other call may be running or come after it. */
void clt_session_free(clt_session *session) CLT_NOEXCEPT;

/** @brief Asks for a #CLT_EVENT_STATUS of every torrent whose status has changed since it was last asked. */
clt_code clt_session_post_status(clt_session *session) CLT_NOEXCEPT;

/* Events */

typedef enum {
    /** A socket listens: `endpoint`. */
    CLT_EVENT_LISTENING,
    /** A socket could not be opened: `endpoint`, `message`. */
    CLT_EVENT_LISTEN_FAILED,
    /** The torrent has been added, or not: `error` is 0 or says why, with `message` and `is_duplicate`. If not, the
     *  torrent is gone. */
    CLT_EVENT_ADDED,
    /** The metadata has come from a peer: `bytes` is the info dictionary. Not sent if it was given to clt_add().
     *  Metadata that libtorrent cannot use, or with more than #CLT_MAX_PIECES pieces, gives #CLT_EVENT_ERROR instead,
     *  and then #CLT_EVENT_REMOVED without being asked for. */
    CLT_EVENT_METADATA,
    /** The metadata of this torrent or of another one has come, and shows that both are the same, named by different
     *  hashes: `bytes` is the info dictionary. Sent for each of the two; neither does anything any more, and both have
     *  to be removed before the torrent can be added with its metadata. */
    CLT_EVENT_CONFLICT,
    /** What is on the disk has been looked at: `bytes` has a bit for each piece, the first in the highest bit of the
     *  first byte, 1 for a piece that is there. Sent once after metadata is known, before any
     *  #CLT_EVENT_PIECE_FINISHED, and again after a torrent was checked anew. */
    CLT_EVENT_CHECKED,
    /** `piece` has been downloaded and its hash is right. It is being written: only when clt_is_on_disk() says so can it
     *  be read, since a piece that could not be written is downloaded once more. Sent once for a piece, and not for
     *  those that #CLT_EVENT_CHECKED said are there. */
    CLT_EVENT_PIECE_FINISHED,
    /** `piece` was downloaded and its hash was wrong; it is downloaded again. */
    CLT_EVENT_HASH_FAILED,
    /** Answer to clt_read_piece(): `bytes` with an `owner`. */
    CLT_EVENT_PIECE_DATA,
    /** Answer to clt_read_piece() that failed: `message`. */
    CLT_EVENT_PIECE_FAILED,
    /** The torrent has stopped because of `message`. */
    CLT_EVENT_ERROR,
    /** A file could not be read or written: `message`; `error` is the errno, ENOSPC if the disk is full. Comes for many
     *  blocks at once. If `is_stalled`, the torrent downloads nothing any more until clt_resume_download(). */
    CLT_EVENT_FILE_ERROR,
    /** The torrent is gone, and its number with it. No event for it comes after this but #CLT_EVENT_DELETED. If
     *  #CLT_EVENT_ADDED had not been sent it is not sent any more. */
    CLT_EVENT_REMOVED,
    /** The files of a torrent that was removed with them are gone, or not: `error` is 0 or says why, with `message`. Left
     *  are those of a torrent whose metadata never came, and those whose paths would cost libtorrent much memory: nothing
     *  is written to them any more. */
    CLT_EVENT_DELETED,
    /** Answer to clt_save_resume(): `bytes` with an `owner`. */
    CLT_EVENT_RESUME_DATA,
    /** Answer to clt_save_resume(): nothing has changed since the last time (`error` 0), or it failed (`message`). */
    CLT_EVENT_NO_RESUME_DATA,
    /** `status`. */
    CLT_EVENT_STATUS,
    /** A tracker failed: `message` has its address and the reason. */
    CLT_EVENT_TRACKER_ERROR,
    /** A peer was banned for bad pieces, or an address was blocked by the filter: `message`. */
    CLT_EVENT_PEER_REFUSED,
    /** Events were lost because they were not taken fast enough, or for want of memory. Those of the kinds
     *  #CLT_EVENT_METADATA, #CLT_EVENT_CHECKED and #CLT_EVENT_PIECE_FINISHED come after this; others may be missing. */
    CLT_EVENT_DROPPED,
} clt_event_kind;

typedef enum {
    CLT_STATE_CHECKING,
    CLT_STATE_FETCHING_METADATA,
    CLT_STATE_DOWNLOADING,
    /** Everything wanted is there. */
    CLT_STATE_FINISHED,
    CLT_STATE_SEEDING,
} clt_torrent_state;

/** @brief Figures of one torrent. Bytes are of payload, rates in bytes a second. */
typedef struct {
    clt_torrent_state state;
    int64_t done_bytes;
    int64_t wanted_bytes;
    int64_t downloaded_bytes;
    int64_t uploaded_bytes;
    int64_t failed_bytes;
    int64_t redundant_bytes;
    int32_t download_rate;
    int32_t upload_rate;
    int32_t peers;
    int32_t seeds;
    int32_t known_peers;
    uint8_t is_stalled;
} clt_status;

typedef struct {
    clt_event_kind kind;
    /** 0 for events of the session. */
    uint64_t torrent;
    int32_t piece;
    int32_t error;
    uint8_t is_stalled;
    /** Whether a torrent could not be added because there is another one with one of its hashes. */
    uint8_t is_duplicate;
    /** In English, ends with NUL; never NULL, may be empty. Contains text from peers and trackers: not to be
     *  trusted. */
    const char *message;
    const uint8_t *bytes;
    size_t byte_count;
    /** If not NULL, `bytes` stay valid until clt_buffer_release(owner), which must then be called once. */
    void *owner;
    clt_endpoint endpoint;
    clt_status status;
} clt_event;

/** @brief Takes the events that there are and calls `handler` with each, in order, on this thread. Only one thread may
 *  be in here. BLOCKS for resume data, and for #CLT_EVENT_METADATA, #CLT_EVENT_CHECKED and the first #CLT_EVENT_FILE_ERROR. The handler may
 *  call every function here but clt_session_poll() and clt_session_close().
 *
 *  @return how many there were */
size_t clt_session_poll(
    clt_session *session, void (*handler)(void *context, const clt_event *event), void *context) CLT_NOEXCEPT;

void clt_buffer_release(void *owner) CLT_NOEXCEPT;

/* Torrents */

/** @brief What clt_add() adds. All zero is a valid start. */
typedef struct {
    /** Chosen by the caller; not 0 and never used before in this session. */
    uint64_t torrent;
    /** The info-hashes, either of which may be NULL: 20 bytes, 32 bytes. Not needed with `torrent_file`. */
    const uint8_t *info_hash_v1;
    const uint8_t *info_hash_v2;
    /** A whole .torrent: at least the info dictionary, and for v2 the piece layers. May be NULL: then the metadata is
     *  asked of peers. Of everything else in it nothing is used. */
    const uint8_t *torrent_file;
    size_t torrent_file_count;
    /** From #CLT_EVENT_RESUME_DATA, may be NULL. Used of it: which pieces are there, whole and in part, if
     *  `torrent_file` is given; counts; peers. Pieces are believed to be there as long as the sizes of the files allow
     *  it. Without it the files are checked if there are any, and likewise if its checksum is wrong or it is another
     *  torrent's. */
    const uint8_t *resume_data;
    size_t resume_data_count;
    /** Whether of the resume data nothing but the peers is used. */
    uint8_t resumes_peers_only;
    /** Where the files go; created when the first byte is written. An absolute path. */
    const char *directory;
    const char *const *trackers;
    size_t tracker_count;
    const clt_endpoint *peers;
    size_t peer_count;
    /** How many pieces from the first on are wanted as soon as metadata is there. Nothing else is downloaded until it
     *  is asked for with clt_set_priorities(). */
    uint32_t wanted_head;
    /** 0 and less for no limit. */
    int32_t max_connections;
    int32_t max_uploads;
} clt_new_torrent;

/** @brief The most pieces a torrent may have. With more it is refused. */
#define CLT_MAX_PIECES 65536

/** @brief Adds a torrent, which starts at once and is not queued. Answered by #CLT_EVENT_ADDED; until then every
 *  function but clt_remove() says #CLT_NO_TORRENT.
 *  @return #CLT_INVALID if the torrent file does not parse, has more than #CLT_MAX_PIECES pieces or another info-hash
 *  than given, or if the arguments do not fit together. */
clt_code clt_add(clt_session *session, const clt_new_torrent *torrent) CLT_NOEXCEPT;

/** @brief Ends a torrent; with `deletes_files` also what it has on the disk. Answered by #CLT_EVENT_REMOVED, also if it
 *  was not added yet, and then #CLT_EVENT_DELETED. Nothing that was asked for before is answered any more, but for an
 *  event that the polling thread was just about to hand over. */
clt_code clt_remove(clt_session *session, uint64_t torrent, int deletes_files) CLT_NOEXCEPT;

typedef struct {
    int32_t piece;
    /** 0 is not wanted, 1 the least, 7 the most. */
    uint8_t priority;
} clt_piece_priority;

/** @brief Sets the priorities of some pieces in one go. */
clt_code clt_set_priorities(
    clt_session *session, uint64_t torrent, const clt_piece_priority *priorities, size_t count) CLT_NOEXCEPT;

/** @brief Wants `piece` within `milliseconds` from now: its priority becomes 7, and blocks may be asked of more than
 *  one peer. The first deadline of a torrent that has none cancels what was requested for other pieces. Does nothing
 *  for a piece that is there. */
clt_code clt_set_deadline(clt_session *session, uint64_t torrent, int32_t piece, int32_t milliseconds) CLT_NOEXCEPT;

/** @brief Takes a deadline back. The priority becomes 1, not what it was. */
clt_code clt_reset_deadline(clt_session *session, uint64_t torrent, int32_t piece) CLT_NOEXCEPT;

/** @brief Takes all deadlines back, likewise. */
clt_code clt_clear_deadlines(clt_session *session, uint64_t torrent) CLT_NOEXCEPT;

/** @brief Asks for the bytes of a piece. Answered by #CLT_EVENT_PIECE_DATA or #CLT_EVENT_PIECE_FAILED.
 *  @return #CLT_NOT_HAVE unless #CLT_EVENT_CHECKED or #CLT_EVENT_PIECE_FINISHED has said that it is there: libtorrent
 *  2.0.8 would stop the torrent. What is not on the disk either gives zeros: see clt_is_on_disk(). */
clt_code clt_read_piece(clt_session *session, uint64_t torrent, int32_t piece) CLT_NOEXCEPT;

/** @brief Whether every byte of `piece` can be read from the files: #CLT_OK or #CLT_NOT_HAVE. BLOCKS. After
 *  #CLT_EVENT_PIECE_FINISHED it can take some milliseconds to become so, and if writing fails it does not. */
clt_code clt_is_on_disk(clt_session *session, uint64_t torrent, int32_t piece) CLT_NOEXCEPT;

/** @brief The path of a file of a torrent with metadata, below its directory and as libtorrent writes it, which is not
 *  always as the metadata has it. Ends with NUL.
 *  @return #CLT_INVALID if there is no such file, or `path` is too small. */
clt_code clt_file_path(
    clt_session *session, uint64_t torrent, int32_t file, char *path, size_t capacity) CLT_NOEXCEPT;

/** @brief What libtorrent makes of the metadata, to be compared with what the caller does: the sizes of files and
 *  pieces decide where each byte is. */
typedef struct {
    int64_t total_bytes;
    int32_t piece_length;
    int32_t piece_count;
    int32_t file_count;
} clt_layout;
clt_code clt_get_layout(clt_session *session, uint64_t torrent, clt_layout *layout) CLT_NOEXCEPT;
clt_code clt_get_file_layout(
    clt_session *session, uint64_t torrent, int32_t file, int64_t *offset, int64_t *size) CLT_NOEXCEPT;

/** @brief Goes on with a torrent that stopped for an error, or downloads nothing since the disk was full. */
clt_code clt_resume_download(clt_session *session, uint64_t torrent) CLT_NOEXCEPT;

/** @brief Tries a peer. */
clt_code clt_connect_peer(clt_session *session, uint64_t torrent, const clt_endpoint *peer) CLT_NOEXCEPT;

/** @brief Has peers that were lost while nothing was wanted tried again, each when its turn has come.
 *
 *  libtorrent 2.0.8 connects to no seed while nothing is wanted of a torrent, and goes on to count those as none when
 *  something is wanted again: without peers that are new it stays alone.
 *
 *  @param max_connections  as it was added with */
clt_code clt_retry_peers(clt_session *session, uint64_t torrent, int32_t max_connections) CLT_NOEXCEPT;

/** @brief Adds a tracker. */
clt_code clt_add_tracker(clt_session *session, uint64_t torrent, const char *url) CLT_NOEXCEPT;

/** @brief Asks for what is needed to go on later without checking the files. */
clt_code clt_save_resume(clt_session *session, uint64_t torrent, int only_if_modified) CLT_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
