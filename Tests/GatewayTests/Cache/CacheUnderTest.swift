import ChunkCache
import Config
import Gateway
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import SourceContract
import SourcePlugins

/// A chunk cache in a directory of its own.
struct CacheUnderTest: Sendable {
    static let chunkSize = 64 << 10

    let directory: TemporaryDirectory
    let store: ChunkStore
    /// What was to be forgotten outside the cache.
    let forgotten = Observed<[PurgeScope]>([])

    /// Runs `body` with a cache that holds `objects`: source, path, size.
    static func with(
        _ objects: [(source: String, path: String, size: Int64)] = [],
        pinBytes: Int64? = nil,
        sourceSizes: [String: Int64] = [:],
        scrubRate: Int64 = 0,
        _ body: @Sendable (CacheUnderTest) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let pool = NIOThreadPool(numberOfThreads: 2)
            pool.start()
            do {
                var settings = settings(directory)
                if let pinBytes { settings.pinBytes = pinBytes }
                settings.sourceSizes = sourceSizes
                settings.scrubRate = scrubRate
                let store = try ChunkStore(settings, pool: pool, logger: .silent)
                let cache = CacheUnderTest(directory: directory, store: store)
                do {
                    for object in objects { try await cache.put(object.source, object.path, size: object.size) }
                    try await body(cache)
                } catch {
                    store.close()
                    throw error
                }
                store.close()
            } catch {
                try? await pool.shutdownGracefully()
                throw error
            }
            try await pool.shutdownGracefully()
        }
    }

    static func settings(_ directory: TemporaryDirectory) -> ChunkStoreSettings {
        ChunkStoreSettings(directory: directory.path("cache"), size: 16 << 20, chunkSize: chunkSize)
    }

    /// Has an object, or a range of it, read through the cache.
    func put(
        _ source: String,
        _ path: String,
        size: Int64,
        range: Range<Int64>? = nil,
        created: Int64 = 1_764_000_000_000_000_000
    ) async throws {
        let record = ObjectRecord(
            number: 0,
            source: source,
            path: Array(path.utf8),
            size: size,
            revision: "1",
            isImmutable: false,
            created: created
        )
        try await read(range ?? 0..<size, of: store.object(record))
        // The reader has left, which would keep the chunk that it is in.
        await store.settle()
    }

    private func read(_ range: Range<Int64>, of object: CachedObject) async throws {
        let reader = ChunkReader(
            store,
            object,
            upTo: range.upperBound,
            executor: nil,
            isFinal: { _ in true },
            source: { range in
                let rest = Observed<ByteBuffer?>(ByteBuffer(repeating: 7, count: range.count))
                return { rest.update { $0.take() } }
            }
        )
        var position = range.lowerBound
        while position < range.upperBound {
            switch try await reader.next(at: position) {
            case .stored(let end), .bypass(let end): position = end
            case .bytes(let buffer): position += Int64(buffer.readableBytes)
            }
        }
    }

    /// Serves the admin plane over this cache while `body` runs.
    func serve(
        token: String? = nil,
        at address: ListenAddress = .tcp(host: "127.0.0.1", port: 0),
        _ body: @Sendable (AdminUnderTest) async throws -> Void
    ) async throws {
        let registry = PrometheusRegistry()
        let forgotten = forgotten
        let routes = CacheRoutes(store, sources: ["media", "other"]) { scope in forgotten.update { $0.append(scope) } }
        let dispatcher = AdminDispatcher(
            access: AdminAccess(token: token.map { Array($0.utf8) }, hosts: ["gateway.test", "localhost"]),
            metrics: registry,
            configuration: "",
            cache: routes,
            readiness: { nil },
            logger: .silent
        )
        try await Self.serve(dispatcher, registry, at: address) { port in
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(AdminUnderTest(port: port, routes: routes)))
            } catch {
                result = .failure(error)
            }
            await routes.stop()
            try result.get()
        }
    }

    /// Serves an admin plane while `body` runs.
    static func serve(
        _ dispatcher: AdminDispatcher,
        _ registry: PrometheusRegistry,
        at address: ListenAddress = .tcp(host: "127.0.0.1", port: 0),
        _ body: @Sendable (_ port: Int) async throws -> Void
    ) async throws {
        let port = Observed<Int?>(nil)
        let drain = DrainClock(patience: .seconds(20))
        let listener = Listener(
            addresses: [address],
            group: MultiThreadedEventLoopGroup.singleton,
            services: ConnectionServices(
                plane: .admin,
                logger: .silent,
                reporter: RequestReporter(
                    plane: .admin,
                    registry: registry,
                    accessLog: nil,
                    slowLog: SlowRequestLog(threshold: .seconds(3600), logger: .silent)
                ),
                registry: ConnectionRegistry(limit: 100)
            ),
            dispatcher: dispatcher,
            drain: drain,
            bound: { addresses in port.update { $0 = addresses.first?.port ?? 0 } }
        )
        let group = ServiceGroup(services: [listener], logger: .silent)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = try await port.until { $0 != nil } ?? 0
            let result: Result<Void, any Error>
            do { result = .success(try await body(port)) } catch { result = .failure(error) }
            drain.hurry()
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            try result.get()
        }
    }
}

/// An admin listener that serves.
struct AdminUnderTest: Sendable {
    /// 0 on a Unix socket.
    let port: Int
    let routes: CacheRoutes

    func request(_ method: String, _ target: String, fields: [String] = []) async throws -> RawClient.Answer {
        let client = try await RawClient(port: port)
        let answer = try await client.request(target, method: method, fields: fields)
        try await client.close()
        return answer
    }
}

extension Logger {
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}
