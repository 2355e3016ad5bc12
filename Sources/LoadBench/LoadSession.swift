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

    package struct Progress: Sendable {
        package let name: String
        package let round: Int
        package let rounds: Int
        package let duration: Duration
        package let run: LoadRun.Progress
    }

    /// What was measured.
    package struct Outcome: Sendable {
        /// For each server, what each of its turns measured, in order.
        package var turns: [[Measurements]]
        /// How many rounds came to their end: the first so many turns of each server.
        package var wholeRounds = 0
        /// Whether it ended before all rounds did.
        package var isInterrupted = false
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
    /// - Throws: `CancellationError` if nothing was measured by then, and what the event loops throw when they cannot be
    ///   stopped.
    package func run(_ progress: @escaping @Sendable (Progress) -> Void = { _ in }) async throws -> Outcome {
        var outcome = Outcome(turns: contenders.map { _ in [] })
        for round in 1...rounds {
            let turns = Array(contenders.enumerated())
            for (index, contender) in round.isMultiple(of: 2) ? turns.reversed() : turns {
                var plan = plan
                plan.items = contender.items
                plan.seed = plan.seed &+ UInt64(round - 1)
                let (rounds, duration) = (rounds, plan.stages.duration)
                do {
                    outcome.turns[index].append(
                        try await LoadRun(plan, against: contender.server).run {
                            progress(
                                Progress(
                                    name: contender.name,
                                    round: round,
                                    rounds: rounds,
                                    duration: duration,
                                    run: $0
                                )
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
}
