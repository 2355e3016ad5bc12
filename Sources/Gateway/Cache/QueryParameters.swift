/// The parameters of a query, percent-decoded. A plus is a plus.
struct QueryParameters: Sendable {
    private var values: [String: [UInt8]] = [:]

    /// - Throws: ``RequestProblem`` for a broken escape, and for a name that comes twice.
    init(_ query: Substring?) throws(RequestProblem) {
        for parameter in (query ?? "").split(separator: "&") {
            let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = parts.first.flatMap({ percentDecoded($0) }).map({ String(decoding: $0, as: UTF8.self) }),
                let value = percentDecoded(parts.count > 1 ? parts[1] : "")
            else { throw .query("a % in the query is not followed by two hexadecimal digits") }
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

/// What is no escape stands for itself.
func percentDecodedLeniently(_ text: some Collection<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    var rest = Array(text)[...]
    while let byte = rest.popFirst() {
        let digits = rest.prefix(2)
        if byte == UInt8(ascii: "%"), digits.count == 2, digits.first != UInt8(ascii: "+"),
            let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
        {
            result.append(value)
            rest = rest.dropFirst(2)
        } else {
            result.append(byte)
        }
    }
    return result
}

/// - Returns: `nil` for a `%` that is not followed by two hexadecimal digits.
func percentDecoded(_ text: Substring) -> [UInt8]? {
    var decoded: [UInt8] = []
    var bytes = text.utf8.makeIterator()
    while let byte = bytes.next() {
        guard byte == UInt8(ascii: "%") else {
            decoded.append(byte)
            continue
        }
        guard let high = bytes.next().flatMap(Digits.value(hexadecimal:)),
            let low = bytes.next().flatMap(Digits.value(hexadecimal:))
        else { return nil }
        decoded.append(high << 4 | low)
    }
    return decoded
}

func percentEncoded(_ text: String) -> String { percentEncoded(Array(text.utf8)) }

/// Everything but the unreserved characters of RFC 3986 §2.3 and the slash is escaped.
func percentEncoded(_ bytes: some Sequence<UInt8>) -> String {
    var encoded: [UInt8] = []
    for byte in bytes {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"), UInt8(ascii: "/"):
            encoded.append(byte)
        default:
            encoded += [
                UInt8(ascii: "%"), Digits.hexadecimal(UInt32(byte >> 4)), Digits.hexadecimal(UInt32(byte & 15)),
            ]
        }
    }
    return String(decoding: encoded, as: UTF8.self)
}
