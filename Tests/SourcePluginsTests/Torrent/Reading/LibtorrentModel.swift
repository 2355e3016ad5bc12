import SourcePlugins

/// What libtorrent 2.0.8 does with priorities and deadlines.
struct LibtorrentModel {
    private(set) var priorities: [Int: UInt8] = [:]
    /// In milliseconds, as they were told, the anchor's among them.
    private(set) var allDeadlines: [Int: Int] = [:]
    /// Those that hurry something.
    var deadlines: [Int: Int] { allDeadlines.filter { $0.value != PieceDemand.anchored } }
    private(set) var have: Set<Int> = []
    /// How often the first deadline cancelled what was requested for other pieces.
    private(set) var cancellations = 0

    mutating func apply(_ commands: [PieceCommand]) {
        for command in commands {
            switch command {
            case .reset(let pieces):
                for piece in pieces { endDeadline(piece) }
            case .clearAll:
                for piece in allDeadlines.keys { endDeadline(piece) }
            case .priorities(let changes):
                for change in changes { setPriority(change.priority, of: change.piece) }
            case .deadlines(let changes):
                for change in changes where !have.contains(change.piece) {
                    if allDeadlines.isEmpty { cancellations += 1 }
                    allDeadlines[change.piece] = change.milliseconds
                    setPriority(7, of: change.piece)
                }
            }
        }
    }

    mutating func finish(_ piece: Int) {
        have.insert(piece)
        endDeadline(piece)
    }

    mutating func lose(_ piece: Int) {
        have.remove(piece)
    }

    /// What it fetches next: a piece with a deadline, or else the first of the highest priority.
    var next: Int? {
        let missing = priorities.filter { !have.contains($0.key) }
        if let piece = deadlines.min(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key { return piece }
        return missing.max { ($0.value, -$0.key) < ($1.value, -$1.key) }?.key
    }

    /// Deadlines and priorities as ``WantedPieces`` has them.
    var demands: [Int: PieceDemand] {
        Dictionary(
            uniqueKeysWithValues: priorities.map {
                ($0.key, PieceDemand(priority: $0.value, deadline: allDeadlines[$0.key]))
            }
        )
    }

    private mutating func endDeadline(_ piece: Int) {
        guard allDeadlines.removeValue(forKey: piece) != nil else { return }
        setPriority(1, of: piece)
    }

    private mutating func setPriority(_ priority: UInt8, of piece: Int) {
        priorities[piece] = priority == 0 ? nil : priority
    }
}
