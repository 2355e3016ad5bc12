/// The fields of one request as variants are told apart by them, each made out once.
struct SelectingFields {
    enum Value: Sendable, Hashable {
        case absent
        /// What the field says, the same however it is written: in several lines or one, with or without blanks around
        /// commas. The order of members counts, since it may mean something.
        case text(String)
        /// Too long, or not known to the byte.
        case incomparable
    }

    private let request: HeaderFields
    private var known: [String: Value] = [:]

    init(_ request: HeaderFields) {
        self.request = request
    }

    /// - Parameter name: in lower case.
    mutating func value(_ name: String) -> Value {
        if let value = known[name] { return value }
        let value = normalised(name)
        known[name] = value
        return value
    }

    private func normalised(_ name: String) -> Value {
        let lines = request.values(name)
        guard !lines.isEmpty else { return .absent }
        guard lines.reduce(0, { $0 + $1.utf8.count }) <= VariantKey.longest,
            !lines.contains(where: FieldSyntax.isRepaired)
        else { return .incomparable }
        // Their commas divide nothing.
        guard name != "cookie", name != "authorization" else { return .text(lines.joined(separator: "\n")) }
        var members = lines.flatMap { FieldSyntax.elements(of: $0, keepingEmpty: true) }.map(String.init)
        if ["accept-charset", "accept-encoding", "accept-language"].contains(name) {
            members = members.map { FieldSyntax.lowercased($0.filter { $0 != " " && $0 != "\t" }) }
        }
        return .text(members.joined(separator: ","))
    }
}
