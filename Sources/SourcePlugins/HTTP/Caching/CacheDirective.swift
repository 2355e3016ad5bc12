/// One member of a `Cache-Control` field (RFC 9111 §5.2), not yet understood.
struct CacheDirective {
    enum Argument {
        case absent
        /// In either form: what a quoted string says, or a token.
        case text(String)
        /// There is one, and it cannot be read: blanks around the `=`, a quote without end, bytes no token has.
        case malformed
    }

    /// In lower case.
    let name: String
    let argument: Argument

    /// - Returns: `nil` if `element` does not start with the name of a directive.
    init?(_ element: Substring) {
        let equals = element.utf8.firstIndex(of: UInt8(ascii: "="))
        let name = element[..<(equals ?? element.endIndex)]
        let trimmedName = FieldSyntax.trimmed(name)
        guard FieldSyntax.isToken(trimmedName) else { return nil }
        self.name = FieldSyntax.lowercased(trimmedName)
        guard let equals else {
            argument = .absent
            return
        }
        let text = element[element.utf8.index(after: equals)...]
        if name.utf8.count == trimmedName.utf8.count, FieldSyntax.isToken(text) {
            argument = .text(String(text))
        } else if name.utf8.count == trimmedName.utf8.count, let content = FieldSyntax.unquoted(text) {
            argument = .text(content)
        } else {
            argument = .malformed
        }
    }

    init(name: String, argument: Argument) {
        self.name = name
        self.argument = argument
    }

    /// `nil` if the argument is not a number of seconds.
    var seconds: Duration? {
        if case .text(let text) = argument { DeltaSeconds.parse(text) } else { nil }
    }

    var hasArgument: Bool {
        if case .absent = argument { false } else { true }
    }

    static func all(in fields: HeaderFields) -> [CacheDirective] {
        fields.list("cache-control").compactMap { CacheDirective($0) }
    }
}
