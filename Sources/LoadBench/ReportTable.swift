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
        return summary + "\n\n" + Self.columns([head] + body) + problems
    }

    var summary: String {
        let pace = rate.map { ", \(FigureText.decimal($0, places: 1)) requests/s" } ?? ""
        let turns = rounds > 1 ? ", \(rounds) rounds" : ""
        return "\(mode), \(load)\(pace)\(turns), seed \(seed)" + (interrupted ? ", interrupted" : "")
    }

    /// What went wrong, a line for each kind; empty if nothing did.
    private var problems: String {
        servers.flatMap { server in
            server.errorKinds.map { "\(server.url): \($0.count) × \($0.kind), first: \($0.first)\n" }
                + (server.requests == 0 ? ["\(server.url): no right answer\n"] : [])
        }
        .joined()
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
    package var text: String {
        let second = run.second
        let times = [run.elapsed, duration].map { FigureText.decimal($0.inSeconds, places: 0) }
        var parts = [
            "\(times.joined(separator: "/")) s",
            "\(second.level) at a time", "\(second.requests) requests", "\(FigureText.size(Double(second.bytes)))/s",
        ]
        if let time = second.firstByte {
            parts.append(
                "first byte p50 \(FigureText.milliseconds(time.p50.inMilliseconds)), "
                    + "p99 \(FigureText.milliseconds(time.p99.inMilliseconds))"
            )
        }
        if second.stalls > 0 { parts.append("\(second.stalls) stalls") }
        if run.errors > 0 { parts.append("\(run.errors) errors") }
        return (rounds > 1 ? "\(name) \(round)/\(rounds)  " : "") + parts.joined(separator: "  ")
    }
}
