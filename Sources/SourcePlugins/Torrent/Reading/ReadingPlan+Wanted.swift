extension ReadingPlan {
    /// What is to be fetched, as readers and pieces are now.
    package func wanted() -> WantedPieces {
        var wanted = WantedPieces()
        guard hasReaders else {
            if head > 0 { wantStart(in: &wanted) }
            return wanted
        }
        wanted.demands.reserveCapacity(told.count)
        var fronts: [Front] = []
        // The newest first: it has nothing to play yet.
        for reader in readers.reversed() where reader.pull != .superseded {
            let isFirst = isFirst(reader)
            var front = Front(policy, layout, hasDeadlines: !isSwift || isFirst)
            let reach = reader.position + max(policy.frontReach, layout.pieceLength)
            let frontEnd = isFirst ? firstEnd(of: reader) : reach + 1
            forEachMissing(in: layout.pieces(of: window(of: reader))) { piece in
                wanted.raise(piece, to: isFirst && openingEnd != nil ? policy.openingPriority : policy.windowPriority)
                if layout.bytes(of: piece).lowerBound < frontEnd { front.add(piece) }
                return true
            }
            fronts.append(front)
        }
        let hinted = hintedPieces()
        for piece in hinted { wanted.raise(piece, to: policy.hintPriority) }
        var front = Front(policy, layout, hasDeadlines: true)
        for piece in hinted { front.add(piece) }
        setDeadlines(fronts, hints: front, in: &wanted)
        setAnchor(in: &wanted)
        return wanted
    }

    private func wantStart(in wanted: inout WantedPieces) {
        let opened = openingEnd == nil ? 0..<0 : layout.pieces(of: 0..<min(policy.openingBytes, layout.totalLength))
        forEachMissing(in: 0..<max(opened.upperBound, head)) { piece in
            wanted.raise(piece, to: piece < head ? PieceDemand.urgent : policy.openingPriority)
            return true
        }
    }

    /// The bytes that are wanted for `reader`.
    func window(of reader: Reader) -> Range<Int64> {
        let share = min(policy.maxWindow, policy.maxTorrentWindow / Int64(max(sharers, 1)))
        let slow = policy.initialWindow + reader.contiguous / policy.windowGrowth
        let grown = isSwift ? policy.maxWindow : max(slow, openingEnd == nil ? 0 : policy.openingBytes)
        let pastEnd = max(policy.readAheadPastEnd, min(reader.inherited, share))
        let start = reader.position
        let least = start - start % layout.pieceLength + layout.pieceLength * Int64(policy.minWindowPieces)
        let end = max(start + min(grown, share), least)
        let first = isFirst(reader) && openingEnd == nil ? firstEnd(of: reader) : end
        return start..<max(start, min(end, first, reader.end + pastEnd, reader.limit))
    }

    /// Whether the reader has got nothing yet, and is not about to.
    private func isFirst(_ reader: Reader) -> Bool {
        reader.contiguous == 0 && lacksNext(reader)
    }

    private func firstEnd(of reader: Reader) -> Int64 {
        let pieceEnd = reader.position - reader.position % layout.pieceLength + layout.pieceLength
        return max(reader.position + policy.firstWindow, pieceEnd)
    }

    /// Gives the fronts their deadlines: the first piece of each reader, then the first hinted one, then the second
    /// piece of each reader, and so on, so that no reader waits for another one's second.
    ///
    /// In a swift swarm only a reader's first piece has one, to overtake what was asked for before.
    private func setDeadlines(_ fronts: [Front], hints: Front, in wanted: inout WantedPieces) {
        let spacing = policy.deadlineSpacing.wholeMilliseconds
        for rank in 0..<policy.frontPieces.upperBound {
            let time = rank * spacing
            for front in fronts { setDeadline(of: front, rank, time, in: &wanted) }
            setDeadline(of: hints, rank, time + spacing / 2, in: &wanted)
        }
    }

    private func setDeadline(of front: Front, _ rank: Int, _ milliseconds: Int, in wanted: inout WantedPieces) {
        guard rank < front.pieces.count else { return }
        let piece = front.pieces[rank]
        guard wanted.demands[piece]?.priority != PieceDemand.urgent else { return }
        let hasDeadline = front.hasDeadlines && wanted.deadlines.count < policy.maxDeadlines
        wanted.demands[piece] = PieceDemand(
            priority: PieceDemand.urgent,
            deadline: hasDeadline ? milliseconds : nil
        )
        if hasDeadline { wanted.deadlines.append(piece) }
    }

    /// Beside other deadlines only: alone it would be the most urgent.
    private func setAnchor(in wanted: inout WantedPieces) {
        guard !wanted.deadlines.isEmpty, let piece = anchorPiece(in: wanted) else { return }
        wanted.anchor = piece
        wanted.demands[piece]?.deadline = PieceDemand.anchored
    }

    /// The one there is, as long as it is good; or else the last piece of a window.
    private func anchorPiece(in wanted: WantedPieces) -> Int? {
        if let anchor, isGoodAnchor(anchor, in: wanted) { return anchor }
        return readers.reversed().lazy.compactMap { reader in
            layout.pieces(of: window(of: reader)).last { isGoodAnchor($0, in: wanted) }
        }.first
    }

    private func isGoodAnchor(_ piece: Int, in wanted: WantedPieces) -> Bool {
        wanted.demands[piece].map { $0.priority < PieceDemand.urgent } ?? false
    }

    /// Missing pieces of the hints, in their order, and not more than are wanted at a time.
    private func hintedPieces() -> [Int] {
        var (pieces, room) = ([Int](), policy.hintWindow)
        for hint in hints {
            forEachMissing(in: hint) { piece in
                guard room > 0 else { return false }
                pieces.append(piece)
                room -= layout.pieceLength
                return true
            }
        }
        return pieces
    }

    /// - Parameter body: returns whether to go on.
    private func forEachMissing(in pieces: Range<Int>, _ body: (Int) -> Bool) {
        var rest = pieces
        while let piece = have.firstMissing(in: rest), body(piece) { rest = piece + 1..<pieces.upperBound }
    }
}

/// The most urgent pieces of a window, as far as they are found.
private struct Front {
    let hasDeadlines: Bool
    private let limit: Int
    private(set) var pieces: [Int] = []

    init(_ policy: ReadingPolicy, _ layout: PieceLayout, hasDeadlines: Bool) {
        self.hasDeadlines = hasDeadlines
        let wanted = Int((policy.frontBytes + layout.pieceLength - 1) / layout.pieceLength)
        limit = min(max(wanted, policy.frontPieces.lowerBound), policy.frontPieces.upperBound)
    }

    mutating func add(_ piece: Int) {
        if pieces.count < limit { pieces.append(piece) }
    }
}

extension WantedPieces {
    fileprivate mutating func raise(_ piece: Int, to priority: UInt8) {
        demands[piece, default: PieceDemand(priority: priority)].raise(to: priority)
    }
}

extension PieceDemand {
    fileprivate mutating func raise(to priority: UInt8) {
        self.priority = max(self.priority, priority)
    }
}
