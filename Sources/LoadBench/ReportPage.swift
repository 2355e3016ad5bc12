extension LoadReport {
    /// One page that needs nothing else: no scripts, no fonts, no pictures from elsewhere.
    package var page: String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
        <title>\(escaped("Load: \(mode)"))</title>
        <style>\(Self.style)</style>
        </head>
        <body>
        <h1>\(escaped("Load: \(mode)"))</h1>
        \(([summary] + origin).map { "<p>\(escaped($0))</p>" }.joined(separator: "\n"))
        \(verdict)
        \(table)
        \(ratioNote.map { "<p>\(escaped($0))</p>" } ?? "")
        \(problemList)
        \(plots.map(Self.figure).joined(separator: "\n"))
        </body>
        </html>

        """
    }

    private var verdict: String {
        let text =
            if !isFaultless {
                "Not every answer was right."
            } else if servers.contains(where: { $0.comparedBytes == 0 }) {
                "Every answer had the right form; bytes were not compared."
            } else {
                "Every answer was right."
            }
        let stalls = servers.reduce(0) { $0 + ($1.players?.stall.count ?? 0) }
        return "<p class=\"\(isFaultless ? "good" : "bad")\">\(text)</p>"
            + (stalls > 0 ? "\n<p class=\"bad\">Stalls: \(stalls).</p>" : "")
    }

    private var table: String {
        let ratio = ratios.isEmpty ? "" : "<th class=\"ratio\">ratio</th>"
        let head = "<tr><th></th>\(servers.map { "<th>\(escaped($0.url))</th>" }.joined())\(ratio)</tr>"
        let rows = ReportTable(self).rows.map { row in
            let cells = (row.cells + (ratios.isEmpty ? [] : [row.ratio ?? ""])).map { "<td>\(escaped($0))</td>" }
            return "<tr><th>\(escaped(row.label))</th>\(cells.joined())</tr>"
        }
        return "<table>\n\(([head] + rows).joined(separator: "\n"))\n</table>"
    }

    private var problemList: String {
        let items = problems.map { "<li>\(escaped($0))</li>" }
        return items.isEmpty ? "" : "<h2>Errors</h2>\n<ul>\n\(items.joined(separator: "\n"))\n</ul>"
    }

    private var plots: [Plot] {
        let level = servers.first?.perSecond.map { Double($0.level) } ?? []
        let isPlayers = mode == "players"
        var plots = [
            Plot(
                title: isPlayers ? "Players" : "Connections",
                unit: "at a time",
                lines: [Plot.Line(name: isPlayers ? "players" : "connections", values: level)]
            ),
            Plot(
                title: mode == "ping" ? "Requests" : "Throughput",
                unit: mode == "ping" ? "a second" : "MiB/s",
                lines: servers.map { server in
                    Plot.Line(name: server.url, values: server.perSecond.map { throughput($0) })
                }
            ),
        ]
        plots += servers.map { server in
            Plot(
                title: "First byte, \(server.url)",
                unit: "ms",
                lines: [
                    Plot.Line(name: "p50", values: server.perSecond.map(\.firstByteP50Ms)),
                    Plot.Line(name: "p95", values: server.perSecond.map(\.firstByteP95Ms)),
                    Plot.Line(name: "p99", values: server.perSecond.map(\.firstByteP99Ms)),
                ]
            )
        }
        plots.append(
            Plot(
                title: isPlayers ? "Errors and stalls" : "Errors",
                unit: "a second",
                lines: servers.flatMap { server in
                    [Plot.Line(name: "errors, \(server.url)", values: server.perSecond.map { Double($0.errors) })]
                        + (isPlayers
                            ? [
                                Plot.Line(
                                    name: "stalls, \(server.url)",
                                    values: server.perSecond.map { Double($0.stalls) }
                                )
                            ]
                            : [])
                }
            )
        )
        return plots
    }

    private func throughput(_ second: Second) -> Double {
        mode == "ping" ? Double(second.requests) : Double(second.bytes) / 1_048_576
    }

    private static func figure(_ plot: Plot) -> String {
        let legend = plot.lines.enumerated()
            .map { "<span class=\"key c\($0 % 6)\">\(escaped($1.name))</span>" }
            .joined(separator: " ")
        return "<h2>\(escaped(plot.title)) <small>\(escaped(plot.unit))</small></h2>\n<p>\(legend)</p>\n\(plot.svg)"
    }

    private static let style = """

        :root {
          color-scheme: light dark;
          --text: #1a1f27; --quiet: #5d6775; --line: #e2e5ea; --ground: #f6f7f9; --good: #16803c; --bad: #c0271d;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --text: #e8ebef; --quiet: #98a3b1; --line: #2a313a; --ground: #0f1216; --good: #4cc777; --bad: #ff7b6e;
          }
        }
        body {
          margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 52rem; background: var(--ground); color: var(--text);
          font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
        }
        h1 { margin: 0; font-size: 1.5rem; }
        h2 { margin: 2rem 0 0; font-size: 1.05rem; }
        small { color: var(--quiet); font-weight: 400; }
        p { margin: .25rem 0; }
        .good { color: var(--good); font-weight: 600; }
        .bad { color: var(--bad); font-weight: 600; }
        table { border-collapse: collapse; margin: 1rem 0; }
        th, td { padding: .15rem .75rem; text-align: right; border-bottom: 1px solid var(--line); }
        th:first-child { text-align: left; font-weight: 400; color: var(--quiet); padding-left: 0; }
        td { font-variant-numeric: tabular-nums; }
        td, .ratio { white-space: nowrap; }
        svg { display: block; width: 100%; }
        svg text { font-size: 11px; fill: var(--quiet); }
        .end { text-anchor: end; }
        .middle { text-anchor: middle; }
        .grid { stroke: var(--line); }
        .line { fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; }
        .key { margin-right: 1rem; font-size: .9rem; }
        .c0 { color: #2f6fe0; } .c1 { color: #d9662b; } .c2 { color: #2f9e5b; }
        .c3 { color: #b0479b; } .c4 { color: #a58a14; } .c5 { color: #1f97a8; }

        """
}
