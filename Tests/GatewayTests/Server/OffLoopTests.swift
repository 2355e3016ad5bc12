import Gateway
import NIOPosix
import SourceContract
import SourcePlugins
import Testing

@Suite("What is kept off the event loops", .timeLimit(.minutes(1)))
struct OffLoopTests {
    /// Without a change of threads before it, as an operation's synchronous part has none.
    private static var isOnLoop: Bool { MultiThreadedEventLoopGroup.currentEventLoop != nil }

    private static func isOnLoopOfCallee() async -> Bool { isOnLoop }

    @Test("what runs off the loop does so from its first instruction, in the task of a request")
    func closure() async {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let task = Task(executorPreference: LoopExecutor(loop)) {
            let before = Self.isOnLoop
            let inside = await offLoop { Self.isOnLoop }
            let callee = await offLoop { await Self.isOnLoopOfCallee() }
            return [before, inside, callee, Self.isOnLoop]
        }
        #expect(await task.value == [true, false, false, true])
    }

    @Test("what is asked of the cache, or done to it, is off the loop", arguments: ["POST", "PURGE"])
    func purge(method: String) async throws {
        try await CacheUnderTest.with([("media", "a.mkv", 100)]) { cache in
            let wasOnLoop = Observed<[Bool]>([])
            let registry = PrometheusRegistry()
            let dispatcher = AdminDispatcher(
                access: AdminAccess(token: nil, hosts: ["gateway.test"]),
                metrics: registry,
                configuration: "",
                cache: CacheRoutes(cache.store, sources: ["media"]) { _ in
                    wasOnLoop.update { $0.append(Self.isOnLoop) }
                },
                sources: SourceTable([
                    SourceTable.Entry(
                        name: "media",
                        kind: "synthetic",
                        mount: "/media",
                        firstByteDeadline: .seconds(1),
                        state: .enabled(SyntheticSource()),
                        epoch: 0
                    )
                ]),
                readiness: { nil },
                logger: .silent
            )
            try await CacheUnderTest.serve(dispatcher, registry) { port in
                let client = try await RawClient(port: port)
                let path = method == "PURGE" ? "/media/a.mkv" : "/admin/v1/cache/purge?scope=source&source=media"
                #expect(try await client.request(path, method: method).status == 200)
                try await client.close()
            }
            // Before and after.
            #expect(wasOnLoop.value == [false, false])
        }
    }

    @Test("metrics are collected off the loop, as the cache's may wait for the disk")
    func metrics() async throws {
        let wasOnLoop = Observed<[Bool]>([])
        let registry = PrometheusRegistry()
        registry.onScrape { _ in wasOnLoop.update { $0.append(Self.isOnLoop) } }
        let dispatcher = AdminDispatcher(
            access: AdminAccess(token: nil, hosts: ["gateway.test"]),
            metrics: registry,
            configuration: "",
            readiness: { nil },
            logger: .silent
        )
        try await CacheUnderTest.serve(dispatcher, registry) { port in
            let client = try await RawClient(port: port)
            #expect(try await client.request("/metrics").status == 200)
            try await client.close()
        }
        #expect(wasOnLoop.value == [false])
    }
}
