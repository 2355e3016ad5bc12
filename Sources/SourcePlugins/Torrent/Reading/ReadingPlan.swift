/// Names one read of a torrent. The owner of the plan gives the numbers.
package struct ReaderID: Sendable, Hashable {
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) {
        self.rawValue = rawValue
    }
}

/// What all readers of one torrent want, and what libtorrent has to be told so that it does the same.
///
/// A value without clock and I/O: events go in with the time they happened at, ``nextUpdate`` says when to call
/// ``update(now:)``, and that gives the commands to carry out. Each piece that is wanted is in the window of a reader
/// or in a hint, and none is wanted while there is no reader, but for the start of a new torrent. An update costs what
/// the windows hold, whatever the torrent has. Events about readers, pieces and bytes that there are not do nothing.
///
/// libtorrent 2.0.8 forgets a piece's priority with its deadline: it becomes 1, and the piece goes on being downloaded.
/// The first deadline of a torrent that has none cancels what was requested for other pieces, which is right for a seek
/// and wrong while somebody plays: so the next pieces get theirs before the last one is met, and a seek takes the old
/// ones back first. Two of them are often met at the same moment, as several peers send them side by side: an anchor
/// far ahead has a deadline too, that of a day, which hurries nothing.
package struct ReadingPlan: Sendable {
    struct Reader {
        let id: ReaderID
        var position: Int64
        /// Where the read ends.
        let end: Int64
        /// Where its file ends.
        let limit: Int64
        /// Bytes read in one go up to ``position``, by this read and those it continues.
        var contiguous: Int64
        /// As it was at the start.
        var inherited: Int64
        /// `nil` if nobody can tell who reads.
        let viewer: Viewer?
        var pull: Pull
    }

    package let layout: PieceLayout
    package let policy: ReadingPolicy
    /// The pieces that are there.
    package private(set) var have: PieceSet
    /// In the order they came.
    var readers: [Reader] = []
    /// How many of them share what may be wanted: those that are not superseded.
    private(set) var sharers = 0
    /// Not all of them still missing.
    var hints: [Range<Int>] = []
    /// What libtorrent has been told, or does by itself. A piece that is not here has priority 0.
    var told: [Int: PieceDemand]
    /// How many pieces of those have a deadline, the anchor not counted.
    var toldDeadlines = 0
    /// See ``WantedPieces/anchor``; it stays the same for as long as it can.
    var anchor: Int?
    /// Whether pieces come so fast that there is nothing to hurry.
    private(set) var isSwift = false
    private var pace: SwarmPace
    /// When peers are not new any more; `nil` afterwards.
    private(set) var openingEnd: ContinuousClock.Instant?
    /// Pieces from the first on that are wanted most until there is a reader.
    private(set) var head = 0
    private var ended = EndedReads()
    private var lastUpdate: ContinuousClock.Instant?
    private var due: ContinuousClock.Instant?

    /// - Parameters:
    ///   - have: the pieces that are there; a set for another number of pieces counts as empty.
    ///   - priorities: what the torrent was added with, apart from 0. They stay until the first update.
    package init(
        layout: PieceLayout,
        have: PieceSet,
        policy: ReadingPolicy = ReadingPolicy(),
        priorities: [Int: UInt8] = [:]
    ) {
        self.layout = layout
        self.policy = policy.bounded
        self.have = have.pieceCount == layout.pieceCount ? have : PieceSet(pieceCount: layout.pieceCount)
        pace = SwarmPace(swiftRate: self.policy.swiftRate)
        told = priorities.filter { $0.value > 0 }.mapValues { PieceDemand(priority: $0) }
    }

    // MARK: Readers

    package var hasReaders: Bool { !readers.isEmpty }

    /// A read of `bytes` begins, in a file that ends at `limit`.
    ///
    /// A read to the end of the file wants no more of it at a time than any other.
    ///
    /// - Parameter client: may have readers superseded that it has left; see ``beginPull(_:now:)``.
    package mutating func open(
        _ id: ReaderID,
        _ bytes: Range<Int64>,
        limit: Int64,
        client: ReadClient? = nil,
        now: ContinuousClock.Instant
    ) {
        readers.removeAll { $0.id == id }
        let limit = min(max(limit, 0), layout.totalLength)
        let bytes = bytes.clamped(to: 0..<limit)
        let contiguous = continuedBytes(from: bytes.lowerBound, now: now)
        schedule(at: debounced(now))
        readers.append(
            Reader(
                id: id,
                position: bytes.lowerBound,
                end: bytes.upperBound,
                limit: limit,
                contiguous: contiguous,
                inherited: contiguous,
                viewer: client.map { Viewer(client: $0, fileEnd: limit) },
                pull: .idle(since: now)
            )
        )
        countSharers()
    }

    /// The reader wants the bytes from `position` on.
    package mutating func move(_ id: ReaderID, to position: Int64, now: ContinuousClock.Instant) {
        change(id, now: now) { [policy] reader, window in
            let position = min(max(position, 0), reader.end)
            if (reader.position...max(window.upperBound, reader.position)).contains(position) {
                reader.contiguous = min(reader.contiguous + (position - reader.position), policy.fullGrowth)
            } else {
                (reader.contiguous, reader.inherited) = (0, 0)
            }
            reader.position = position
        }
    }

    package mutating func close(_ id: ReaderID, now: ContinuousClock.Instant) {
        guard let index = readers.firstIndex(where: { $0.id == id }) else { return }
        let reader = readers.remove(at: index)
        ended.add(reader.position, contiguous: reader.contiguous, now: now)
        if readers.isEmpty { hints = [] }
        countSharers()
        // The next read is often on its way already.
        schedule(at: now + policy.debounce)
    }

    /// After readers came, went, were superseded or were pulled again.
    mutating func countSharers() {
        sharers = readers.count(where: { $0.pull != .superseded })
    }

    private mutating func change(
        _ id: ReaderID,
        now: ContinuousClock.Instant,
        _ body: (_ reader: inout Reader, _ window: Range<Int64>) -> Void
    ) {
        guard let index = readers.firstIndex(where: { $0.id == id }) else { return }
        let window = window(of: readers[index])
        body(&readers[index], window)
        guard layout.pieces(of: window) != layout.pieces(of: self.window(of: readers[index])) else { return }
        schedule(at: debounced(now))
    }

    private mutating func continuedBytes(from position: Int64, now: ContinuousClock.Instant) -> Int64 {
        let oldest = now - policy.continuationTime
        if let bytes = ended.take(near: position, slack: policy.continuationSlack, notBefore: oldest) { return bytes }
        // The next run of a read may begin before the one in front of it has been taken to its end.
        guard let reader = readers.first(where: { $0.end == position && $0.position < position }) else { return 0 }
        return min(reader.contiguous + (reader.end - reader.position), policy.fullGrowth)
    }

    /// The torrent was loaded, and all its peers are new.
    ///
    /// What libtorrent asks of a peer at a time grows with each block that comes, until nothing is wanted of that peer for
    /// the first time. From then on it is what came in a second of the last five, which is next to nothing if that happens
    /// between the first pieces and those that follow: two blocks, and 40 ms for each two until the second is over. So there
    /// is always something wanted at the opening.
    ///
    /// - Parameter head: pieces from the first on that libtorrent wants most already, as somebody will read them soon; 0
    ///   if the torrent is loaded to be read.
    package mutating func open(head: Int, now: ContinuousClock.Instant) {
        openingEnd = now + policy.openingTime
        self.head = min(head, layout.pieceCount)
        schedule(at: now)
    }

    // MARK: Pieces

    /// The piece is there: its hash is right, and it is in the files.
    package mutating func pieceFinished(_ piece: Int, now: ContinuousClock.Instant) {
        guard have.insert(piece) else { return }
        pace.add(layout.pieceLength, now: now)
        guard let demand = told[piece], demand.priority == PieceDemand.urgent || demand.deadline != nil else { return }
        if demand.deadline != nil { meetDeadline(of: piece) }
        schedule(at: debounced(now))
    }

    /// These pieces are there and no others, whatever was said before.
    package mutating func replaceHave(_ pieces: PieceSet, now: ContinuousClock.Instant) {
        guard pieces.pieceCount == layout.pieceCount else { return }
        have = pieces
        for (piece, demand) in told where demand.deadline != nil && have.contains(piece) {
            meetDeadline(of: piece)
        }
        schedule(at: now)
    }

    private mutating func meetDeadline(of piece: Int) {
        told[piece] = PieceDemand(priority: PieceDemand.abandoned)
        if piece == anchor { anchor = nil } else { toldDeadlines -= 1 }
    }

    /// Bytes that readers are going to want soon, such as an index at the end of a file, in the order of their use.
    ///
    /// Wanted until they are there or the last reader has left, and behind what readers wait for.
    package mutating func hint(_ ranges: [Range<Int64>], now: ContinuousClock.Instant) {
        guard hasReaders else { return }
        var room = max(Int(policy.maxHintBytes / layout.pieceLength), 1) - hints.reduce(0) { $0 + $1.count }
        for range in ranges {
            let pieces = layout.pieces(of: range).prefix(max(room, 0))
            guard have.firstMissing(in: pieces) != nil, !hints.contains(pieces) else { continue }
            hints.append(pieces)
            room -= pieces.count
        }
        schedule(at: debounced(now))
    }

    // MARK: Updates

    /// When to call ``update(now:)``; `nil` if nothing has changed since it was called.
    package var nextUpdate: ContinuousClock.Instant? { due }

    /// What to tell libtorrent now. Good at any time, and needed when ``nextUpdate`` has come.
    package mutating func update(now: ContinuousClock.Instant) -> [PieceCommand] {
        (lastUpdate, due, isSwift) = (now, nil, pace.isSwift(now: now))
        // A swarm that has stopped sends nothing to tell so.
        if isSwift, hasReaders { schedule(at: now + SwarmPace.memory) }
        if let end = openingEnd {
            if now >= end { openingEnd = nil } else { schedule(at: end) }
        }
        if hasReaders { head = 0 }
        supersede(now: now)
        hints.removeAll { have.firstMissing(in: $0) == nil }
        return tell(wanted())
    }

    /// libtorrent has forgotten what it was told: the torrent was added anew, with no piece wanted.
    package mutating func forgetTold(now: ContinuousClock.Instant) {
        (told, toldDeadlines, anchor) = ([:], 0, nil)
        schedule(at: now)
    }

    mutating func schedule(at time: ContinuousClock.Instant) {
        due = min(due ?? time, time)
    }

    /// At once if there is one deadline at most: the next piece must have its own before the last one is met.
    func debounced(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant {
        guard toldDeadlines > 1 || isSwift, let lastUpdate else { return now }
        return max(now, lastUpdate + policy.debounce)
    }
}
