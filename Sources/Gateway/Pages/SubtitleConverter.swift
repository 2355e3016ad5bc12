/// SubRip subtitles as WebVTT, the only format browsers read.
///
/// SubRip has no specification and its files are written by hand, so everything is accepted and what cannot be read
/// as a cue is left out. Whatever the input, the output is valid UTF-8 and begins with `WEBVTT`.
package enum SubtitleConverter {
    /// The largest input that is converted; no real subtitle comes near.
    package static let inputLimit = 1 << 20

    /// - Returns: `nil` if `input` is larger than ``inputLimit``.
    package static func webVTT(fromSubRip input: [UInt8]) -> [UInt8]? {
        guard input.count <= inputLimit else { return nil }
        var lines = Lines(SubtitleText.utf8(of: input))
        var writer = WebVTTWriter()
        var cue: SubRipCue?
        while let line = lines.next() {
            if let timing = SubRipTiming(line) {
                // The line before a timing line is the number of its cue, not text of the one before.
                if let previous = cue?.text.last, previous.allSatisfy(isDigit) { cue?.text.removeLast() }
                if let cue { writer.append(cue) }
                cue = SubRipCue(timing: timing)
            } else {
                cue?.text.append(line)
            }
        }
        if let cue { writer.append(cue) }
        return writer.output
    }
}

/// The lines of a text without blanks at their ends. Empty ones are skipped: texts of cues have them in the middle,
/// where WebVTT would end the cue.
private struct Lines {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func next() -> ArraySlice<UInt8>? {
        while position < bytes.count {
            let end = bytes[position...].firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
            let line = trimmed(bytes[position..<(end ?? bytes.count)])
            position = end.map { $0 + 1 } ?? bytes.count
            if !line.isEmpty { return line }
        }
        return nil
    }
}

private struct SubRipCue {
    let timing: SubRipTiming
    var text: [ArraySlice<UInt8>] = []
}

/// `00:01:02,500 --> 00:01:04,000`, with a comma or a dot, with or without hours; what follows is a position in a
/// form of SubRip's own and is dropped.
private struct SubRipTiming {
    /// In milliseconds.
    let start: Int64
    let end: Int64

    init?(_ line: ArraySlice<UInt8>) {
        guard line.first.map(isDigit) == true else { return nil }
        var rest = line
        guard let start = Self.takeTime(&rest) else { return nil }
        rest = rest.drop(while: isBlank)
        guard rest.starts(with: "-->".utf8) else { return nil }
        rest = rest.dropFirst(3).drop(while: isBlank)
        guard let end = Self.takeTime(&rest) else { return nil }
        self.start = start
        self.end = end
    }

    private static func takeTime(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        guard var seconds = takeNumber(&rest).map({ Int64($0) }) else { return nil }
        var parts = 1
        while parts < 3, rest.first == UInt8(ascii: ":") {
            rest = rest.dropFirst()
            guard let part = takeNumber(&rest) else { return nil }
            // At most 9 digits a part: 1e9 * 3600 is far from the end of Int64.
            seconds = seconds * 60 + Int64(part)
            parts += 1
        }
        guard parts > 1 else { return nil }
        return seconds * 1000 + takeMilliseconds(&rest)
    }

    private static func takeNumber(_ rest: inout ArraySlice<UInt8>) -> Int32? {
        let digits = rest.prefix(while: isDigit)
        guard (1...9).contains(digits.count) else { return nil }
        rest = rest.dropFirst(digits.count)
        return digits.reduce(0) { $0 * 10 + Int32($1 - UInt8(ascii: "0")) }
    }

    private static func takeMilliseconds(_ rest: inout ArraySlice<UInt8>) -> Int64 {
        guard rest.first == UInt8(ascii: ",") || rest.first == UInt8(ascii: ".") else { return 0 }
        rest = rest.dropFirst().drop(while: isBlank)
        let digits = rest.prefix(while: isDigit)
        rest = rest.dropFirst(digits.count)
        let three = (digits.prefix(3) + Array(repeating: UInt8(ascii: "0"), count: 3)).prefix(3)
        return three.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    }
}

private struct WebVTTWriter {
    private(set) var output = Array("WEBVTT\n".utf8)

    /// A cue without text is left out.
    mutating func append(_ cue: SubRipCue) {
        let lines = cue.text.map(cueText).filter { !trimmed($0[...]).isEmpty }
        guard !lines.isEmpty else { return }
        output += "\n\(Self.time(cue.timing.start)) --> \(Self.time(cue.timing.end))\n".utf8
        for line in lines {
            output += line
            output.append(UInt8(ascii: "\n"))
        }
    }

    private static func time(_ milliseconds: Int64) -> String {
        let seconds = milliseconds / 1000
        return [(seconds / 3600, ":"), (seconds / 60 % 60, ":"), (seconds % 60, ".")]
            .map { padded($0, to: 2) + $1 }.joined() + padded(milliseconds % 1000, to: 3)
    }

    private static func padded(_ number: Int64, to width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(width - digits.utf8.count, 0)) + digits
    }
}

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

private func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

private func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let start = bytes.drop(while: isBlank)
    return start.lastIndex { !isBlank($0) }.map { start[...$0] } ?? []
}
