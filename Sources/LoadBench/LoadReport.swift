import FoundationEssentials

/// What a session measured, as its JSON has it. Times are in milliseconds where a name says so.
package struct LoadReport: Sendable, Codable, Equatable {
    package let invocation: LoadInvocation?
    package let mode: String
    /// The stages, as `--stages` takes them, or a number and a time.
    package let load: String
    /// Requests a second, if they were given.
    package let rate: Double?
    package let seed: UInt64
    package let rounds: Int
    /// Whether it was ended early: the figures are of what came before that.
    package let interrupted: Bool
    /// Whether there were no rounds, because a server gave no right answer before them: the figures are of the warm-up.
    package let endedWarmingUp: Bool
    package let comparison: Comparison
    package let servers: [Server]
    /// Of two servers, the first beside the second.
    package let ratios: [Ratio]

    /// What bodies were compared with.
    package enum Comparison: String, Sendable, Codable {
        case nothing
        /// With what was there at the first time, from whatever server.
        case first
        case file
    }

    package struct Server: Sendable, Codable, Equatable {
        package let url: String
        /// Of the stages. Requests and bytes a second are those that came within them.
        package let seconds: Double
        package let requests: Int
        package let requestsPerSecond: Double
        package let bytes: Int64
        package let bytesPerSecond: Double
        package let comparedBytes: Int64
        package let errors: Int
        package let wrongBytes: Int
        package let errorKinds: [ErrorKind]
        /// Requests that were due and not sent.
        package let missed: Int
        package let firstByte: Times
        /// To the last byte; nothing for players, who set the pace themselves.
        package let whole: Times
        package let players: Players?
        /// Those that came to their end.
        package let rounds: [Round]
        package let perSecond: [Second]
    }

    /// The figures that ratios are of. Times are not rounded.
    package struct Round: Sendable, Codable, Equatable {
        package let requestsPerSecond: Double
        package let bytesPerSecond: Double
        package let firstByteP50Ms: Double?
        package let firstByteP99Ms: Double?
        /// As the next one, not of players.
        package let lastByteP50Ms: Double?
        package let lastByteP99Ms: Double?
        /// As those below, of players alone.
        package let startP50Ms: Double?
        package let seekP50Ms: Double?
        package let stalledSeconds: Double?
    }

    package struct ErrorKind: Sendable, Codable, Equatable {
        package let kind: String
        package let count: Int
        package let first: String
    }

    package struct Times: Sendable, Codable, Equatable {
        package let count: UInt64
        package let meanMs: Double?
        package let p50Ms: Double?
        package let p90Ms: Double?
        package let p95Ms: Double?
        package let p99Ms: Double?
        package let p999Ms: Double?
        package let maxMs: Double?
    }

    package struct Players: Sendable, Codable, Equatable {
        /// From the choice of a film to its first picture.
        package let start: Times
        /// From a jump or a return to the picture.
        package let seek: Times
        package let stall: Times
        package let stalledSeconds: Double
        package let watchedSeconds: Double
        /// Starts, jumps and returns without a picture when the run ended, or when the player gave up.
        package let notBegun: Int
        package let abandoned: Int
    }

    package struct Second: Sendable, Codable, Equatable {
        package let level: Int
        package let requests: Int
        package let bytes: Int64
        package let errors: Int
        package let stalls: Int
        package let firstByteP50Ms: Double?
        package let firstByteP95Ms: Double?
        package let firstByteP99Ms: Double?
    }

    /// The median of the rounds' ratios; absent where a round has none, or a server had errors.
    package struct Ratio: Sendable, Codable, Equatable {
        package let what: String
        package let ratio: Double?
    }

    /// Whether every server answered, and every answer was right.
    package var isFaultless: Bool { servers.allSatisfy { $0.errors == 0 && $0.requests > 0 } }

    package init(_ session: LoadSession, _ outcome: LoadSession.Outcome, invocation: LoadInvocation? = nil) {
        self.init(
            plan: session.plan,
            rounds: session.rounds,
            servers: zip(session.contenders, outcome.turns).map { ($0.name, $1) },
            wholeRounds: outcome.wholeRounds,
            isInterrupted: outcome.isInterrupted,
            endedWarmingUp: outcome.endedWarmingUp,
            invocation: invocation
        )
    }

    /// - Parameters:
    ///   - servers: with what each round measured.
    ///   - wholeRounds: how many of these came to their end, and are compared; `nil` for all.
    ///   - isInterrupted: whether it ended before all rounds did.
    ///   - endedWarmingUp: whether there were none, and the servers' rounds are their warm-ups.
    package init(
        plan: LoadPlan,
        rounds: Int,
        servers: [(name: String, rounds: [Measurements])],
        wholeRounds: Int? = nil,
        isInterrupted: Bool = false,
        endedWarmingUp: Bool = false,
        invocation: LoadInvocation? = nil
    ) {
        self.invocation = invocation
        mode = plan.mode
        load = plan.stages.description
        rate = plan.rate
        seed = plan.seed
        self.rounds = rounds
        interrupted = isInterrupted
        self.endedWarmingUp = endedWarmingUp
        comparison = Comparison(plan.items[0].reference)
        self.servers = servers.map { server in
            var sum = Measurements()
            for round in server.rounds { sum.append(round) }
            let whole = server.rounds.prefix(wholeRounds ?? rounds).map { Round($0, isPlayers: plan.isPlayers) }
            return Server(url: server.name, sum, rounds: whole, isPlayers: plan.isPlayers)
        }
        ratios =
            self.servers.count == 2 ? Self.ratios(self.servers[0], self.servers[1], isPlayers: plan.isPlayers) : []
    }

    package func json() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Encoding fails for numbers that are not finite; there are none.
        return (try? encoder.encode(self)).map { Array($0) + [UInt8(ascii: "\n")] } ?? Array("{}\n".utf8)
    }

    private static func ratios(_ first: Server, _ second: Server, isPlayers: Bool) -> [Ratio] {
        var figures: [(String, (Round) -> Double?)] = [
            ("requests/s", { $0.requestsPerSecond }), ("bytes/s", { $0.bytesPerSecond }),
            ("first byte p50", { $0.firstByteP50Ms }), ("first byte p99", { $0.firstByteP99Ms }),
        ]
        if isPlayers {
            figures += [
                ("start p50", { $0.startP50Ms }), ("seek p50", { $0.seekP50Ms }),
                ("stalled time", { $0.stalledSeconds }),
            ]
        } else {
            figures += [("last byte p50", { $0.lastByteP50Ms }), ("last byte p99", { $0.lastByteP99Ms })]
        }
        // An answer that is wrong may come sooner than a right one.
        let isComparable = first.errors == 0 && second.errors == 0
        return figures.map { name, figure in
            let ratios = zip(first.rounds, second.rounds).map { one, other -> Double? in
                guard let one = figure(one), let other = figure(other), other > 0 else { return nil }
                return one / other
            }
            let known = ratios.compactMap { $0 }
            return Ratio(what: name, ratio: isComparable && known.count == ratios.count ? known.median : nil)
        }
    }
}

