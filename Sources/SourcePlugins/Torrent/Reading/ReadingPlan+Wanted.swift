extension ReadingPlan {
    /// What is to be fetched, as readers and pieces are now.
    package func wanted() -> WantedPieces {
        guard hasReaders else { return WantedPieces() }
        var wanted = WantedPieces()
        wanted.demands.reserveCapacity(told.count)
        var fronts: [[Int]] = []
        // The newest first: it has nothing to play yet.
        for reader in readers.reversed() {
            var front = Front(policy, layout)
            forEachMissing(in: layout.pieces(of: window(of: reader))) { piece in
                wanted.raise(piece, to: policy.windowPriority)
                front.add(piece)
                return true
            }
            fronts.append(front.pieces)
        }
        let hinted = hintedPieces()
        for piece in hinted { wanted.raise(piece, to: policy.hintPriority) }
        var front = Front(policy, layout)
        for piece in hinted { front.add(piece) }
        setDeadlines(fronts, hints: front.pieces, in: &wanted)
        return wanted
    }

    /// The bytes that are wanted for `reader`.
    func window(of reader: Reader) -> Range<Int64> {
        let share = min(policy.maxWindow, policy.maxTorrentWindow / Int64(max(readers.count, 1)))
        let taken = reader.rate * Int64(policy.windowTime.wholeMilliseconds) / 1000
        let grown = max(policy.initialWindow + reader.contiguous, taken)
        let pastEnd = max(policy.readAheadPastEnd, min(reader.inherited, share))
        let start = reader.position
        let least = start - start % layout.pieceLength + layout.pieceLength * Int64(policy.minWindowPieces)
        let end = max(start + min(grown, share), least)
        return start..<max(start, min(end, reader.end + pastEnd, reader.limit))
    }

    /// Gives the fronts their deadlines: the first piece of each reader, then the first hinted one, then the second
    /// piece of each reader, and so on, so that no reader waits for another one's second.
    private func setDeadlines(_ fronts: [[Int]], hints: [Int], in wanted: inout WantedPieces) {
        let spacing = policy.deadlineSpacing.wholeMilliseconds
        for rank in 0..<policy.frontPieces.upperBound {
            let time = rank * spacing
            for front in fronts where rank < front.count { setDeadline(front[rank], time, in: &wanted) }
            if rank < hints.count { setDeadline(hints[rank], time + spacing / 2, in: &wanted) }
        }
    }

    private func setDeadline(_ piece: Int, _ milliseconds: Int, in wanted: inout WantedPieces) {
        guard wanted.demands[piece]?.priority != PieceDemand.urgent else { return }
        let isWithinLimit = wanted.deadlines.count < policy.maxDeadlines
        wanted.demands[piece] = PieceDemand(
            priority: PieceDemand.urgent,
            deadline: isWithinLimit ? milliseconds : nil
        )
        if isWithinLimit { wanted.deadlines.append(piece) }
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

/// The pieces of a window that get deadlines, as far as they are found.
private struct Front {
    private let limit: Int
    private(set) var pieces: [Int] = []

    init(_ policy: ReadingPolicy, _ layout: PieceLayout) {
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
