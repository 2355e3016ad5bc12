import CLibtorrent

/// What of a request made the origin send one response rather than another (RFC 9111 §4.1): the fields that the
/// response's `Vary` names, with their values in that request.
package struct VariantKey: Sendable, Hashable {
    /// A field of the request.
    package struct Selector: Sendable, Hashable {
        /// In lower case.
        package let name: String
        /// Normalised; `nil` if the request did not have the field.
        package let value: String?

        package init(name: String, value: String?) {
            self.name = name
            self.value = value
        }

        package static func == (left: Selector, right: Selector) -> Bool {
            guard let value = left.value, let other = right.value else {
                return left.name == right.name && left.value == nil && right.value == nil
            }
            return left.name == right.name && FieldSyntax.isSame(value, other)
        }
    }

    /// By name, each name once.
    package let selectors: [Selector]

    /// More names than this are too many to compare.
    private static let mostNames = 32
    /// How many bytes names and values may have together.
    static let longest = 1024

    /// A key that was taken apart before.
    package init(selectors: [Selector]) {
        self.selectors = selectors
    }

    /// - Returns: `nil` if `Vary` has a `*`, so that no other request is sure to get this response, and if the request
    ///   cannot be compared with others: a field is not known to the byte, or all are longer than 1 KiB together.
    package init?(response: HeaderFields, request: HeaderFields) {
        guard let names = Self.names(in: response) else { return nil }
        var fields = SelectingFields(request)
        var selectors: [Selector] = []
        var length = 0
        for name in names {
            let value: String?
            switch fields.value(name) {
            case .absent: value = nil
            case .text(let text): value = text
            case .incomparable: return nil
            }
            selectors.append(Selector(name: name, value: value))
            length += name.utf8.count + (value?.utf8.count ?? 0)
        }
        guard length <= Self.longest else { return nil }
        self.selectors = selectors
    }

    /// The names in `Vary`, in lower case and in the order of selectors.
    ///
    /// - Returns: `nil` if what the response depends on is not known, or too much.
    static func names(in response: HeaderFields) -> [String]? {
        let members = response.list("vary")
        // What is no name is a reason unknown, as `*` is.
        guard members.allSatisfy({ FieldSyntax.isToken($0) && $0 != "*" }) else { return nil }
        let names = Set(members.map { FieldSyntax.lowercased($0) })
        return names.count <= mostNames ? names.sorted() : nil
    }

    package func matches(_ request: HeaderFields) -> Bool {
        var fields = SelectingFields(request)
        return matches(&fields)
    }

    func matches(_ request: inout SelectingFields) -> Bool {
        selectors.allSatisfy { selector in
            switch request.value(selector.name) {
            case .absent: selector.value == nil
            case .text(let text): selector.value.map { FieldSyntax.isSame($0, text) } ?? false
            case .incomparable: false
            }
        }
    }

    /// The key as text, different for different keys. Lengths precede values, which may hold anything.
    package var text: String {
        selectors.map { selector in
            selector.value.map { "\(selector.name)=\($0.utf8.count):\($0)" } ?? "\(selector.name)"
        }.joined(separator: ";")
    }

    /// SHA-256 of ``text`` in hexadecimal: names the key where its values, cookies among them, are not to be read.
    package var digest: String {
        var bytes = [UInt8](repeating: 0, count: 32)
        let text = Array(text.utf8)
        clt_sha256(text, text.count, &bytes)
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
