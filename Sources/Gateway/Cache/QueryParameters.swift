import SourcePlugins

/// The parameters of a query, percent-decoded. A plus is a plus.
struct QueryParameters: Sendable {
    private var values: [String: [UInt8]] = [:]

    /// - Throws: ``RequestProblem`` for a broken escape, and for a name that comes twice.
    init(_ query: Substring?) throws(RequestProblem) {
        for parameter in (query ?? "").split(separator: "&") {
            let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let nameBytes = PercentEncoding.decoded(parts[0].utf8),
                let value = PercentEncoding.decoded((parts.count > 1 ? parts[1] : "").utf8)
            else { throw .query("a % in the query is not followed by two hexadecimal digits") }
            let name = String(decoding: nameBytes, as: UTF8.self)
            guard values.updateValue(value, forKey: name) == nil else {
                throw .query("the parameter \(name) comes twice")
            }
        }
    }

    /// The bytes of a path within a source, which has no slash in front, though people write one.
    func path(_ name: String) -> [UInt8]? {
        values[name].map { $0.first == UInt8(ascii: "/") ? Array($0.dropFirst()) : $0 }
    }

    /// - Throws: ``RequestProblem`` if the value is not UTF-8.
    func text(_ name: String) throws(RequestProblem) -> String? {
        guard let value = values[name] else { return nil }
        guard let text = String(validating: value, as: UTF8.self) else {
            throw .query("the parameter \(name) is not UTF-8")
        }
        return text
    }

    /// - Throws: ``RequestProblem`` unless the value is `true` or `false`.
    func flag(_ name: String) throws(RequestProblem) -> Bool {
        switch try text(name) {
        case nil, "false": return false
        case "true": return true
        default: throw .query("\(name) is true or false")
        }
    }

    /// - Throws: ``RequestProblem`` unless the value is a number in `range`.
    func number(_ name: String, in range: ClosedRange<Int>) throws(RequestProblem) -> Int? {
        guard let text = try text(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw .query("\(name) is a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// - Throws: ``RequestProblem`` if there is a parameter of another name.
    func allowOnly(_ names: Set<String>) throws(RequestProblem) {
        if let other = values.keys.sorted().first(where: { !names.contains($0) }) {
            let known = names.sorted().joined(separator: ", ")
            throw .query("the parameter \(other) is not known here" + (known.isEmpty ? "" : "; known are \(known)"))
        }
    }
}

extension RequestProblem {
    fileprivate static func query(_ detail: String) -> RequestProblem { RequestProblem(400, .badRequest, detail) }
}

func percentEncoded(_ text: String) -> String { percentEncoded(Array(text.utf8)) }

/// Slashes stay, as in the path of a URL.
func percentEncoded(_ bytes: [UInt8]) -> String {
    PercentEncoding.encoded(bytes) { $0 == UInt8(ascii: "/") }
}
