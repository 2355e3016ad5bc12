import NIOCore
package import SourcePlugins
import Synchronization

/// A source whose objects are made up as they are read, of any size, and which misbehaves as a test tells it to.
package final class SyntheticSource: ListingSource {
    /// One object and how it behaves. Changes count from the next `open`, or the next piece of a read under way.
    package struct Object: Sendable {
        /// How `open` answers.
        package enum Opening: Sendable {
            case answers
            case fails(SourceError)
            /// Not before the gate is opened, which may be never.
            case waits(Gate)
        }

        fileprivate let name: String
        package var size: Int64
        /// Whether `info.size` tells the size.
        package var announcesSize = true
        /// Whether `info.revision` tells the generation.
        package var hasRevision = true
        /// Raising it changes every byte and the revision; reads of an earlier generation then fail with `changed`.
        package var generation = 0
        package var lastModified: Timestamp? = Timestamp(seconds: 1_700_000_000)
        package var mediaType: String?
        package var validity = Validity.recheck(after: .seconds(1))
        /// Whether `lease` gives a lease.
        package var isLoaded = false
        package var opening = Opening.answers
        /// A read that gets to this offset fails there; what lies before is given.
        package var failure: (offset: Int64, error: SourceError)?
        /// A read that gets to this offset waits there; what lies before is given.
        package var stall: (offset: Int64, gate: Gate)?

        package var content: PatternBytes { PatternBytes(name, generation: generation) }

        fileprivate var info: ObjectInfo {
            ObjectInfo(
                size: announcesSize ? size : nil,
                revision: hasRevision ? Revision("g\(generation)-\(size)") : nil,
                lastModified: lastModified,
                mediaType: mediaType,
                validity: validity
            )
        }
    }

    /// What has been asked of the source so far, and what of it is still going on.
    package struct Counts: Sendable, Hashable {
        package var opens = 0
        /// Objects that are open now.
        package var openObjects = 0
        package var reads = 0
        /// The ranges of all reads, in the order they came.
        package var ranges: [Range<Int64>] = []
        /// Whom the reads were for, in the same order.
        package var clients: [ReadClient?] = []
        /// Reads that are under way now.
        package var openReads = 0
        /// Reads that were given up before their end, by cancellation or by dropping the stream.
        package var cancelledReads = 0
        package var bytes: Int64 = 0
        /// Leases that are held now.
        package var leases = 0
        package var lists = 0
    }

    package let counts = Observed(Counts())
    private let objects = Mutex<[MediaPath: Object]>([:])
    private let pieceSize: Int
    package let isRemote: Bool

    /// - Parameter pieceSize: the length of the buffers that reads give; the last one may be shorter.
    package init(pieceSize: Int = 64 << 10, isRemote: Bool = false) {
        self.isRemote = isRemote
        self.pieceSize = pieceSize
    }

    /// Adds an object whose bytes are those of `PatternBytes(path)`.
    ///
    /// - Throws: ``SourceError`` `badPath`.
    package func put(_ path: String, size: Int64, _ adjust: (inout Object) -> Void = { _ in }) throws {
        var object = Object(name: path, size: size)
        adjust(&object)
        let key = try MediaPath(path)
        objects.withLock { [object] in $0[key] = object }
    }

    /// Changes how an object behaves; does nothing if there is none.
    package func update(_ path: String, _ change: (inout Object) -> Void) throws {
        let key = try MediaPath(path)
        guard var object = object(key) else { return }
        change(&object)
        objects.withLock { [object] in $0[key] = object }
    }

    package func remove(_ path: String) throws {
        let key = try MediaPath(path)
        objects.withLock { $0[key] = nil }
    }

    /// Waits until nothing is open, read or leased.
    package func untilIdle() async throws {
        try await counts.until { $0.openObjects == 0 && $0.openReads == 0 && $0.leases == 0 }
    }

    fileprivate func object(_ path: MediaPath) -> Object? {
        objects.withLock { $0[path] }
    }

    package func open(_ path: MediaPath) async throws -> any MediaObject {
        counts.update { $0.opens += 1 }
        guard let object = object(path) else { throw SourceError(.notFound, "there is no such object") }
        switch object.opening {
        case .answers: break
        case .fails(let error): throw error
        case .waits(let gate): try await gate.pass()
        }
        return SyntheticObject(object, at: path, in: self, pieceSize: pieceSize)
    }

    package func lease(_ path: MediaPath) -> Lease? {
        guard let object = object(path), object.isLoaded else { return nil }
        counts.update { $0.leases += 1 }
        return Lease { [counts] in counts.update { $0.leases -= 1 } }
    }

    package func list(_ path: MediaPath) async throws -> [MediaEntry] {
        counts.update { $0.lists += 1 }
        let depth = path.components.count
        var entries: [MediaPath.Component: MediaEntry] = [:]
        for (key, object) in objects.withLock({ $0 }) {
            let components = key.components
            guard components.count > depth, components.prefix(depth).elementsEqual(path.components) else { continue }
            let name = components[depth]
            let isFile = components.count == depth + 1
            entries[name] = MediaEntry(
                name: name,
                kind: isFile ? .file(size: object.size) : .directory,
                lastModified: isFile ? object.lastModified : nil
            )
        }
        guard path.isRoot || !entries.isEmpty else { throw SourceError(.notFound, "there is no such directory") }
        return entries.values.sorted { $0.name < $1.name }
    }
}

