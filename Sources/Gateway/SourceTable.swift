package import SourcePlugins
import Synchronization

/// The sources and where they are mounted on the data listener.
package final class SourceTable: Sendable {
    package final class Entry: Sendable {
        package let name: String
        package let kind: String
        /// With a slash in front and none behind; empty for the root.
        package let mount: String
        package let firstByteDeadline: Duration
        /// Whether what is read goes through the chunk cache.
        package let isCached: Bool
        package let state: State
        /// The source, if it is enabled and holds items.
        package let items: (any ItemSource)?
        /// Tells this entry's objects from those of any other, in the ``ObjectTable``.
        package let epoch: Int

        package enum State: Sendable {
            case enabled(any MediaSource)
            /// Set `key` in `file` to enable it.
            case disabled(file: String, key: String)
        }

        package init(
            name: String,
            kind: String,
            mount: String,
            firstByteDeadline: Duration,
            isCached: Bool = true,
            state: State,
            epoch: Int
        ) {
            self.name = name
            self.kind = kind
            self.mount = mount == "/" ? "" : mount
            self.firstByteDeadline = firstByteDeadline
            self.isCached = isCached
            self.state = state
            if case .enabled(let source) = state { items = source as? any ItemSource } else { items = nil }
            self.epoch = epoch
        }

        /// The source, if it can list.
        package var listing: (any ListingSource)? {
            guard case .enabled(let source) = state else { return nil }
            return source as? any ListingSource
        }
    }

    /// Longest mounts first, so that `/` comes last.
    package let entries: [Entry]
    private let failures = Mutex<[String: String]>([:])

    package init(_ entries: [Entry]) {
        self.entries = entries.sorted { $0.mount.utf8.count > $1.mount.utf8.count }
    }

    /// The source that takes requests which name an item and no source: the first by name.
    package var firstItems: (entry: Entry, source: any ItemSource)? {
        entries.sorted { $0.name < $1.name }.lazy
            .compactMap { entry in entry.items.map { (entry, $0) } }
            .first
    }

    /// The entry whose mount `path` begins with, and the rest of the path, which starts with a slash unless it is
    /// empty.
    package func resolve(_ path: Substring) -> (entry: Entry, rest: Substring)? {
        for entry in entries {
            guard path.utf8.starts(with: entry.mount.utf8) else { continue }
            let rest = path.dropFirst(entry.mount.utf8.count)
            if rest.isEmpty || rest.utf8.first == UInt8(ascii: "/") { return (entry, rest) }
        }
        return nil
    }

    /// Notes that a source's background work has ended, and why. Its mount goes on answering with what it can.
    package func markDown(_ name: String, reason: String) {
        failures.withLock { $0[name] = reason }
    }

    package func failure(of name: String) -> String? {
        failures.withLock { $0[name] }
    }
}
