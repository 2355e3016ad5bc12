/// The figures of a report as rows, one cell for each server, for text and for pages.
struct ReportTable {
    struct Row {
        let label: String
        let cells: [String]
        /// Of two servers; `nil` where a ratio says nothing.
        var ratio: String?
    }

    private(set) var rows: [Row] = []
    private let report: LoadReport

    init(_ report: LoadReport) {
        self.report = report
        add("requests") { "\($0.requests)" }
        add("requests/s", ratio: "requests/s") { FigureText.decimal($0.requestsPerSecond, places: 1) }
        add("bytes") { FigureText.size(Double($0.bytes)) }
        add("bytes/s", ratio: "bytes/s") { FigureText.size($0.bytesPerSecond) + "/s" }
        if report.mode != "ping" {
            add("compared") { FigureText.percent(Double($0.comparedBytes), of: Double($0.bytes)) }
        }
        add("errors") { "\($0.errors)" }
        if report.mode != "ping" { add("answers with wrong bytes") { "\($0.wrongBytes)" } }
        if report.rate != nil { add("due and not sent") { "\($0.missed)" } }
        addTimes("first byte", \.firstByte)
        if report.mode == "players" { addPlayers() } else { addTimes("last byte", \.whole) }
    }

    private mutating func addPlayers() {
        let times: [(String, KeyPath<LoadReport.Players, LoadReport.Times>)] = [
            ("start", \.start), ("seek", \.seek), ("stall", \.stall),
        ]
        for (name, path) in times {
            add("\(name)s") { $0.players.map { "\($0[keyPath: path].count)" } ?? FigureText.nothing }
            add("\(name) p50", ratio: "\(name) p50") { FigureText.milliseconds($0.players?[keyPath: path].p50Ms) }
            add("\(name) p95") { FigureText.milliseconds($0.players?[keyPath: path].p95Ms) }
        }
        add("stalled time", ratio: "stalled time") {
            let (stalled, watched) = ($0.players?.stalledSeconds ?? 0, $0.players?.watchedSeconds ?? 0)
            return "\(FigureText.seconds(stalled)) (\(FigureText.percent(stalled, of: stalled + watched)))"
        }
        add("watched time") { FigureText.seconds($0.players?.watchedSeconds ?? 0) }
        add("not begun") { "\($0.players?.notBegun ?? 0)" }
        add("given up") { "\($0.players?.abandoned ?? 0)" }
    }

    private mutating func addTimes(_ name: String, _ path: KeyPath<LoadReport.Server, LoadReport.Times>) {
        let percentiles: [(String, KeyPath<LoadReport.Times, Double?>)] = [
            ("p50", \.p50Ms), ("p90", \.p90Ms), ("p95", \.p95Ms), ("p99", \.p99Ms), ("p99.9", \.p999Ms),
            ("max", \.maxMs),
        ]
        for (label, percentile) in percentiles {
            add("\(name) \(label)", ratio: "\(name) \(label)") {
                FigureText.milliseconds($0[keyPath: path][keyPath: percentile])
            }
        }
    }

    /// - Parameter ratio: the name of the ratio that belongs to it.
    private mutating func add(_ label: String, ratio: String? = nil, _ cell: (LoadReport.Server) -> String) {
        let cells = report.servers.map(cell)
        guard cells.contains(where: { $0 != FigureText.nothing }) else { return }
        let ratio = report.ratios.first { $0.what == ratio }
        rows.append(Row(label: label, cells: cells, ratio: ratio.map { FigureText.ratio($0.ratio) }))
    }
}

extension LoadReport {
    /// For a terminal.
    package var text: String {
        let table = ReportTable(self)
        let head = [""] + servers.map(\.url) + (ratios.isEmpty ? [] : ["ratio"])
        let body = table.rows.map { [$0.label] + $0.cells + (ratios.isEmpty ? [] : [$0.ratio ?? ""]) }
        let notes = [ratioNote].compactMap { $0 } + problems
        return Self.lines([summary] + origin + [""]) + Self.columns([head] + body) + Self.lines(notes)
    }

    private static func lines(_ lines: [String]) -> String { lines.map { "\($0)\n" }.joined() }

    var summary: String {
        let pace = rate.map { ", \(FigureText.decimal($0, places: 1)) requests/s" } ?? ""
        let turns = rounds > 1 ? ", \(rounds) rounds" : ""
        return "\(mode), \(load)\(pace)\(turns), seed \(seed)" + (interrupted ? ", interrupted" : "")
            + (endedWarmingUp ? ", ended while warming up" : "")
    }

    /// What was run, and when, in lines.
    var origin: [String] {
        invocation.map { [$0.command, "media-gateway \($0.version), \($0.started)"] } ?? []
    }

    /// What the ratios are; `nil` where there are none.
    var ratioNote: String? {
        guard !ratios.isEmpty else { return nil }
        return "ratio: the median over rounds of the first server's figure over the second's"
            + (servers.contains { $0.errors > 0 } ? "; there is none where a server had errors" : "")
    }

    /// What went wrong, a line for each kind; empty if nothing did.
    var problems: [String] {
        let lines = servers.flatMap { server in
            server.errorKinds.map { "\(server.url): \($0.count) × \($0.kind), first: \($0.first)" }
                + (server.requests == 0 ? ["\(server.url): no right answer"] : [])
        }
        guard comparison == .first, servers.count > 1, servers.contains(where: { $0.wrongBytes > 0 }) else {
            return lines
        }
        return lines + ["the two servers differ, or one of them from itself; --compare tells which is wrong"]
    }

    /// The first column to the left, figures to the right.
    private static func columns(_ rows: [[String]]) -> String {
        let count = rows.map(\.count).max() ?? 0
        let widths = (0..<count).map { column in
            rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            var line = zip(row.indices, row).map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 ? cell + padding : padding + cell
            }
            .joined(separator: "  ")
            while line.hasSuffix(" ") { line.removeLast() }
            return line + "\n"
        }
        .joined()
    }
}

extension LoadSession.Progress {
    /// One line.
    ///
    /// - Parameter width: that it has to be shorter than, if there is one; figures that have no room are left out.
    package func text(width: Int? = nil) -> String {
        switch self {
        case .warmingUp(let server): "server \(server)  warming up"
        case .turn(let turn): Self.line(turn.parts, width: width ?? .max)
        }
    }

    private static func line(_ parts: [String], width: Int) -> String {
        var line = ""
        for part in parts {
            let longer = line.isEmpty ? part : "\(line)  \(part)"
            guard longer.count < width || line.isEmpty else { return line }
            line = longer
        }
        return line
    }
}

extension LoadSession.Turn {
    /// The most important first.
    fileprivate var parts: [String] {
        let second = run.second
        let times = [run.elapsed, duration].map { FigureText.decimal($0.inSeconds, places: 0) }
        var parts = run.errors > 0 ? ["\(run.errors) errors"] : []
        if let server { parts.append("server \(server)") }
        if rounds > 1 { parts.append("round \(round)/\(rounds)") }
        parts += ["\(times.joined(separator: "/")) s", "\(second.level) at a time"]
        if let stalls = run.stalls { parts.append("\(stalls) stalls") }
        parts += ["\(second.requests) requests/s", "\(FigureText.size(Double(second.bytes)))/s"]
        if let time = second.firstByte {
            parts += [("p50", time.p50), ("p99", time.p99)].map { name, time in
                "first byte \(name) \(FigureText.milliseconds(time.inMilliseconds))"
            }
        }
        return parts
    }
}
