import NIOCore
import NIOPosix
import SourceContract
import SourcePlugins

/// A disk source over the directory `root` of a temporary directory, so that there is an outside to break out to.
struct DiskUnderTest: Sendable {
    let source: DiskSource
    let directory: TemporaryDirectory
    let context: TestContext

    func open(_ path: String) async throws -> any MediaObject {
        try await source.open(MediaPath(path))
    }

    /// The whole of the file at `path`.
    func contents(_ path: String) async throws -> [UInt8] {
        let object = try await open(path)
        return try await rest(of: object.read(0..<(object.info.size ?? 0)))
    }

    func rest(of stream: ByteStream) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let buffer = try await stream.next() { bytes += buffer.readableBytesView }
        return bytes
    }

    func names(_ path: String) async throws -> [String] {
        try await source.list(path.isEmpty ? .root : MediaPath(path)).map { String(describing: $0.name) }
    }
}

func withDisk<Value>(
    followsLinks: Bool = false,
    usesOpenat2: Bool = true,
    skipsPool: Bool = true,
    listingLimit: Int = DiskSource.defaultListingLimit,
    now: (@Sendable () -> Timestamp)? = nil,
    _ body: (DiskUnderTest) async throws -> Value
) async throws -> Value {
    try await withTemporaryDirectory { directory in
        try directory.makeDirectory("root")
        return try await TestContext.with(threads: 1) { context in
            let source = DiskSource(
                root: directory.path("root"),
                followsLinks: followsLinks,
                usesOpenat2: usesOpenat2,
                skipsPool: skipsPool,
                listingLimit: listingLimit,
                now: now,
                context: context.source
            )
            let disk = DiskUnderTest(source: source, directory: directory, context: context)
            let value = try await body(disk)
            try await directory.untilNothingIsOpen(context)
            return value
        }
    }
}

/// The code of the ``SourceError`` that `body` throws; `nil` if it does not throw.
func code(_ body: () async throws -> some Any) async throws -> SourceError.Code? {
    do {
        _ = try await body()
        return nil
    } catch let error as SourceError {
        return error.code
    }
}
