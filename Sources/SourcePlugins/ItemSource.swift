/// A source whose items are brought in by requests and stay for a while: torrents.
///
/// An item is named by an ``ItemID``, which is the first component of the paths below it. Whatever is known of an item
/// is kept, also when it is not loaded and after a restart; `open` and `list` work for known items only, and load them
/// when their bytes are needed.
package protocol ItemSource: ListingSource {
    /// Who may bring in an item that is not known.
    var addPolicy: AddPolicy { get }

    /// Reads what a request names. No I/O.
    ///
    /// - Throws: ``SourceError``: `badReference` if it names no item, with what is wrong.
    func reference(_ text: String) throws -> ItemReference

    /// Reads a whole description of an item, a .torrent file. No I/O.
    ///
    /// - Throws: ``SourceError`` `badReference`, likewise.
    func reference(file: [UInt8]) throws -> ItemReference

    /// Whether the source has read what is known, which takes a moment at the start. Until then no item counts as known,
    /// so this is asked first. Never blocks.
    var isReady: Bool { get }

    /// Whether the item can be described without asking anybody else. Never blocks: event loops ask.
    func isKnown(_ id: ItemID) -> Bool

    /// Describes an item from what is known, without loading it.
    ///
    /// - Returns: `nil` if it is not known.
    func describe(_ id: ItemID) async throws -> ItemDescription?

    /// Describes an item from what is known, and takes in what the reference says of where it is to be had.
    ///
    /// - Returns: `nil` if it is not known.
    func describe(_ reference: ItemReference) async throws -> ItemDescription?

    /// Describes an item, and asks the world for it if it is not known. However many ask at once, the world is asked once.
    ///
    /// - Throws: ``SourceError``: `timedOut` if nobody answered in time, `refused` if what came is not acceptable,
    ///   `overloaded` if there are too many items in use. `CancellationError` when the caller has left.
    func resolve(_ reference: ItemReference) async throws -> ItemDescription

    /// Stops an item and forgets what is kept of it. Reads that are under way end with `notFound`.
    ///
    /// - Parameter force: whether to do so although it is in use.
    /// - Throws: ``SourceError``: `notFound` if it is neither known nor loaded, `busy` if it is in use.
    func remove(_ id: ItemID, force: Bool) async throws

    /// How an item is doing; `nil` if it is not known. One that is not loaded has no rates and no peers.
    func status(_ id: ItemID) async -> ItemStatus?

    /// How every known item is doing, by name.
    func statuses() async -> [ItemStatus]

    /// Which parts of a loaded item are there, as lengths of runs, the first of which is of parts that are not.
    /// `nil` if it is not loaded.
    func pieces(_ id: ItemID) async -> PieceRuns?
}

extension ItemSource {
    package func describe(_ reference: ItemReference) async throws -> ItemDescription? {
        try await describe(reference.id)
    }

    /// Whether what `path` names can be found without asking anybody else. Never blocks.
    package func isKnown(_ path: MediaPath) -> Bool {
        guard let id = path.components.first.flatMap({ ItemID($0.description) }) else { return true }
        return isKnown(id)
    }
}

/// Who may bring in new items.
package struct AddPolicy: Sendable, Hashable {
    package enum Who: String, Sendable, CaseIterable {
        /// Requests from this machine.
        case local
        case anyone
        /// Requests on the admin listener.
        case admin
    }

    package var who: Who
    /// Web pages of these origins may do so too ("http://localhost:5173"); those of the gateway itself always may.
    package var origins: [String]

    package init(who: Who, origins: [String]) {
        self.who = who
        self.origins = origins
    }
}

/// The name of an item: 40 or 64 hexadecimal digits in lower case, an info-hash.
package struct ItemID: Sendable, Hashable, CustomStringConvertible {
    package let description: String

    /// - Returns: `nil` unless `text` is 40 or 64 hexadecimal digits, of either case.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 40 || text.utf8.count == 64, text.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            return nil
        }
        description = text.lowercased()
    }
}

/// What a request says of an item: its name, and what helps to find it. Made by the source that reads it.
package struct ItemReference: Sendable {
    package let id: ItemID
    /// The source's own.
    package let details: any Sendable

    package init(id: ItemID, details: any Sendable) {
        self.id = id
        self.details = details
    }
}

/// What is in an item.
package struct ItemDescription: Sendable {
    package struct File: Sendable {
        /// The number of the file within its item. Files that are not to be seen have numbers too.
        package var index: Int
        /// Relative to the source: the item's ID and then the names as the item has them. Not necessarily unique.
        package var path: MediaPath
        /// In bytes.
        package var size: Int64
        package var revision: Revision

        package init(index: Int, path: MediaPath, size: Int64, revision: Revision) {
            self.index = index
            self.path = path
            self.size = size
            self.revision = revision
        }
    }

    package var id: ItemID
    /// For people: from strangers, so not to be trusted.
    package var name: String
    /// In the item's order, without those that nobody should see.
    package var files: [File]

    package init(id: ItemID, name: String, files: [File]) {
        self.id = id
        self.name = name
        self.files = files
    }
}

/// How an item is doing. Bytes are of payload, rates in bytes a second.
package struct ItemStatus: Sendable {
    package enum State: String, Sendable, CaseIterable {
        /// Known and not loaded.
        case stored
        case checking
        /// Asks for its description.
        case resolving
        case downloading
        /// Everything that was asked for is there.
        case idle
        case complete
        case failed
    }

    package var id: ItemID
    package var name: String
    package var state: State
    /// Of everything in it.
    package var size: Int64
    /// What is on the disk, of each file by its index; empty if that is not known.
    package var fileBytes: [Int: Int64] = [:]
    package var doneBytes: Int64 = 0
    package var downloadedBytes: Int64 = 0
    package var uploadedBytes: Int64 = 0
    package var downloadRate: Int64 = 0
    package var uploadRate: Int64 = 0
    package var peers: Int = 0
    package var seeds: Int = 0
    /// How many leases there are.
    package var readers: Int = 0
    /// Why it failed.
    package var failure: String?

    package init(id: ItemID, name: String, state: State, size: Int64) {
        self.id = id
        self.name = name
        self.state = state
        self.size = size
    }
}

/// Parts of an item as lengths of runs, absent ones first, then present, and so on.
package struct PieceRuns: Sendable, Hashable {
    /// In bytes.
    package var pieceLength: Int
    package var runs: [Int]

    package init(pieceLength: Int, runs: [Int]) {
        self.pieceLength = pieceLength
        self.runs = runs
    }
}
