import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// One read of a file of a torrent. Dropping it takes back what it wanted.
///
/// Only verified pieces are given out. Short pieces come from libtorrent whole; long ones are read from the files as far as
/// they are asked for, never across the end of a piece.
final class TorrentRead: Sendable {
    private struct State {
        /// In the file.
        var position: Int64
        var current: (piece: Int, bytes: PieceBytes)?
        var open: OpenFile?
        var priming: Task<Void, Never>?
    }

    /// The file as it was under one number of the torrent: after the torrent began anew, it is another.
    private struct OpenFile {
        let number: UInt64
        let descriptor: Int32
        /// The piece that was last found to be on the disk.
        var settledPiece: Int?
    }

    /// Longer pieces are read from the files: libtorrent would copy all of one for each part that is asked for.
    private static let longestWholePiece: Int64 = 1 << 20
    private static let bufferSize: Int64 = 256 << 10

    private let torrent: LoadedTorrent
    private let file: TorrentFile
    private let pieceLength: Int64
    private let end: Int64
    private let lease: Lease
    private let pool: NIOThreadPool
    private let reader: ReaderID
    private let state: Mutex<State>

    /// - Parameters:
    ///   - range: not empty, and within the file.
    ///   - client: whom it is for; `nil` if nobody can tell, or if it is for nobody.
    init(
        of file: TorrentFile,
        _ range: Range<Int64>,
        in torrent: LoadedTorrent,
        pieceLength: Int64,
        client: ReadClient?,
        lease: Lease,
        pool: NIOThreadPool
    ) {
        self.torrent = torrent
        self.file = file
        self.pieceLength = pieceLength
        self.lease = lease
        self.pool = pool
        end = range.upperBound
        let bytes = file.offset + range.lowerBound..<file.offset + range.upperBound
        reader = torrent.openReader(bytes, limit: file.offset + file.size, client: client)
        state = Mutex(State(position: range.lowerBound))
    }

    deinit {
        torrent.closeReader(reader)
        state.withLock { state in
            state.priming?.cancel()
            if let open = state.open { close(open.descriptor) }
        }
    }

    /// Looks for the index of the file for as long as this read goes on.
    func follow(_ priming: IndexPriming) {
        // Cancelled by `deinit`.
        let task = Task { [torrent, index = file.index] in
            do {
                try await priming.run()
            } catch {
                torrent.endPriming(index)
            }
        }
        state.withLock { $0.priming = task }
    }

    /// The next bytes, or `nil` at the end.
    ///
    /// - Throws: ``SourceError`` or `CancellationError`.
    func next() async throws -> ByteBuffer? {
        let position = state.withLock { $0.position }
        guard position < end else { return nil }
        let start = file.offset + position
        let piece = Int(start / pieceLength)
        let offset = start % pieceLength
        let count = min(end - position, pieceLength - offset, Self.bufferSize)
        let part = Int(offset)..<Int(offset + count)
        // If it throws, no other follows.
        torrent.pullReader(reader)
        let buffer =
            pieceLength <= Self.longestWholePiece
            ? try await whole(piece, part) : try await fromFile(piece, position..<position + count)
        state.withLock { $0.position = position + count }
        torrent.moveReader(reader, to: start + count)
        torrent.used()
        return buffer
    }

    private func whole(_ piece: Int, _ part: Range<Int>) async throws -> ByteBuffer {
        var bytes = state.withLock { state in state.current.flatMap { $0.piece == piece ? $0.bytes : nil } }
        if bytes == nil {
            bytes = try await waiting { try await torrent.bytes(of: piece) }
            state.withLock { $0.current = bytes.map { (piece, $0) } }
        }
        guard let bytes, bytes.count >= part.upperBound else {
            throw SourceError(.unavailable, "libtorrent gave fewer bytes than the piece has")
        }
        return bytes.withBytes(part) { ByteBuffer(bytes: $0) }
    }

