/// The head of an answer of HTTP/1, as far as the command line looks at one.
struct AnswerHead {
    let status: Int
    private let fields: [(name: String, value: String)]

    /// - Parameter bytes: without the empty line at the end.
    /// - Returns: `nil` unless they are such a head.
    init?(_ bytes: ArraySlice<UInt8>) {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
        guard let first = lines.first, first.hasPrefix("HTTP/1."),
            let status = first.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        self.status = status
        fields = lines.dropFirst().compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return parts.count == 2 ? (parts[0].lowercased(), String(parts[1].trimmingBlanks)) : nil
        }
    }

    /// Splits the head of an answer from what follows it.
    ///
    /// - Returns: `nil` if it has not all come yet.
    static func end(in bytes: [UInt8]) -> Range<Int>? { bytes.firstRange(of: Array("\r\n\r\n".utf8)) }

    /// The value of the first field of that name, which is in lower case.
    subscript(name: String) -> String? { fields.first { $0.name == name }?.value }

    /// `nil` without one that is a number.
    var contentLength: Int64? { self["content-length"].flatMap { Int64($0) } }
}
