extension ResponseDirectives {
    /// Reads `CDN-Cache-Control` if the response has one that can be read, else `Cache-Control` (RFC 9213 §2.2).
    ///
    /// - Returns: `isTargeted`: whether `Cache-Control` and `Expires` mean nothing to this cache.
    static func effective(of fields: HeaderFields) -> (directives: ResponseDirectives, isTargeted: Bool) {
        if let directives = ResponseDirectives(targetedField: "cdn-cache-control", of: fields) {
            return (directives, true)
        }
        return (ResponseDirectives(cacheControl: fields), false)
    }

    /// Reads a targeted field: a structured dictionary, of which a fault spoils the whole (RFC 9213 §2.1).
    ///
    /// - Returns: `nil` if there is no such field, or it is empty, or has a fault, which a value of another type than
    ///   its directive takes is too.
    package init?(targetedField name: String, of fields: HeaderFields) {
        let text = fields.values(name).joined(separator: ", ")
        guard let dictionary = StructuredDictionary(text), !dictionary.members.isEmpty else { return nil }
        self.init()
        for (key, value) in dictionary.members {
            guard let directive = CacheDirective(key: key, value: value) else { return nil }
            apply(directive)
        }
    }
}

extension CacheDirective {
    /// - Returns: `nil` if `value` is not of the type that the directive takes.
    fileprivate init?(key: String, value: StructuredDictionary.Value) {
        let argument: Argument?
        switch key {
        case "max-age", "s-maxage", "stale-while-revalidate", "stale-if-error":
            argument = if case .integer(let number) = value { .text(String(number)) } else { nil }
        case "no-cache", "private":
            argument =
                switch value {
                case .boolean(true): .absent
                case .string(let names): .text(names)
                default: nil
                }
        case "public", "immutable", "no-store", "must-revalidate", "proxy-revalidate", "must-understand":
            argument = value == .boolean(true) ? .absent : nil
        default:
            // A directive that this cache does not know, whatever its value.
            argument = .absent
        }
        guard let argument else { return nil }
        self.init(name: key, argument: argument)
    }
}
