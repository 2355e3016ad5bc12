/// What a run does, whatever server it is against.
package struct LoadPlan: Sendable {
    package enum Work: Sendable {
        /// The target without a range, again and again.
        case ping
        /// Random ranges of so many bytes of the target.
        case range(length: Int64)
        case players(PlayerHabits, zipf: Double)
    }

    package var work: Work
    package var stages: LoadStages
    /// Requests a second, of all connections together; for ping.
    package var rate: Double?
    package var seed: UInt64
    /// How long a client waits for a byte.
    package var patience = Duration.seconds(30)
    /// How long answers that were asked for in time may take to their end. What still comes after that is left, which is
    /// no error.
    package var drain = Duration.seconds(10)
    /// Event loops.
    package var threads = 1
    /// At least one. The first is the most popular.
    package var items: [LoadItem]

    package init(_ work: Work, stages: LoadStages, seed: UInt64, items: [LoadItem]) {
        precondition(!items.isEmpty)
        self.work = work
        self.stages = stages
        self.seed = seed
        self.items = items
    }

    package var mode: String {
        switch work {
        case .ping: "ping"
        case .range: "range"
        case .players: "players"
        }
    }

    var isPlayers: Bool {
        if case .players = work { true } else { false }
    }
}

/// Something to ask for, on whatever server.
package struct LoadItem: Sendable {
    /// Begins with a slash, percent-encoded.
    package let path: String
    package let reference: ContentReference
    /// What reports call it.
    package let name: String

    /// - Parameter name: the path without the secrets in it; by default the path.
    package init(path: String, reference: ContentReference, name: String? = nil) {
        self.path = path
        self.reference = reference
        self.name = name ?? path
    }
}