private final class SyntheticObject: MediaObject {
    let info: ObjectInfo
    private let opened: SyntheticSource.Object
    private let path: MediaPath
    private let source: SyntheticSource
    private let pieceSize: Int

    init(_ object: SyntheticSource.Object, at path: MediaPath, in source: SyntheticSource, pieceSize: Int) {
        self.info = object.info
        self.opened = object
        self.path = path
        self.source = source
        self.pieceSize = pieceSize
        source.counts.update { $0.openObjects += 1 }
    }

    deinit { source.counts.update { $0.openObjects -= 1 } }

    func read(_ range: Range<Int64>) async throws -> ByteStream {
        let end = opened.announcesSize ? range.upperBound : min(range.upperBound, opened.size)
        precondition(range.lowerBound >= 0 && end <= opened.size, "the range lies outside the object")
        let reader = SyntheticReader(self, range.lowerBound..<end, source.counts, asked: range)
        try await reader.prepare()
        return ByteStream { try await reader.next() }
    }

    /// The bytes at the start of `range`: as many as fit a piece and lie before whatever is to happen next.
    func piece(_ range: Range<Int64>) async throws -> ByteBuffer {
        try Task.checkCancellation()
        if let stall = source.object(path)?.stall, stall.offset == range.lowerBound {
            try await stall.gate.pass()
        }
        var end = min(range.upperBound, range.lowerBound + Int64(pieceSize))
        if let current = source.object(path) {
            guard current.generation == opened.generation else {
                throw SourceError(.changed, "the object changed while it was read")
            }
            if let failure = current.failure {
                guard failure.offset > range.lowerBound else { throw failure.error }
                end = min(end, failure.offset)
            }
            if let stall = current.stall, stall.offset > range.lowerBound {
                end = min(end, stall.offset)
            }
        }
        return opened.content.buffer(range.lowerBound..<end)
    }
}

private final class SyntheticReader: Sendable {
    private struct State {
        var rest: Range<Int64>
        var ready: ByteBuffer?
        var isOver = false
    }

    private let object: SyntheticObject
    private let counts: Observed<SyntheticSource.Counts>
    private let state: Mutex<State>

    init(
        _ object: SyntheticObject,
        _ range: Range<Int64>,
        _ counts: Observed<SyntheticSource.Counts>,
        asked: Range<Int64>
    ) {
        self.object = object
        self.counts = counts
        state = Mutex(State(rest: range))
        counts.update { counts in
            counts.reads += 1
            counts.openReads += 1
            counts.ranges.append(asked)
            counts.clients.append(ReadClient.current)
        }
    }

    deinit {
        let isOver = state.withLock { $0.isOver }
        counts.update { counts in
            counts.openReads -= 1
            if !isOver { counts.cancelledReads += 1 }
        }
    }

    func prepare() async throws {
        let piece = try await nextPiece()
        state.withLock { $0.ready = piece }
    }

    func next() async throws -> ByteBuffer? {
        if let piece = state.withLock({ $0.ready.take() }) { return piece }
        return try await nextPiece()
    }

    private func nextPiece() async throws -> ByteBuffer? {
        let rest = state.withLock { $0.rest }
        guard !rest.isEmpty else {
            state.withLock { $0.isOver = true }
            return nil
        }
        do {
            let piece = try await object.piece(rest)
            state.withLock { $0.rest = (rest.lowerBound + Int64(piece.readableBytes))..<rest.upperBound }
            counts.update { $0.bytes += Int64(piece.readableBytes) }
            return piece
        } catch let error as SourceError {
            state.withLock { $0.isOver = true }
            throw error
        }
    }
}
