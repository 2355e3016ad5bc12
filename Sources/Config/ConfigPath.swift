/// A path of a configuration, and what it is for.
package struct ConfigPath: Sendable {
    package enum Use: Sendable {
        /// A file that has to be there.
        case needed
        /// A directory whose files are given to whoever asks. It may come later.
        case served
        /// A directory of the gateway's own, which it makes if need be.
        case kept
        /// A file that is written to, and made if need be.
        case appended
        /// The directory of sources.
        case listed
        /// A file that was read with the configuration.
        case secret
    }

    /// The dotted key it was read from.
    package let key: String
    package let origin: ConfigOrigin
    /// Absolute.
    package let path: String
    package let use: Use

    /// Reports that something other than its type is wrong with it. The line may hold secrets beside a file that has to be
    /// there, and is shown for the others.
    package func report(
        _ severity: ConfigFault.Severity,
        found: String,
        remedy: String,
        to diagnostics: ConfigDiagnostics
    ) {
        let showsLine = use != .needed
        diagnostics.report(
            ConfigFault(
                origin: origin,
                key: key,
                found: found,
                remedy: remedy,
                showsLine: showsLine,
                severity: severity
            )
        )
    }

    /// Whether `other` is this directory or in it, and not hidden there by a name that starts with a dot. Links are not
    /// followed.
    package func holds(_ other: String) -> Bool {
        // Byte by byte: to a file system, spellings that look alike are different names.
        let prefix = Array((path == "/" ? "" : path).utf8)
        let other = Array(other.utf8)
        guard other.starts(with: prefix) else { return false }
        let rest = other.dropFirst(prefix.count)
        guard let slash = rest.first else { return true }
        return slash == UInt8(ascii: "/") && !zip(rest, rest.dropFirst()).contains { $0 == (slash, UInt8(ascii: ".")) }
    }
}
