import Logging

/// Keeps one place in the code from filling the log: a hundred lines a second, whatever makes it write them.
///
/// Levels below `info` are not counted; who asks for those wants them all.
struct LogBudget {
    private static let linesPerSecond = 100

    private struct Place: Hashable {
        let file: String
        let line: UInt
    }

    private struct Use {
        var second: Int64
        var lines = 0
        var leftOut = 0
    }

    /// As many as there are places in the code.
    private var uses: [Place: Use] = [:]

    /// - Parameter time: nanoseconds since 1970.
    /// - Returns: `nil` if the line is to be left out, else how many were since the last line from there.
    mutating func admit(_ event: LogEvent, at time: Int64) -> Int? {
        guard event.level >= .info else { return 0 }
        let place = Place(file: event.file, line: event.line)
        let second = time / 1_000_000_000
        var use = uses[place] ?? Use(second: second)
        defer { uses[place] = use }
        if use.second != second {
            use.second = second
            use.lines = 0
        }
        guard use.lines < Self.linesPerSecond else {
            use.leftOut += 1
            return nil
        }
        use.lines += 1
        defer { use.leftOut = 0 }
        return use.leftOut
    }
}
