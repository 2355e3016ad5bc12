import Config
import Logging
import Synchronization

/// A directory of media files.
///
/// Paths are followed from the root downwards and never lead out of it. Only directories and regular files are seen;
/// symbolic links are followed if that is asked for and they lead to something inside the root, else they do not
/// exist. Names that start with a dot do not exist either, listed or not.
package final class DiskSource: ListingSource {
    /// The number of entries up to which a directory is listed.
    package static let defaultListingLimit = 100_000

    private let root: DiskRoot
    private let listingLimit: Int
    private let sendsFiles: Bool
    private let skipsPool: Bool
    private let now: @Sendable () -> Timestamp
    private let context: SourceContext
    private let buffers = PieceBuffers()
    /// Found out with the first file, on the pool; until then everything goes there.
    private let rootIsLocal = Atomic(false)

    /// - Parameters:
    ///   - root: an absolute path. It need not exist; until it does, everything is `unavailable`.
    ///   - followsLinks: whether symbolic links that lead inside the root are followed.
    ///   - sendsFiles: whether the kernel may send files by itself, which takes half the work and hands out wrong bytes
    ///     if a file is changed in place while it is on its way.
    ///   - usesOpenat2: `false` to follow paths component by component, as on a kernel without `openat2(2)`. Links
    ///     cannot be followed then.
    ///   - skipsPool: whether calls that need not wait for a disk are made on the caller's thread. `false` sends every
    ///     call to the pool, as happens on network file systems.
    ///   - now: the wall clock, which tells a file that is being written to from one that is not.
    package init(
        root: String,
        followsLinks: Bool = false,
        sendsFiles: Bool = false,
        usesOpenat2: Bool = true,
        skipsPool: Bool = true,
        listingLimit: Int = defaultListingLimit,
        now: (@Sendable () -> Timestamp)? = nil,
        context: SourceContext
    ) {
        self.root = DiskRoot(
            path: root,
            followsLinks: followsLinks,
            resolution: usesOpenat2 ? .automatic : .componentwise
        )
        self.listingLimit = listingLimit
        self.sendsFiles = sendsFiles
        self.skipsPool = skipsPool
        self.now = now ?? { .now() }
        self.context = context
    }

    /// Says in the log if the root is not there; it may come later, as a disk does that is mounted.
    package func run() async throws {
        do {
            try await context.blockingPool.call { [root] in _ = try DiskTree(root) }
        } catch {
            context.logger.warning("root not usable", metadata: ["root": "\(root.path)", "reason": "\(error)"])
        }
        await untilShutdown()
    }

    package func open(_ path: MediaPath) async throws -> any MediaObject {
        guard !path.isDirectory else { throw SourceError(.notFound, "there is no such file") }
        if let object = openCached(path) { return object }
        return try await context.blockingPool.call { [self] in
            let tree = try DiskTree(root)
            rootIsLocal.store(skipsPool && tree.isLocal(), ordering: .relaxed)
            let file = try tree.open(path, for: .content)
            let fileSystem: FileSystem
            do throws(SystemCallFailure) {
                fileSystem = try FileSystem(of: file.rawValue)
            } catch {
                throw SourceError(error)
            }
            return try object(file, on: fileSystem == .local && !skipsPool ? .other : fileSystem)
        }
    }

    /// The object, if it can be opened without waiting for a disk or a server, as most can that were asked for before.
    /// Anything else about the path, its absence too, is told on the other way.
    private func openCached(_ path: MediaPath) -> DiskObject? {
        guard rootIsLocal.load(ordering: .relaxed), let tree = DiskTree(cached: root),
            let file = tree.openCached(path)
        else { return nil }
        return try? object(file, on: .local)
    }

    private func object(_ file: consuming Descriptor, on fileSystem: FileSystem) throws -> DiskObject {
        try DiskObject(
            file,
            on: fileSystem,
            sendsFiles: sendsFiles,
            now: now(),
            pool: context.blockingPool,
            buffers: buffers
        )
    }

    package func list(_ path: MediaPath) async throws -> [MediaEntry] {
        try await context.blockingPool.call { [root, listingLimit] in
            try DiskTree(root).list(path, limit: listingLimit)
        }
    }
}

extension SourceKind {
    /// `root`: the directory. `follow_symlinks`: whether links inside it are followed. `sendfile`: whether its files never
    /// change in place, so that the kernel may send them by itself.
    package static let disk = SourceKind("disk") { options, context in
        let root = options.requiredPath("root", use: .served)
        let followsLinks = options.bool("follow_symlinks", default: false)
        let sendsFiles = options.bool("sendfile", default: false)
        return root.map { root in
            DiskSource(root: root, followsLinks: followsLinks, sendsFiles: sendsFiles, context: context)
        }
    }
}
