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
    }

    /// By name, each name once.
    package let selectors: [Selector]

    /// A key that was taken apart before.
    package init(selectors: [Selector]) {
        self.selectors = selectors
    }

    /// - Returns: `nil` if `Vary` has a `*`, so that no other request is sure to get this response.
    package init?(response: HeaderFields, request: HeaderFields, policy: CachingPolicy) {
        let members = response.list("vary")
        // What is no name is a reason unknown, as `*` is.
        guard members.allSatisfy({ FieldSyntax.isToken($0) && $0 != "*" }) else { return nil }
        let names = Set(members.map { FieldSyntax.lowercased($0) })
        selectors = names.sorted().map { Selector(name: $0, value: Self.normalised($0, of: request, policy: policy)) }
    }

    package func matches(_ request: HeaderFields, policy: CachingPolicy) -> Bool {
        selectors.allSatisfy { $0.value == Self.normalised($0.name, of: request, policy: policy) }
    }

    /// The key as text, different for different keys. Lengths precede values, which may hold anything.
    package var text: String {
        selectors.map { selector in
            selector.value.map { "\(selector.name)=\($0.utf8.count):\($0)" } ?? "\(selector.name)"
        }.joined(separator: ";")
    }

    /// What the field says, the same however it is written: in several lines or one, with or without blanks around
    /// commas. The order of members counts, since it may mean something.
    private static func normalised(_ name: String, of request: HeaderFields, policy: CachingPolicy) -> String? {
        let lines = request.values(name)
        guard !lines.isEmpty else { return nil }
        // Their commas divide nothing.
        guard name != "cookie", name != "authorization" else { return lines.joined(separator: "\n") }
        var members = lines.flatMap { FieldSyntax.elements(of: $0, keepingEmpty: true) }.map(String.init)
        if ["accept-charset", "accept-encoding", "accept-language"].contains(name) {
            members = members.map { FieldSyntax.lowercased($0.filter { $0 != " " && $0 != "\t" }) }
            if policy.ignoresPreferenceOrder { members.sort() }
        }
        return members.joined(separator: ",")
    }
}
