/// The text of one configuration file, kept so that a message can show the line it is about.
package final class ConfigText: Sendable {
    /// The file as messages name it.
    package let name: String
    /// Where relative paths in this file start: an absolute path.
    package let directory: String
    /// The place of this file in the order of loading, by which messages are sorted.
    package let order: Int
    let bytes: [UInt8]
    /// Where each line starts.
    private let lineStarts: [Int]

    package init(name: String, directory: String, order: Int, bytes: [UInt8]) {
        self.name = name
        self.directory = directory
        self.order = order
        self.bytes = bytes
        var lineStarts = [bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0]
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
            lineStarts.append(index + 1)
        }
        self.lineStarts = lineStarts
    }

    /// The line with this number, counted from 1, without its end; `nil` if there is none or it is empty.
    func line(_ number: Int) -> String? {
        guard lineStarts.indices.contains(number - 1) else { return nil }
        var line = bytes[lineStarts[number - 1]...].prefix { $0 != UInt8(ascii: "\n") }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
    }
}
