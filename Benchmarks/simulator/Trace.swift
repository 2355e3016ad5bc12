import Foundation

/// Which chunks were asked for, in order.
///
/// A trace is text, one request a line: its time in seconds, the object and the chunk, whole numbers separated by blanks
/// or commas. The chunk is its place in the object, counted from 0. Lines that begin with `#`, and empty ones, are
/// passed over; what follows the third number is ignored. The time is for who reads the file: the order of the lines is
/// what counts.
struct Trace {
    private(set) var requests: ContiguousArray<ChunkID> = []

    /// The last chunk of each object that was asked for at all.
    var lastChunks: [UInt64: UInt64] {
        requests.reduce(into: [:]) { $0[$1.object] = max($0[$1.object] ?? 0, $1.index) }
    }

    init(contentsOf path: String) throws {
        let text: [UInt8]
        do {
            text = try [UInt8](Data(contentsOf: URL(filePath: path)))
        } catch {
            throw TraceError(message: "cannot read '\(path)': \(error)")
        }
        var lines = TraceLines(text: text)
        while let chunk = try lines.next() { requests.append(chunk) }
    }
}

struct TraceError: Error, CustomStringConvertible {
    let message: String

    var description: String { message }
}

/// Goes through the text of a trace line by line.
private struct TraceLines {
    private static let blanks = " \t,".utf8

    private let text: [UInt8]
    private var place = 0
    private var line = 0

    init(text: [UInt8]) {
        self.text = text
    }

    /// - Returns: `nil` at the end of the text.
    mutating func next() throws -> ChunkID? {
        while place < text.count {
            line += 1
            skipBlanks()
            guard let byte = current, byte != UInt8(ascii: "\n"), byte != UInt8(ascii: "#") else {
                skipLine()
                continue
            }
            _ = try number()
            let chunk = try ChunkID(object: number(), index: number())
            skipLine()
            return chunk
        }
        return nil
    }

    private var current: UInt8? { place < text.count ? text[place] : nil }

    private mutating func skipLine() {
        while let byte = current {
            place += 1
            if byte == UInt8(ascii: "\n") { return }
        }
    }

    private mutating func skipBlanks() {
        while let byte = current, Self.blanks.contains(byte) { place += 1 }
    }

    private mutating func number() throws -> UInt64 {
        skipBlanks()
        let start = place
        var value: UInt64 = 0
        while let byte = current, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            let (shifted, isTooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflows) = shifted.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            guard !isTooLarge, !overflows else { throw TraceError(message: "line \(line): a number is too large") }
            value = sum
            place += 1
        }
        guard place > start else { throw TraceError(message: "line \(line): expected time, object and chunk") }
        return value
    }
}
