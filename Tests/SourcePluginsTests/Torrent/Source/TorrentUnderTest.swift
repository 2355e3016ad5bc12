import Dispatch
import Foundation
import NIOCore
import NIOPosix
import SourceContract
import SourcePlugins
import Synchronization

/// A torrent source over a temporary directory, for peers on this machine only.
struct TorrentUnderTest: Sendable {
    let source: TorrentSource
    let directory: TemporaryDirectory
    let clock: TestClock
    fileprivate let pool: NIOThreadPool
    fileprivate let running: Task<Void, any Error>

    /// Adds a torrent by its magnet link, which names a peer.
    @discardableResult
    func add(_ magnet: String) async throws -> ItemDescription {
        try await source.resolve(try source.reference(magnet))
    }

    /// Adds a torrent by its .torrent file.
    @discardableResult
    func upload(_ file: [UInt8]) async throws -> ItemDescription {
        try await source.resolve(try source.reference(file: file))
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
        try await source.wait { await source.status(id)?.readers == 0 }
        clock.advance(by: .seconds(1801))
    }

    /// Waits until the torrent is loaded or not.
    func untilLoaded(_ isLoaded: Bool, _ id: ItemID) async throws {
        try await source.wait { (await source.status(id)?.state != .stored) == isLoaded }
    }

    /// Runs `body` while no thread is free for calls that block.
    func withoutThreads<Value>(_ body: () async throws -> Value) async throws -> Value {
        let door = Door()
        defer { door.open() }
        for _ in 0..<poolThreads { pool.submit { _ in door.pass() } }
        try await door.untilWaiting(poolThreads)
        return try await body()
    }

    /// Ends the source, as the gateway does, and waits for the end.
    func shutDown() async {
        running.cancel()
        _ = await running.result
    }
}

private let poolThreads = 4

/// Holds threads up, which a ``Gate`` does with tasks.
final class Door: Sendable {
    private let waiting = Observed(0)
    private let isOpen = DispatchSemaphore(value: 0)

    func open() { isOpen.signal() }

    /// Blocks.
    func pass() {
        waiting.update { $0 += 1 }
        isOpen.wait()
        isOpen.signal()
    }

    /// Waits until at least `count` threads have come here.
    func untilWaiting(_ count: Int = 1) async throws {
        try await waiting.until { $0 >= count }
    }
}

/// A clock that goes on as time does, and further when it is told to.
final class TestClock: Sendable {
    private let ahead = Mutex(Duration.zero)

    var now: ContinuousClock.Instant { .now + ahead.withLock { $0 } }

    func advance(by time: Duration) { ahead.withLock { $0 += time } }
}

/// Records that outlive a source, as those on a disk do.
final class MemoryRecords: SourceRecords {
    enum Call: Sendable {
        case value
        case remove
    }

    private struct State {
        var values: [String: [UInt8]] = [:]
        var removed: [String] = []
        var held: (call: Call, prefix: String, door: Door)?
        var isTaken = false
        var failing: [String] = []
    }

    struct InUse: Error, CustomStringConvertible {
        let description = "another process has the records"
    }

    struct Full: Error, CustomStringConvertible {
        let description = "there is no room for a change"
    }

    let setAside: String?
    private let state = Mutex(State())

    /// - Parameter damage: for which earlier ones were set aside.
    init(damage: String? = nil) {
        setAside = damage
    }

    /// Whether another process has them.
    var isTaken: Bool {
        get { state.withLock { $0.isTaken } }
        set { state.withLock { $0.isTaken = newValue } }
    }

    /// Changes of keys that begin with one of these fail.
    var failing: [String] {
        get { state.withLock { $0.failing } }
        set { state.withLock { $0.failing = newValue } }
    }

    func opened() throws -> MemoryRecords {
        guard !isTaken else { throw InUse() }
        return self
    }

    /// The keys of all removals, in their order.
    var removed: [String] { state.withLock { $0.removed } }

    func value(_ key: String) throws -> [UInt8]? {
        hold(.value, key)
        return state.withLock { $0.values[key] }
    }

    func put(_ key: String, _ value: [UInt8]) throws {
        try checkRoom(for: key)
        state.withLock { $0.values[key] = value }
    }

    func remove(_ key: String) throws {
        hold(.remove, key)
        try checkRoom(for: key)
        state.withLock { state in
            state.values[key] = nil
            state.removed.append(key)
        }
    }

    private func checkRoom(for key: String) throws {
        if failing.contains(where: { key.hasPrefix($0) }) { throw Full() }
    }

    func keys(prefix: String) throws -> [String] {
        state.withLock { $0.values.keys.filter { $0.hasPrefix(prefix) } }
    }

    /// Runs `body` while such calls wait at the door, which `body` may open, and which is open afterwards.
    func holding<Value>(
        _ call: Call,
        _ prefix: String,
        _ body: (Door) async throws -> Value
    ) async throws -> Value {
        let door = Door()
        state.withLock { $0.held = (call, prefix, door) }
        defer {
            state.withLock { $0.held = nil }
            door.open()
        }
        return try await body(door)
    }

    private func hold(_ call: Call, _ key: String) {
        let door = state.withLock { state in
            state.held.flatMap { $0.call == call && key.hasPrefix($0.prefix) ? $0.door : nil }
        }
        door?.pass()
    }
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
        let torrents = TorrentUnderTest(
            source: source,
            directory: directory,
            clock: clock,
            pool: context.pool,
            // Ended below, if the test has not done so.
            running: Task { try await source.run() }
        )
        do {
            let value = try await body(torrents)
            await torrents.shutDown()
            return value
        } catch {
            await torrents.shutDown()
            throw error
        }
    }
    return try await TestContext.with(threads: poolThreads, openRecords: { _ in try records.opened() }, run)
}

func withTorrents<Value>(
    records: MemoryRecords = MemoryRecords(),
    _ configure: (inout TorrentSettings) -> Void = { _ in },
    _ body: (TorrentUnderTest) async throws -> Value
) async throws -> Value {
    try await withTemporaryDirectory { try await withTorrents(in: $0, records: records, configure, body) }
}

extension TemporaryDirectory {
    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path(name)))) }
}
