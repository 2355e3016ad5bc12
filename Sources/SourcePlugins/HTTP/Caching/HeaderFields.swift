/// The fields of one message in the order they came, the lines of one name kept apart (RFC 9110 §5).
///
/// Names are compared without regard to case and are otherwise kept as they were written.
package struct HeaderFields: Sendable, Hashable {
    /// One line.
    package struct Line: Sendable, Hashable {
        package let name: String
        package var value: String

        /// Blanks around `value` are not part of it (RFC 9110 §5.5).
        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = String(FieldSyntax.trimmed(value[...]))
        }
    }

    package private(set) var lines: [Line]

    package init(_ lines: [(name: String, value: String)] = []) {
        self.lines = lines.map { Line($0.name, $0.value) }
    }

    /// The value of each line of that name.
    package func values(_ name: String) -> [String] {
        lines.filter { FieldSyntax.isSameName($0.name, name) }.map(\.value)
    }

    /// The value of the first line of that name.
    package func first(_ name: String) -> String? {
        lines.first { FieldSyntax.isSameName($0.name, name) }?.value
    }

    package func contains(_ name: String) -> Bool {
        lines.contains { FieldSyntax.isSameName($0.name, name) }
    }

    /// The members of a field that is a list, over all its lines (RFC 9110 §5.6.1).
    package func list(_ name: String) -> [Substring] {
        values(name).flatMap { FieldSyntax.elements(of: $0) }
    }

    package mutating func append(_ name: String, _ value: String) {
        lines.append(Line(name, value))
    }

    package mutating func remove(_ name: String) {
        lines.removeAll { FieldSyntax.isSameName($0.name, name) }
    }

    /// Removes the fields whose names, in lower case, are in `names`.
    package mutating func remove(_ names: Set<String>) {
        lines.removeAll { names.contains(FieldSyntax.lowercased($0.name)) }
    }

    /// Puts one line in the place of all lines of that name.
    package mutating func set(_ name: String, _ value: String) {
        remove(name)
        append(name, value)
    }

    /// Puts the lines of every name that `other` has in the place of the lines of that name.
    package mutating func replace(with other: HeaderFields) {
        remove(Set(other.lines.map { FieldSyntax.lowercased($0.name) }))
        lines += other.lines
    }

    /// The fields of which `isIncluded` is true, given their names in lower case.
    package func filtered(_ isIncluded: (_ name: String) -> Bool) -> HeaderFields {
        var result = self
        result.lines.removeAll { !isIncluded(FieldSyntax.lowercased($0.name)) }
        return result
    }
}

extension HeaderFields: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, String)...) {
        self.init(elements.map { (name: $0.0, value: $0.1) })
    }
}
