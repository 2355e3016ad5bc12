package import ServiceLifecycle

/// A place media comes from: a directory, an origin, a swarm, a plugin process.
///
/// Making a source does no I/O, so that checking a configuration is cheap; background work belongs in `run()`,
/// which returns on graceful shutdown or cancellation. A `run()` that throws marks the source as down and ends
/// nothing else.
package protocol MediaSource: Service {
    /// Finds the object at `path`, which is relative to this source.
    ///
    /// Never blocks the calling thread: file, network and library calls run elsewhere.
    ///
    /// - Throws: ``SourceError``, or `CancellationError` when the caller has left.
    func open(_ path: MediaPath) async throws -> any MediaObject

    /// Keeps the item that holds `path` loaded for as long as the lease lives. Never loads it.
    ///
    /// Synchronous, so that a cache hit can take one on an event loop.
    ///
    /// - Returns: `nil` if the item is not loaded, or if this source has nothing to unload.
    func lease(_ path: MediaPath) -> Lease?

    /// Whether the source fetches ahead of its readers by itself, at their pace: then nobody above has to.
    var readsAhead: Bool { get }

    /// Whether to open an object is to ask somebody else: then many who want it at once share one.
    var isRemote: Bool { get }
}

extension MediaSource {
    /// Waits for graceful shutdown or cancellation: the right `run()` for a source without background work.
    package func run() async throws {
        await untilShutdown()
    }

    package func lease(_ path: MediaPath) -> Lease? { nil }

    package var readsAhead: Bool { false }

    package var isRemote: Bool { false }
}

/// What is likely to be read first of an object that is being opened. A source that asks for it over a network may have
/// those bytes come with the answer that tells what the object is.
package enum ReadHint {
    /// Ends at `Int64.max` for all there is; may lie outside the object. `nil` if nothing is known.
    @TaskLocal package static var range: Range<Int64>?
}

/// One revision of one object, held open. Dropping the reference is all there is to closing it.
package protocol MediaObject: AnyObject, Sendable {
    /// What was true of the object when it was opened; it does not change while the object is open.
    var info: ObjectInfo { get }

    /// Reads `range`, which lies within `0..<size`, as buffers that add up to exactly its length.
    ///
    /// An object of unknown size is read with `0..<Int64.max` only, and ends where it ends.
    /// Cancelling the task that pulls the stream, or dropping the stream, stops the work behind it.
    ///
    /// - Throws: ``SourceError``, here if not even the first byte can be had, from the stream after that. `changed`
    ///   says that the bytes on offer are no longer those of ``info``; none of them has been handed out.
    func read(_ range: Range<Int64>) async throws -> ByteStream
}

/// A source that can say what it holds. Looked for once, when the source is added.
package protocol ListingSource: MediaSource {
    /// The entries of the directory at `path`, sorted by name in byte order.
    ///
    /// - Throws: ``SourceError``: `notFound` if there is no directory there.
    func list(_ path: MediaPath) async throws -> [MediaEntry]
}

/// One line of a listing.
package struct MediaEntry: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case directory
        /// A file with its length in bytes.
        case file(size: Int64)
    }

    /// The name within its directory, in the bytes the source has.
    package var name: MediaPath.Component
    package var kind: Kind
    package var lastModified: Timestamp?

    package init(name: MediaPath.Component, kind: Kind, lastModified: Timestamp?) {
        self.name = name
        self.kind = kind
        self.lastModified = lastModified
    }
}
