import CLibtorrent

/// What libtorrent says of one torrent, in our own terms. See `clibtorrent.h` for each.
enum TorrentEvent: Sendable {
    /// Whether it could be added; if not, why, whether the session has it already, and the torrent is gone.
    case added(failure: String?, isDuplicate: Bool)
    /// The info dictionary has come from a peer.
    case metadata([UInt8])
    /// Likewise; but it is that of another torrent of the session too, and neither works any more.
    case conflict([UInt8])
    /// The pieces that are on the disk, as a bitfield.
    case checked(bitfield: [UInt8])
    case pieceFinished(Int)
    case hashFailed(Int)
    case pieceData(Int, PieceBytes)
    case pieceFailed(Int, reason: String)
    case stopped(reason: String)
    case fileFailed(errno: Int32, reason: String, isStalled: Bool)
    case removed
    case filesDeleted(failure: String?)
    case resumeData([UInt8])
    case noResumeData(failure: String?)
    case figures(TorrentFigures)
    case trackerFailed(reason: String)

    /// - Returns: `nil` for what is not of one torrent.
    init?(_ event: borrowing clt_event) {
        let piece = Int(event.piece)
        var message: String { String(cString: event.message) }
        var failure: String? { event.error == 0 ? nil : message }
        var bytes: [UInt8] { Array(UnsafeBufferPointer(start: event.bytes, count: event.byte_count)) }
        switch event.kind {
        case CLT_EVENT_ADDED: self = .added(failure: failure, isDuplicate: event.is_duplicate != 0)
        case CLT_EVENT_METADATA: self = .metadata(bytes)
        case CLT_EVENT_CONFLICT: self = .conflict(bytes)
        case CLT_EVENT_CHECKED: self = .checked(bitfield: bytes)
        case CLT_EVENT_PIECE_FINISHED: self = .pieceFinished(piece)
        case CLT_EVENT_HASH_FAILED: self = .hashFailed(piece)
        case CLT_EVENT_PIECE_DATA: self = .pieceData(piece, PieceBytes(event))
        case CLT_EVENT_PIECE_FAILED: self = .pieceFailed(piece, reason: message)
        case CLT_EVENT_ERROR: self = .stopped(reason: message)
        case CLT_EVENT_FILE_ERROR:
            self = .fileFailed(errno: event.error, reason: message, isStalled: event.is_stalled != 0)
        case CLT_EVENT_REMOVED: self = .removed
        case CLT_EVENT_DELETED: self = .filesDeleted(failure: failure)
        case CLT_EVENT_RESUME_DATA:
            self = .resumeData(bytes)
            clt_buffer_release(event.owner)
        case CLT_EVENT_NO_RESUME_DATA: self = .noResumeData(failure: failure)
        case CLT_EVENT_STATUS: self = .figures(TorrentFigures(event.status))
        case CLT_EVENT_TRACKER_ERROR: self = .trackerFailed(reason: message)
        default: return nil
        }
    }
}

/// The bytes of one piece, which libtorrent holds until the last reference goes.
///
/// `@unchecked`: the bytes do not change, and releasing them may be done on any thread.
final class PieceBytes: @unchecked Sendable {
    private let start: UnsafePointer<UInt8>?
    private let owner: UnsafeMutableRawPointer?
    let count: Int

    /// Takes over what the event owns.
    fileprivate init(_ event: borrowing clt_event) {
        start = event.bytes
        count = event.byte_count
        owner = event.owner
    }

    deinit { clt_buffer_release(owner) }

    func withBytes<Value>(_ range: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        let range = range.clamped(to: 0..<count)
        return withExtendedLifetime(self) {
            body(UnsafeRawBufferPointer(start: start.map { $0 + range.lowerBound }, count: range.count))
        }
    }
}

/// Figures of one torrent. Bytes are of payload, rates in bytes a second.
struct TorrentFigures: Sendable, Hashable {
    enum State: Sendable, Hashable {
        case checking
        case fetchingMetadata
        case downloading
        case finished
        case seeding
    }

    var state = State.checking
    var done: Int64 = 0
    var downloaded: Int64 = 0
    var uploaded: Int64 = 0
    var failed: Int64 = 0
    var redundant: Int64 = 0
    var downloadRate: Int64 = 0
    var uploadRate: Int64 = 0
    var peers = 0
    var seeds = 0
    var isStalled = false

    init() {}

    init(_ status: clt_status) {
        state =
            switch status.state {
            case CLT_STATE_FETCHING_METADATA: .fetchingMetadata
            case CLT_STATE_DOWNLOADING: .downloading
            case CLT_STATE_FINISHED: .finished
            case CLT_STATE_SEEDING: .seeding
            default: .checking
            }
        done = status.done_bytes
        downloaded = status.downloaded_bytes
        uploaded = status.uploaded_bytes
        failed = status.failed_bytes
        redundant = status.redundant_bytes
        downloadRate = Int64(status.download_rate)
        uploadRate = Int64(status.upload_rate)
        peers = Int(status.peers)
        seeds = Int(status.seeds)
        isStalled = status.is_stalled != 0
    }
}
