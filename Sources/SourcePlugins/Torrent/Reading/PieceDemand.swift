/// What is wanted of one piece.
package struct PieceDemand: Sendable, Hashable {
    /// 1, the least, to 7. With a deadline it is 7, but for the anchor.
    package var priority: UInt8
    /// In milliseconds from when the library is told.
    package var deadline: Int?

    /// What a deadline makes of a piece's priority.
    package static let urgent: UInt8 = 7
    /// The deadline of an anchor, a day.
    package static let anchored = 86_400_000
    /// What the library makes of it when the deadline is taken back or met.
    package static let abandoned: UInt8 = 1

    package init(priority: UInt8, deadline: Int? = nil) {
        self.priority = priority
        self.deadline = deadline
    }
}

/// Everything that is wanted of a torrent.
package struct WantedPieces: Sendable, Hashable {
    /// Of pieces that are missing, and not of all others.
    package var demands: [Int: PieceDemand] = [:]
    /// The pieces with a deadline, the most urgent first; the anchor is not among them.
    package var deadlines: [Int] = []
    /// A piece whose deadline is so far off that it is not hurried. It keeps the library's list of deadlines from becoming
    /// empty when the others are met at once, which would cancel what was requested.
    package var anchor: Int?
}

/// What libtorrent 2.0.8 is to be told, one after the other and without anything in between.
package enum PieceCommand: Sendable, Hashable {
    /// Take back the deadlines of these pieces.
    case reset([Int])
    /// Take back all deadlines.
    case clearAll
    case priorities([Priority])
    case deadlines([Deadline])

    package struct Priority: Sendable, Hashable {
        package var piece: Int
        package var priority: UInt8

        package init(piece: Int, priority: UInt8) {
            self.piece = piece
            self.priority = priority
        }
    }

    package struct Deadline: Sendable, Hashable {
        package var piece: Int
        package var milliseconds: Int

        package init(piece: Int, milliseconds: Int) {
            self.piece = piece
            self.milliseconds = milliseconds
        }
    }
}
