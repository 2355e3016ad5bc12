import SourcePlugins

/// What the command line prints about the cache, for people.
package enum CacheText {
    /// - Parameter now: Unix time in seconds, if it is not that of the clock.
    package static func text(_ report: CacheReport, now: Double? = nil) -> String {
        var table = TextTable()
        table.add("cache", report.directory)
        if let failure = report.failure { table.add("down", failure) }
        let share = report.limitBytes > 0 ? 100 * Double(report.bytes) / Double(report.limitBytes) : 0
        table.add("used", "\(humanSize(report.bytes)) of \(humanSize(report.limitBytes)) (\(decimal(share)) %)")
        // Without a database it is not known what the file takes.
        let hasHoles = report.diskBytes > 0 && report.fileBytes - report.diskBytes >= 1 << 20
        table.add(
            "file",
            humanSize(report.fileBytes) + (hasHoles ? " long, \(humanSize(report.diskBytes)) on the disk" : "")
        )
        table.add("chunks", "\(report.chunks) of up to \(humanSize(Int64(report.chunkSize)))")
        table.add("objects", "\(report.objects)" + agesText(report.ages))
        for source in report.sources {
            let limit = source.limitBytes.map { limit in
                " of \(humanSize(limit)) (\(decimal(limit > 0 ? 100 * Double(source.bytes) / Double(limit) : 0)) %)"
            }
            let hits = source.requests.total > 0 ? ", \(decimal(source.requests.hitPercent)) % hit" : ""
            table.add(
                "source \(source.name)",
                "\(humanSize(source.bytes))\(limit ?? ""), \(count(source.chunks, "chunk"))\(hits)"
            )
        }
        if report.pinnedBytes > 0 {
            table.add("pinned", "\(humanSize(report.pinnedBytes)) of \(humanSize(report.pinLimitBytes))")
        }
        table.add("policy", report.policy)
        table.add("scrub", scrubText(report.scrub, now: now ?? Double(Timestamp.now().seconds)))
        let requests = report.requests
        // A cache that was opened for this look has counted nothing.
        if requests.total > 0 || report.insertions > 0 || report.evictions.total > 0 {
            let warm = report.heat
            table.add("heat", "\(count(warm.objects, "object")), \(humanSize(warm.bytes)) asked for lately")
            table.add(
                "look-ups",
                "\(requests.total): \(requests.hit) hit (\(decimal(requests.hitPercent)) %), \(requests.miss) miss, "
                    + "\(requests.collapsed) collapsed, \(requests.bypass) bypass"
            )
            let (kept, gone) = (report.rejections, report.evictions)
            table.add("stored", "\(report.insertions)")
            table.add(
                "not stored",
                "\(kept.admission) by admission, \(kept.space) no space, \(kept.queue) queue full, \(kept.error) errors"
            )
            table.add(
                "removed",
                "\(gone.space) for space, \(gone.share) over the limit of a source, \(gone.age) by age, "
                    + "\(gone.purge) purged, \(gone.replaced) replaced, \(gone.corrupt) corrupt"
            )
            table.add(
                "in memory",
                "\(humanSize(report.fillBytes)) coming in, \(humanSize(report.queuedBytes)) to be written"
            )
        }
        return table.text
    }

    /// - Parameter now: Unix time in seconds, if it is not that of the clock.
    package static func text(_ list: CacheItemList, now: Double? = nil) -> String {
        guard list.total > 0 else { return "nothing of that is in the cache\n" }
        let now = now ?? Double(Timestamp.now().seconds)
        var table = TextTable(alignment: [.right, .right, .right, .right, .right, .right, .right, .left])
        table.add("CACHED", "SIZE", "PART", "CHUNKS", "HITS", "HEAT", "AGE", "OBJECT")
        for item in list.items {
            let share = item.size > 0 ? 100 * Double(item.bytes) / Double(item.size) : 100
            table.add(
                humanSize(item.bytes),
                humanSize(item.size),
                "\(Int(share)) %",
                "\(item.chunks)",
                "\(item.hits)",
                decimal(item.heat),
                age(now - item.created),
                singleLine("\(item.source)/\(item.path)" + (item.variant.map { " (\($0))" } ?? ""))
                    + (item.isPinned ? " [pinned]" : "")
            )
        }
        let more = list.total - list.items.count
        return table.text + (more > 0 ? "and \(more) more; see --limit\n" : "")
    }

    private static func agesText(_ ages: CacheReport.Ages?) -> String {
        ages.map { ages in
            ", the oldest \(age(ages.oldest)) old, the newest \(age(ages.newest)), half of them over \(age(ages.median))"
        } ?? ""
    }

    private static func scrubText(_ scrub: CacheReport.Scrub?, now: Double) -> String {
        guard let scrub else { return "off" }
        let rate = "\(humanSize(scrub.bytesPerSecond))/s"
        let checked = "\(count(scrub.chunks, "chunk")), \(humanSize(scrub.bytes)) checked at \(rate)"
        return checked + (scrub.completed.map { "; all of them \(age(now - $0)) ago" } ?? "; not yet all of them")
    }

    package static func text(_ report: PurgeReport) -> String {
        "purged \(count(report.objects, "object")) with \(count(report.chunks, "chunk"))\n"
    }

    /// Of what stays until its source has been asked.
    package static func softText(_ report: PurgeReport) -> String {
        "\(count(report.objects, "object")) will be asked for before \(report.objects == 1 ? "it is" : "they are") used again\n"
    }

    package static func text(_ list: PinList) -> String {
        guard !list.pins.isEmpty else { return "nothing is pinned\n" }
        var table = TextTable(alignment: [.right, .right, .left])
        table.add("CACHED", "OBJECTS", "PIN")
        for pin in list.pins { table.add(humanSize(pin.bytes), "\(pin.objects)", pin.name) }
        let kept = "\(humanSize(list.pinnedBytes)) of \(humanSize(list.limitBytes)) kept from eviction"
        let rest = list.evictableBytes
        return table.text + kept + (rest > 0 ? ", \(humanSize(rest)) beyond that not\n" : "\n")
    }

    package static func pinText(_ report: PinReport) -> String {
        let content = "\(count(report.objects, "object")), \(humanSize(report.bytes))"
        return "pinned \(report.name): " + (report.chunks > 0 ? "\(content)\n" : "nothing of it is in the cache yet\n")
    }

    package static func unpinText(_ report: PinReport) -> String {
        "unpinned \(report.name): \(count(report.objects, "object")), \(humanSize(report.bytes))\n"
    }

    package static func text(_ report: VerifyReport) -> String {
        let checked = "checked \(count(report.checked, "chunk")), \(humanSize(report.bytes)): "
        return checked + (report.corrupt == 0 ? "all as stored\n" : "\(report.corrupt) corrupt, dropped\n")
    }

    /// What became of one object that was to be brought into the cache.
    package static func line(_ result: WarmResult) -> String {
        let name = singleLine(result.name)
        return switch result.outcome {
        case .present: "present  \(name)\n"
        case .stored: "stored   \(name), \(humanSize(result.bytes))\n"
        case .failed: "failed   \(name): \(singleLine(result.error ?? ""))\n"
        }
    }

    package static func text(_ report: WarmReport) -> String {
        let (stored, present, failed) = (report.count(.stored), report.count(.present), report.count(.failed))
        return "warmed \(count(stored, "object")), \(humanSize(report.bytes)) in \(clock(report.seconds)); "
            + "\(present) there before, \(failed) failed\n"
    }

    /// Progress on one line: objects done, rate, and the one that is being read.
    package static func progress(_ progress: WarmProgress, elapsed: Duration, width: Int?) -> String {
        let part = progress.objectSize.map { $0 > 0 ? Double(progress.objectBytes) / Double($0) : 1 }
        let isOver = progress.done == progress.total
        let done = Double(progress.done) + (isOver ? 0 : min(part ?? 0, 1))
        var parts = ["\(progress.done)/\(progress.total) objects", humanSize(progress.bytes)]
        parts += rate(progress.bytes, elapsed)
        if !isOver { parts.append(singleLine(progress.name) + (part.map { " \(Int(min($0, 1) * 100)) %" } ?? "")) }
        return bar(progress.total > 0 ? done / Double(progress.total) : 1, parts, width: width)
    }

    package static func text(_ report: RebuildReport) -> String {
        let size = humanSize(Int64(report.chunkSize))
        let isOldSize = report.oldChunkSize == report.chunkSize
        guard !isOldSize || report.checked > 0 else { return "chunks are of \(size) already: nothing to do\n" }
        var text =
            isOldSize
            ? "the file was longer than cache.size wants, and is not any more: "
            : "chunks were of \(humanSize(Int64(report.oldChunkSize))) and are of \(size): "
        text += "\(count(report.chunks, "chunk")), \(humanSize(report.bytes))"
        if report.leftOutBytes > 0 { text += "; \(humanSize(report.leftOutBytes)) left out" }
        if report.corrupt > 0 { text += "; \(report.corrupt) corrupt, dropped" }
        return text + "\n"
    }

    package static func json(_ value: some Encodable) -> String {
        String(decoding: JSONBody.encode(value), as: UTF8.self) + "\n"
    }

    /// Progress on one line: part done, rate, time left.
    package static func progress(_ report: VerifyReport, elapsed: Duration, width: Int?) -> String {
        let share = report.total > 0 ? min(Double(report.checked) / Double(report.total), 1) : 0
        let seconds = elapsed / .seconds(1)
        var parts = ["\(Int(share * 100)) %", "\(report.checked)/\(report.total) chunks"]
        if seconds > 0, report.checked > 0 {
            parts += rate(report.bytes, elapsed)
            parts.append("\(clock(seconds * Double(report.total - report.checked) / Double(report.checked))) left")
        }
        if report.corrupt > 0 { parts.append("\(report.corrupt) corrupt") }
        return bar(share, parts, width: width)
    }

    /// Of nothing in no time there is none.
    private static func rate(_ bytes: Int64, _ elapsed: Duration) -> [String] {
        let seconds = elapsed / .seconds(1)
        guard seconds > 0, bytes > 0 else { return [] }
        return ["\(humanSize(Int64(min(Double(bytes) / seconds, 1e18))))/s"]
    }

    /// - Parameters:
    ///   - share: of what is to be done, 0 to 1.
    ///   - width: of the line, if there is to be a bar.
    private static func bar(_ share: Double, _ parts: [String], width: Int?) -> String {
        let text = parts.joined(separator: "  ")
        guard let width else { return text }
        // The bar's own characters, and a column short of the edge.
        let room = width - text.count - 4
        guard room >= 10 else { return text }
        let columns = min(room, 30)
        let filled = Int((share * Double(columns)).rounded())
        return "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: columns - filled) + "] "
            + text
    }

    /// `1:02:03`, or `2:03`.
    private static func clock(_ seconds: Double) -> String {
        let seconds = Int(min(max(seconds, 0), 1e9).rounded(.up))
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60)
        return (hours > 0 ? "\(hours):\(twoDigits(minutes))" : "\(minutes)") + ":\(twoDigits(seconds % 60))"
    }

    /// In the largest unit of which it has two.
    private static func age(_ seconds: Double) -> String {
        let seconds = Int(min(max(seconds, 0), 1e12))
        let units = [("d", 86_400), ("h", 3600), ("min", 60)]
        guard let (name, length) = units.first(where: { seconds >= 2 * $0.1 }) else { return "\(seconds) s" }
        return "\(seconds / length) \(name)"
    }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    private static func decimal(_ value: Double) -> String {
        let tenths = Int(min(max(value, 0), 1e9) * 10)
        return "\(tenths / 10).\(tenths % 10)"
    }

    private static func count(_ number: Int, _ thing: String) -> String {
        "\(number) \(thing)\(number == 1 ? "" : "s")"
    }
}

/// Columns of text.
struct TextTable {
    enum Alignment {
        case left
        case right
    }

    private let alignment: [Alignment]
    private var rows: [[String]] = []

    init(alignment: [Alignment] = []) {
        self.alignment = alignment
    }

    mutating func add(_ cells: String...) { rows.append(cells) }

    /// Two blanks between columns, none at the end of a line.
    var text: String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { line($0, widths) + "\n" }.joined()
    }

    private func line(_ row: [String], _ widths: [Int]) -> String {
        row.indices.map { column in
            let padding = String(repeating: " ", count: widths[column] - row[column].count)
            let isRight = alignment.indices.contains(column) && alignment[column] == .right
            if isRight { return padding + row[column] }
            return column == row.indices.last ? row[column] : row[column] + padding
        }
        .joined(separator: "  ")
    }
}
