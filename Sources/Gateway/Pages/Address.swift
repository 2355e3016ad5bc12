package import SourcePlugins

/// Where a source is mounted on the data listener, and what its objects are called there.
package struct MountAddress: Sendable, Hashable {
    /// Empty for the root, else with a slash in front and none behind; percent-encoded.
    private let prefix: String
    /// For people: with a slash in front.
    package let title: String

    /// - Parameter mount: as in the configuration, such as `/films`.
    package init(_ mount: String) {
        let names = mount.utf8.split(separator: UInt8(ascii: "/")).compactMap { try? MediaPath.Component($0) }
        prefix = names.map { "/" + $0.percentEncoded }.joined()
        title = "/" + names.map(\.displayText).joined(separator: "/")
    }

    /// Where the source itself is listed.
    package var url: String { url(.root) }

    /// The same for links of pages: at the root there is the page of all sources too.
    package var listingURL: String { url == "/" ? "/?format=html" : url }

    /// The path of a URL: it starts with exactly one slash, so that it can never name another host or scheme.
    package func url(_ path: MediaPath) -> String {
        prefix + "/" + path.percentEncoded
    }
}

/// The scheme and authority by which a client reached the gateway, checked, for lists that need whole URLs.
package struct BaseURL: Sendable, Hashable {
    package enum Scheme: String, Sendable {
        case http, https
    }

    /// Without a slash at its end.
    package let text: String

    /// - Parameter authority: a host with or without a port, as in a `Host` field.
    /// - Returns: `nil` if `authority` holds anything that a host name, an address literal or a port does not.
    package init?(_ scheme: Scheme, authority: String) {
        guard (1...255).contains(authority.utf8.count), authority.utf8.allSatisfy(isAuthorityByte) else { return nil }
        text = "\(scheme.rawValue)://\(authority)"
    }
}

private func isAuthorityByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "A")...UInt8(ascii: "Z"):
        true
    default: "-._:[]".utf8.contains(byte)
    }
}
