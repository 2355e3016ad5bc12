/// Status and fields of an origin's answer.
package struct OriginHead: Sendable {
    package let status: Int
    package let fields: HeaderFields

    package init(status: Int, fields: [(name: String, value: String)]) {
        self.status = status
        self.fields = HeaderFields(fields)
    }

    /// The values of every line of the field.
    package func values(_ name: String) -> [String] { fields.values(name) }

    /// The value of a field that may be there once; `nil` if it is missing, or there more than once.
    package func single(_ name: String) -> String? {
        let values = values(name)
        return values.count == 1 ? values.first : nil
    }

    /// The elements of a field that is a list (RFC 9110 §5.6.1), in lower case and without their parameters.
    func tokens(_ name: String) -> [String] {
        fields.list(name).map { element in
            FieldSyntax.lowercased(FieldSyntax.trimmed(element.prefix { $0 != ";" }))
        }.filter { !$0.isEmpty }
    }

    /// Where a redirect leads; `nil` if this is none, or leads nowhere.
    var redirection: String? {
        [301, 302, 303, 307, 308].contains(status) ? single("location") : nil
    }
}