    private func fromFile(_ piece: Int, _ range: Range<Int64>) async throws -> ByteBuffer {
        var failure = SourceError(.unavailable, "the file of the torrent is not there")
        // The files may be deleted between the one and the other, and then come again.
        for _ in 0..<3 {
            try await waiting { try await torrent.presence(of: piece) }
            do {
                return try await pool.call { [self] in try read(range, in: piece) }
            } catch let error as SourceError {
                closeFile()
                failure = error
            }
        }
        throw failure
    }

    /// Counts how long `wait` takes, also where it ends without the piece.
    private func waiting<Result: Sendable>(_ wait: () async throws -> Result) async throws -> Result {
        let start = ContinuousClock.now
        defer { torrent.metrics.observePieceWait(.now - start) }
        return try await wait()
    }

    private func closeFile() {
        if let open = state.withLock({ $0.open.take() }) { close(open.descriptor) }
    }

    /// Blocks.
    private func read(_ range: Range<Int64>, in piece: Int) throws -> ByteBuffer {
        let file = try openFile(for: piece)
        let count = Int(range.upperBound - range.lowerBound)
        var buffer = ByteBufferAllocator().buffer(capacity: count)
        while buffer.readableBytes < count {
            let offset = range.lowerBound + Int64(buffer.readableBytes)
            let rest = count - buffer.readableBytes
            let received = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: rest) { space in
                max(pread(file.descriptor, space.baseAddress, min(rest, space.count), off_t(offset)), 0)
            }
            guard received > 0 else {
                throw SourceError(.unavailable, "a file of the torrent is shorter than it should be")
            }
        }
        return buffer
    }

    /// The file, in which all of `piece` is.
    ///
    /// It is opened first and the piece asked for then: what libtorrent says of a piece, it says of the files that the number
    /// stands for, so a file that was opened under it before is the one.
    private func openFile(for piece: Int) throws -> OpenFile {
        let number = torrent.number
        if state.withLock({ $0.open.map { $0.number != number } ?? false }) { closeFile() }
        if let open = state.withLock({ $0.open }), open.settledPiece == piece { return open }
        var file = try state.withLock { $0.open } ?? OpenFile(number: number, descriptor: descriptor(number))
        state.withLock { $0.open = file }
        // What was said of the piece may be older than this number. libtorrent is asked, on a thread of the pool, which may wait:
        // half a second, and a tenth more for each mebibyte.
        let deadline = ContinuousClock.now + .milliseconds(500 + 100 * (pieceLength >> 20))
        // Under another number the file is another.
        while torrent.failure == nil, torrent.number == number {
            if torrent.session.isOnDisk(piece, number: number) {
                file.settledPiece = piece
                state.withLock { $0.open = file }
                return file
            }
            guard ContinuousClock.now < deadline else { break }
            usleep(500)
        }
        throw SourceError(.unavailable, "a piece of the torrent was not written to the disk in time")
    }

    private func descriptor(_ number: UInt64) throws -> Int32 {
        guard let path = torrent.session.path(ofFile: file.index, number: number) else {
            throw SourceError(.unavailable, "the torrent is not loaded any more")
        }
        let folder = open(torrent.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { if folder >= 0 { close(folder) } }
        let descriptor = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw SourceError(.unavailable, "the file of the torrent is not there") }
        return descriptor
    }
}

/// One file of a torrent. The torrent is loaded when bytes of it are read.
final class TorrentObject: MediaObject {
    let info: ObjectInfo
    private let source: TorrentSource
    private let torrent: StoredTorrent
    private let file: TorrentFile

    init(_ file: TorrentFile, of torrent: StoredTorrent, in source: TorrentSource) {
        self.file = file
        self.torrent = torrent
        self.source = source
        info = ObjectInfo(size: file.size, revision: torrent.revision(of: file), validity: .immutable)
    }

    func read(_ range: Range<Int64>) async throws -> ByteStream {
        let range = range.clamped(to: 0..<file.size)
        guard !range.isEmpty else { return ByteStream { nil } }
        let read = try await source.read(file, range, of: torrent)
        // What cannot be had at all is told before there is a stream.
        let first = Mutex(try await read.next())
        return ByteStream {
            if let buffer = first.withLock({ $0.take() }) { return buffer }
            return try await read.next()
        }
    }
}
