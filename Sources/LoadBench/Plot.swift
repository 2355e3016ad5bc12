/// Lines over time, drawn as SVG.
struct Plot {
    struct Line {
        let name: String
        /// One for each second; `nil` leaves a gap.
        let values: [Double?]
    }

    private static let size = (width: 760.0, height: 220.0)
    private static let margin = (left: 64.0, right: 12.0, top: 10.0, bottom: 26.0)
    /// A line has no more points than a screen has columns for.
    private static let mostPoints = 700

    let title: String
    let unit: String
    let lines: [Line]

    var svg: String {
        let seconds = max(lines.map(\.values.count).max() ?? 0, 1)
        let top = Self.ceiling(lines.flatMap(\.values).compactMap { $0 }.max() ?? 0)
        var parts = [
            "<svg viewBox=\"0 0 \(Self.text(Self.size.width)) \(Self.text(Self.size.height))\" role=\"img\" "
                + "aria-label=\"\(escaped(title))\">"
        ]
        parts += (0...4).map { row(top * Double($0) / 4, top: top) }
        for second in stride(from: 0, through: seconds, by: Self.step(for: seconds)) {
            let x = Self.text(place(second: Double(second), of: seconds))
            let y = Self.text(Self.size.height - 8)
            parts.append("<text x=\"\(x)\" y=\"\(y)\" class=\"middle\">\(second) s</text>")
        }
        for (index, line) in lines.enumerated() {
            parts.append("<path class=\"line c\(index % 6)\" d=\"\(path(line.values, seconds: seconds, top: top))\"/>")
        }
        return parts.joined(separator: "\n") + "\n</svg>"
    }

    /// A line of the grid, and what it stands for.
    private func row(_ value: Double, top: Double) -> String {
        let y = Self.text(place(value, top: top))
        let label = FigureText.decimal(value, places: top < 4 ? 2 : top < 40 ? 1 : 0)
        return "<path class=\"grid\" d=\"M\(Self.text(Self.margin.left)) \(y)H\(Self.text(right))\"/>"
            + "<text x=\"\(Self.text(Self.margin.left - 8))\" y=\"\(y)\" dy=\".32em\" class=\"end\">\(label)</text>"
    }

    private var right: Double { Self.size.width - Self.margin.right }

    private func place(_ value: Double, top: Double) -> Double {
        let height = Self.size.height - Self.margin.top - Self.margin.bottom
        return Self.margin.top + height * (1 - min(max(value / top, 0), 1))
    }

    private func place(second: Double, of seconds: Int) -> Double {
        Self.margin.left + (right - Self.margin.left) * second / Double(seconds)
    }

    private func path(_ values: [Double?], seconds: Int, top: Double) -> String {
        let stride = max((values.count + Self.mostPoints - 1) / Self.mostPoints, 1)
        var (commands, isDrawing) = ("", false)
        for start in Swift.stride(from: 0, to: values.count, by: stride) {
            let part = values[start..<min(start + stride, values.count)].compactMap { $0 }
            guard let value = part.max() else {
                isDrawing = false
                continue
            }
            // A second's figure is known at its end.
            let x = Self.text(place(second: Double(min(start + stride, values.count)), of: seconds))
            let y = Self.text(place(value, top: top))
            // A point between two gaps is seen as a dot, which round ends make of it.
            commands += isDrawing ? "L\(x) \(y)" : "M\(x) \(y)h.1"
            isDrawing = true
        }
        return commands
    }

    /// The next of 1, 2, 4, 10, 20, 40 …, so that the lines of a grid are round numbers.
    private static func ceiling(_ value: Double) -> Double {
        guard value.isFinite, value > 0 else { return 1 }
        var scale = 1e-6
        while scale < 1e15 {
            for step in [1.0, 2, 4] where step * scale >= value { return step * scale }
            scale *= 10
        }
        return value
    }

    /// Seconds between two marks, of which there are eight at most.
    private static func step(for seconds: Int) -> Int {
        let steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400]
        return steps.first { seconds / $0 < 8 } ?? max(seconds / 8, 1)
    }

    private static func text(_ value: Double) -> String { FigureText.decimal(value, places: 1) }
}

/// `text` such that no part of it is markup, between tags or inside a quoted attribute.
func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "&": result += "&amp;"
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "\"": result += "&quot;"
        case "'": result += "&#39;"
        case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}": result += "\u{FFFD}"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}
