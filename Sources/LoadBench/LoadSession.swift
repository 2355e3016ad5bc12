/// Loads on one server, or on two in turn.
package struct LoadSession: Sendable {
    /// A server, and what is asked of it.
    package struct Contender: Sendable {
        /// What reports call it.
        package let name: String
        package let server: LoadServer
        package let items: [LoadItem]

        package init(name: String, server: LoadServer, items: [LoadItem]) {
            self.name = name
            self.server = server
            self.items = items
        }
    }

    /// What is told at the beginning of a warm-up, and each second.
    package enum Progress: Sendable {
        /// - Parameter server: counted from 1.
        case warmingUp(server: Int)
        case turn(Turn)
    }

    /// How far the turn of a server is.
    package struct Turn: Sendable {
        /// Counted from 1; `nil` if there is but one.
        let server: Int?
        let round: Int
        let rounds: Int
        let duration: Duration
        let run: LoadRun.Progress

        package init(server: Int?, round: Int, rounds: Int, duration: Duration, run: LoadRun.Progress) {
            self.server = server
            self.round = round
            self.rounds = rounds
            self.duration = duration
            self.run = run
        }
    }

    /// What was measured.
    package struct Outcome: Sendable {
        /// For each server, what each of its turns measured, in order.
        package var turns: [[Measurements]]
        /// How many rounds came to their end: the first so many turns of each server.
        package var wholeRounds = 0
        /// Whether it ended before all rounds did.
        package var isInterrupted = false
        /// Whether there were no rounds, because a server gave no right answer before them. The turns are the warm-ups.
        package var endedWarmingUp = false
    }

    package let plan: LoadPlan
    /// One or two.
    package let contenders: [Contender]
    package let rounds: Int

    package init(_ plan: LoadPlan, _ contenders: [Contender], rounds: Int) {
        self.plan = plan
        self.contenders = contenders
        self.rounds = max(rounds, 1)
    }

    /// All rounds. Within one, the servers have their turns with the same seed, so that both are asked for the same. Who
    /// begins changes from round to round, so that what a first turn leaves behind, or what grows with time, is no one's
    /// advantage. They end at once when the task is cancelled.
    ///
    /// Two servers are warmed up before the first round: the first turn of all would be slower than those after it. What
    /// is measured then is left out, unless a server gives nothing but errors: that is the result, and there are no rounds.
    ///
    /// - Throws: `CancellationError` if nothing was measured by then, and what the event loops throw when they cannot be
    ///   stopped.
    package func run(_ progress: @escaping @Sendable (Progress) -> Void = { _ in }) async throws -> Outcome {
        if contenders.count > 1 {
            let warmUps = try await warmUp(progress)
            if warmUps.contains(where: { $0.requests == 0 && $0.errors > 0 }) {
                return Outcome(turns: warmUps.map { [$0] }, endedWarmingUp: true)
            }
        }
        var outcome = Outcome(turns: contenders.map { _ in [] })
        for round in 1...rounds {
            let turns = Array(contenders.enumerated())
            for (index, contender) in round.isMultiple(of: 2) ? turns.reversed() : turns {
                var plan = plan
                plan.items = contender.items
                plan.seed = plan.seed &+ UInt64(round - 1)
                let (rounds, duration) = (rounds, plan.stages.duration)
                let server = contenders.count > 1 ? index + 1 : nil
                do {
                    outcome.turns[index].append(
                        try await LoadRun(plan, against: contender.server).run {
                            progress(
                                .turn(Turn(server: server, round: round, rounds: rounds, duration: duration, run: $0))
                            )
                        }
                    )
                } catch let error as CancellationError {
                    guard outcome.turns.contains(where: { !$0.isEmpty }) else { throw error }
                }
                outcome.isInterrupted = Task.isCancelled
                if outcome.isInterrupted { return outcome }
            }
            outcome.wholeRounds = round
        }
        return outcome
    }

    /// What each server does in a short load.
    private func warmUp(_ progress: @escaping @Sendable (Progress) -> Void) async throws -> [Measurements] {
        var results: [Measurements] = []
        for (index, contender) in contenders.enumerated() {
            var plan = plan
            plan.items = contender.items
            plan.stages = plan.stages.warmUp
            // Not what the first round asks for, which may have to find a cache without it.
            plan.seed &-= 1
            progress(.warmingUp(server: index + 1))
            results.append(
                try await LoadRun(plan, against: contender.server).run { _ in progress(.warmingUp(server: index + 1)) }
            )
            try Task.checkCancellation()
        }
        return results
    }
}