extension LoadReport.Comparison {
    fileprivate init(_ reference: ContentReference) {
        switch reference {
        case .unknown: self = .nothing
        case .first: self = .first
        case .file: self = .file
        }
    }
}

extension LoadReport.Round {
    fileprivate init(_ round: Measurements, isPlayers: Bool) {
        let milliseconds = { (times: LatencyHistogram, percent: Double) in
            times.percentile(percent).map { $0 / .milliseconds(1) }
        }
        requestsPerSecond = round.requestsPerSecond
        bytesPerSecond = round.bytesPerSecond
        firstByteP50Ms = milliseconds(round.firstByte, 50)
        firstByteP99Ms = milliseconds(round.firstByte, 99)
        lastByteP50Ms = milliseconds(round.whole, 50)
        lastByteP99Ms = milliseconds(round.whole, 99)
        startP50Ms = milliseconds(round.starts, 50)
        seekP50Ms = milliseconds(round.seeks, 50)
        stalledSeconds = isPlayers ? round.stalledTime.inSeconds : nil
    }
}

extension LoadReport.Server {
    fileprivate init(url: String, _ sum: Measurements, rounds: [LoadReport.Round], isPlayers: Bool) {
        self.url = url
        self.rounds = rounds
        seconds = sum.elapsed.inSeconds
        requests = sum.requests
        requestsPerSecond = sum.requestsPerSecond
        bytes = sum.bytes
        bytesPerSecond = sum.bytesPerSecond
        comparedBytes = sum.comparedBytes
        errors = sum.errors
        wrongBytes = sum.failures[.wrongBytes]?.count ?? 0
        errorKinds = sum.failures
            .map { LoadReport.ErrorKind(kind: $0.key.description, count: $0.value.count, first: $0.value.detail) }
            .sorted { ($1.count, $0.kind) < ($0.count, $1.kind) }
        missed = sum.missed
        firstByte = LoadReport.Times(sum.firstByte)
        whole = LoadReport.Times(sum.whole)
        players =
            isPlayers
            ? LoadReport.Players(
                start: LoadReport.Times(sum.starts),
                seek: LoadReport.Times(sum.seeks),
                stall: LoadReport.Times(sum.stalls),
                stalledSeconds: sum.stalledTime.inSeconds,
                watchedSeconds: sum.watchedTime.inSeconds,
                notBegun: sum.notBegun,
                abandoned: sum.abandoned
            ) : nil
        perSecond = sum.seconds.map(LoadReport.Second.init)
    }
}

extension LoadReport.Times {
    fileprivate init(_ histogram: LatencyHistogram) {
        let percentile = { (percent: Double) in histogram.percentile(percent)?.inMilliseconds }
        count = histogram.count
        meanMs = histogram.mean?.inMilliseconds
        p50Ms = percentile(50)
        p90Ms = percentile(90)
        p95Ms = percentile(95)
        p99Ms = percentile(99)
        p999Ms = percentile(99.9)
        maxMs = histogram.longestTime?.inMilliseconds
    }
}

extension LoadReport.Second {
    fileprivate init(_ second: Measurements.Second) {
        level = second.level
        requests = second.requests
        bytes = second.bytes
        errors = second.errors
        stalls = second.stalls
        firstByteP50Ms = second.firstByte?.p50.inMilliseconds
        firstByteP95Ms = second.firstByte?.p95.inMilliseconds
        firstByteP99Ms = second.firstByte?.p99.inMilliseconds
    }
}

extension [Double] {
    fileprivate var median: Double? {
        guard !isEmpty else { return nil }
        let sorted = sorted()
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }
}
