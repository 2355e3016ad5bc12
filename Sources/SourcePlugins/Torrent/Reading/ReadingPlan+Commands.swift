extension ReadingPlan {
    /// Takes `wanted` as told.
    ///
    /// - Returns: the commands that make of what was told what is wanted. The order matters: taking a deadline back
    /// sets a priority, so priorities come after that; a deadline sets one too, so no piece that has one is among
    /// them, and an anchor gets its own back at the end.
    mutating func tell(_ wanted: WantedPieces) -> [PieceCommand] {
        var commands: [PieceCommand] = []
        let timed = told.lazy.filter { $0.value.deadline != nil }.map(\.key)
        let abandoned = timed.filter { wanted.demands[$0]?.deadline == nil }.sorted()
        if !abandoned.isEmpty {
            let isAll = abandoned.count == toldDeadlines + (anchor == nil ? 0 : 1)
            commands.append(isAll ? .clearAll : .reset(abandoned))
            for piece in abandoned { told[piece] = PieceDemand(priority: PieceDemand.abandoned) }
        }
        let priorities = changedPriorities(wanted)
        if !priorities.isEmpty { commands.append(.priorities(priorities)) }
        // The anchor first: each deadline overtakes those before.
        let deadlines = ([wanted.anchor].compactMap(\.self) + wanted.deadlines).compactMap { piece in
            wanted.demands[piece]?.deadline.flatMap { milliseconds in
                told[piece]?.deadline == milliseconds
                    ? nil : PieceCommand.Deadline(piece: piece, milliseconds: milliseconds)
            }
        }
        if !deadlines.isEmpty { commands.append(.deadlines(deadlines)) }
        if let piece = wanted.anchor, let demand = wanted.demands[piece], told[piece] != demand {
            commands.append(.priorities([PieceCommand.Priority(piece: piece, priority: demand.priority)]))
        }
        (told, toldDeadlines, anchor) = (wanted.demands, wanted.deadlines.count, wanted.anchor)
        return commands
    }

    private func changedPriorities(_ wanted: WantedPieces) -> [PieceCommand.Priority] {
        var changed: [PieceCommand.Priority] = []
        for piece in told.keys where wanted.demands[piece] == nil {
            changed.append(PieceCommand.Priority(piece: piece, priority: 0))
        }
        for (piece, demand) in wanted.demands where demand.deadline == nil {
            guard told[piece]?.priority != demand.priority else { continue }
            changed.append(PieceCommand.Priority(piece: piece, priority: demand.priority))
        }
        return changed.sorted { $0.piece < $1.piece }
    }
}
