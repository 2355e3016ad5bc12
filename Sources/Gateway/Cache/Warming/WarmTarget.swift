package import Config
import SourcePlugins

/// An object to bring into the cache, as an operator names it.
package struct WarmTarget: Sendable, Hashable {
    /// As it was written.
    package let name: String
    /// Where it is on the data listener, percent-encoded.
    package let path: String

    /// - Parameters:
    ///   - name: a path below the root of the data listener, with a slash in front, as it stands in a URL; or a source and
    ///     the path within it, as the cache lists them.
    ///   - sources: those there are.
    /// - Throws: ``WarmTargetError``.
    package init(_ name: String, sources: [SourceConfig]) throws(WarmTargetError) {
        self.name = name
        if name.hasPrefix("/") {
            path = PercentEncoding.encoded(name.utf8) { Self.mayStand($0) }
        } else {
            let source = String(name.prefix { $0 != "/" })
            guard let mount = sources.first(where: { $0.name == source })?.mount else {
                let known = sources.map(\.name).joined(separator: ", ")
                throw WarmTargetError(
                    "no source is named \(singleLine(source))" + (known.isEmpty ? "" : "; there are \(known)")
                )
            }
            let rest = Array(name.utf8.dropFirst(source.utf8.count + 1))
            path = (mount == "/" ? "" : mount) + "/" + percentEncoded(rest)
        }
        guard !path.hasSuffix("/") else { throw WarmTargetError("this is a folder; name what is in it") }
    }

    /// Whether a byte of a URL's path and query stays as it is, besides letters and digits.
    private static func mayStand(_ byte: UInt8) -> Bool { Array("%/?&=+:@!$'()*,;".utf8).contains(byte) }

    /// The lines of a list, without blanks around them. Empty ones and those that begin with `#` are left out.
    package static func names(in list: String) -> [String] {
        list.split(whereSeparator: \.isNewline).map { $0.trimmingBlanks }.filter { !$0.isEmpty && !$0.hasPrefix("#") }
    }
}

/// Why a name is that of no object.
package struct WarmTargetError: Error, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
