import NIOCore
import SourceContract
import SourcePlugins
import Synchronization

/// A torrent source over a temporary directory, for peers on this machine only.
struct TorrentUnderTest: Sendable {
    let source: TorrentSource
    let directory: TemporaryDirectory
    let clock: TestClock

    /// Adds a torrent by its magnet link, which names a peer.
    func add(_ magnet: String) async throws -> ItemDescription {
        try await source.resolve(try source.reference(magnet))
    }

    func open(_ file: ItemDescription.File) async throws -> any MediaObject {
        try await source.open(file.path)
    }

    func bytes(_ file: ItemDescription.File, _ range: Range<Int64>) async throws -> [UInt8] {
        let stream = try await open(file).read(range)
        var bytes: [UInt8] = []
        while let buffer = try await stream.next() { bytes += buffer.readableBytesView }
        return bytes
    }

    func bytes(_ file: ItemDescription.File) async throws -> [UInt8] { try await bytes(file, 0..<file.size) }

    /// Lets the time pass after which a torrent that nobody reads is idle.
    func passIdleTime(_ id: ItemID) async throws {
        while await source.status(id)?.readers != 0 { try await Task.sleep(for: .milliseconds(10)) }
        clock.advance(by: .seconds(1801))
    }

    /// Waits until the torrent is loaded or not.
    func untilLoaded(_ isLoaded: Bool, _ id: ItemID) async throws {
        while (await source.status(id)?.state != .stored) != isLoaded { try await Task.sleep(for: .milliseconds(10)) }
    }
}

/// A clock that goes on when it is told to.
final class TestClock: Sendable {
    private let instant = Mutex(ContinuousClock.now)

    var now: ContinuousClock.Instant { instant.withLock { $0 } }

    func advance(by time: Duration) { instant.withLock { $0 += time } }
}

/// Records that outlive a source, as those on a disk do.
final class MemoryRecords: SourceRecords {
    private let values = Mutex<[String: [UInt8]]>([:])

    func value(_ key: String) throws -> [UInt8]? { values.withLock { $0[key] } }
    func put(_ key: String, _ value: [UInt8]) throws { values.withLock { $0[key] = value } }
    func remove(_ key: String) throws { values.withLock { $0[key] = nil } }
    func keys(prefix: String) throws -> [String] { values.withLock { $0.keys.filter { $0.hasPrefix(prefix) } } }
}

/// Runs a source over `directory`, and ends it.
func withTorrents<Value>(
    in directory: TemporaryDirectory,
    records: MemoryRecords = MemoryRecords(),
    _ configure: (inout TorrentSettings) -> Void = { _ in },
    _ body: (TorrentUnderTest) async throws -> Value
) async throws -> Value {
    var settings = TorrentSettings(stateDirectory: directory.path("state"))
    settings.peerListen = ["127.0.0.1:0"]
    settings.usesDHT = false
    settings.allowsPrivateAddresses = true
    settings.acceptsV2 = true
    configure(&settings)
    let run = { [settings] (context: TestContext) async throws -> Value in
        let clock = TestClock()
        let source = TorrentSource(settings, context: context.source, now: { clock.now })
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await source.run() }
            let value = try await body(TorrentUnderTest(source: source, directory: directory, clock: clock))
            tasks.cancelAll()
            try await tasks.waitForAll()
            return value
        }
    }
    return try await TestContext.with(threads: 4, openRecords: { _ in records }, run)
}

func withTorrents<Value>(
    _ configure: (inout TorrentSettings) -> Void = { _ in },
    _ body: (TorrentUnderTest) async throws -> Value
) async throws -> Value {
    try await withTemporaryDirectory { try await withTorrents(in: $0, configure, body) }
}
