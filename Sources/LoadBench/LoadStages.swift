import Config

/// How many players or connections there are at what time: from stage to stage on a straight line.
package struct LoadStages: Sendable, Equatable {
    private struct Stage: Sendable, Equatable {
        /// How many there are at its end.
        let target: Int
        let duration: Duration
    }

    private static let longest = Duration.seconds(24 * 3600)
    private static let most = 1000

    /// How many there are at the beginning.
    private let first: Int
    private let stages: [Stage]

    /// The same load all the time.
    package init(_ count: Int, for duration: Duration) {
        first = count
        stages = [Stage(target: count, duration: duration)]
    }

    /// As the command line has it: `20:30s` is from what there was before, none at first, to 20 within 30 seconds.
    ///
    /// - Returns: `nil` for anything else, blanks included.
    package init?(_ text: String) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count <= Self.most else { return nil }
        var (stages, total) = ([Stage](), Duration.zero)
        for part in parts {
            let halves = part.split(separator: ":", omittingEmptySubsequences: false)
            guard halves.count == 2, let target = Int(digits: halves[0]), target <= 1_000_000,
                let duration = Duration(configText: String(halves[1])), duration <= Self.longest
            else { return nil }
            total += duration
            guard total <= Self.longest else { return nil }
            stages.append(Stage(target: target, duration: duration))
        }
        guard total > .zero else { return nil }
        first = 0
        self.stages = stages
    }

    package var duration: Duration { stages.reduce(.zero) { $0 + $1.duration } }

    package var highest: Int { stages.reduce(first) { max($0, $1.target) } }

    /// A short load before this one: for a second at most, as many as the first stage comes to that has any.
    package var warmUp: LoadStages {
        let count = ([first] + stages.map(\.target)).first { $0 > 0 } ?? 0
        return LoadStages(count, for: min(duration, .seconds(1)))
    }

    /// - Parameter elapsed: since the beginning; past the end it is what the last stage came to.
    package func level(at elapsed: Duration) -> Int {
        var (before, begins) = (first, Duration.zero)
        for stage in stages {
            let ends = begins + stage.duration
            if elapsed < ends {
                let share = max((elapsed - begins) / stage.duration, 0)
                return before + Int((Double(stage.target - before) * share).rounded())
            }
            (before, begins) = (stage.target, ends)
        }
        return before
    }
}

extension LoadStages: CustomStringConvertible {
    package var description: String {
        guard stages.count != 1 || first == 0 else { return "\(first) for \(duration.configText)" }
        return stages.map { "\($0.target):\($0.duration.configText)" }.joined(separator: ",")
    }
}

extension FixedWidthInteger {
    /// Decimal digits and nothing else; `nil` for anything more and for numbers that are too large.
    init?(digits text: some StringProtocol) {
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let number = Self(text, radix: 10)
        else { return nil }
        self = number
    }
}
