/// What became of one object that was to be brought into the cache.
package struct WarmResult: Sendable, Hashable, Codable {
    package enum Outcome: String, Sendable, Hashable, Codable {
        /// All of it was there before.
        case present
        /// All of it is there now.
        case stored
        case failed
    }

    /// As it was named.
    package var name: String
    package var outcome: Outcome
    /// What was read of it.
    package var bytes: Int64
    /// Why it failed.
    package var error: String?

    package init(name: String, outcome: Outcome, bytes: Int64 = 0, error: String? = nil) {
        self.name = name
        self.outcome = outcome
        self.bytes = bytes
        self.error = error
    }
}

/// What `media-gateway cache warm --json` prints.
package struct WarmReport: Sendable, Hashable, Codable {
    package var results: [WarmResult] = []
    package var seconds: Double = 0

    package init(results: [WarmResult] = [], seconds: Double = 0) {
        self.results = results
        self.seconds = seconds
    }

    package var bytes: Int64 { results.reduce(0) { $0 + $1.bytes } }

    package func count(_ outcome: WarmResult.Outcome) -> Int { results.count { $0.outcome == outcome } }
}

/// How far it is.
package struct WarmProgress: Sendable, Hashable {
    /// Objects that are done with, and all there are.
    package var done = 0
    package var total = 0
    /// What was read of all of them.
    package var bytes: Int64 = 0
    /// The object that is being read, what was read of it, and its size if that is known.
    package var name = ""
    package var objectBytes: Int64 = 0
    package var objectSize: Int64?

    package init(
        done: Int = 0,
        total: Int = 0,
        bytes: Int64 = 0,
        name: String = "",
        objectBytes: Int64 = 0,
        objectSize: Int64? = nil
    ) {
        self.done = done
        self.total = total
        self.bytes = bytes
        self.name = name
        self.objectBytes = objectBytes
        self.objectSize = objectSize
    }
}
