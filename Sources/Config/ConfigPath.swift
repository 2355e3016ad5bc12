/// A path of a configuration, and what it is for.
package struct ConfigPath: Sendable {
    package enum Use: Sendable {
        /// A file that has to be there.
        case needed
        /// A directory whose files are given to whoever asks. It may come later.
        case served
        /// A place for the gateway's own files, which it makes if need be.
        case kept
    }

    /// The dotted key it was read from.
    package let key: String
    package let origin: ConfigOrigin
    /// Absolute.
    package let path: String
    package let use: Use

    package init(key: String, origin: ConfigOrigin, path: String, use: Use) {
        self.key = key
        self.origin = origin
        self.path = path
        self.use = use
    }

    /// Reports that something other than its type is wrong with it.
    package func report(
        _ severity: ConfigFault.Severity,
        found: String,
        remedy: String,
        to diagnostics: ConfigDiagnostics
    ) {
        diagnostics.report(
            ConfigFault(origin: origin, key: key, found: found, remedy: remedy, severity: severity)
        )
    }

    /// Whether `other` is this directory or in it, and not hidden there by a name that starts with a dot. Links are not
    /// followed.
    package func holds(_ other: String) -> Bool {
        let prefix = path == "/" ? "" : path
        guard other == path || other.hasPrefix(prefix + "/") else { return false }
        return !other.dropFirst(prefix.count).contains("/.")
    }
}
