import ChunkCache
import Config
import Gateway
import Logging
import NIOCore
import ServiceLifecycle
import SourceContract
import SourcePlugins
import Synchronization

/// A data listener on a free port of this machine, over sources of the test.
struct TestGateway: Sendable {
    let port: Int
    let registry: PrometheusRegistry
    let connections: ConnectionRegistry
    let objects: ObjectTable
    private let dispatcher: CountingDispatcher
    private let group: ServiceGroup
    private let drain: DrainClock

    /// How many requests were dispatched.
    var dispatched: Int { dispatcher.count.load(ordering: .relaxed) }

    func client() async throws -> RawClient { try await RawClient(port: port) }

    func stop() async { await group.triggerGracefulShutdown() }

    func hurry() { drain.hurry() }

    /// Waits until the metrics page has `line` in it; the suite's time limit ends a wait in vain.
    func untilCounted(_ line: String) async {
        while !registry.page().contains(line), !Task.isCancelled { await Task.yield() }
    }

    /// Hundreds of tests share two threads: a second of silence says nothing here.
    private static let patientLimits = {
        var limits = ConnectionServices.Limits()
        limits.goneClient = .seconds(60)
        return limits
    }()

    struct Options: Sendable {
        var limits = patientLimits
        var firstByteDeadline = Duration.seconds(20)
        var drainDeadline = Duration.seconds(20)
        var connectionLimit = 1000
        var trustedProxies: [AddressRange] = []
        var accessLog: AccessLog?
        var cache: ChunkStore?
        /// Besides the sources given: one that is off.
        var disabled: String?
        /// Of the source given.
        var mount = "/media"
        var gate = ItemGate()
        var hasOldRoutes = false
    }

    /// Serves `source` while `body` runs. `body` may stop the gateway itself.
    static func with(
        _ source: any MediaSource = SyntheticSource(),
        _ options: Options = Options(),
        _ body: @Sendable (TestGateway) async throws -> Void
    ) async throws {
        let registry = PrometheusRegistry()
        let objects = ObjectTable()
        var entries = [
            SourceTable.Entry(
                name: "media",
                kind: "synthetic",
                mount: options.mount,
                firstByteDeadline: options.firstByteDeadline,
                state: .enabled(source),
                epoch: 0
            )
        ]
        if let disabled = options.disabled {
            entries.append(
                SourceTable.Entry(
                    name: disabled,
                    kind: "disk",
                    mount: "/\(disabled)",
                    firstByteDeadline: .seconds(1),
                    state: .disabled(file: "plugins.d/\(disabled).toml:2:1", key: "enabled"),
                    epoch: 1
                )
            )
        }
        let table = SourceTable(entries)
        let connections = ConnectionRegistry(limit: options.connectionLimit)
        let services = ConnectionServices(
            plane: .data,
            limits: options.limits,
            logger: .silent,
            reporter: RequestReporter(
                plane: .data,
                registry: registry,
                accessLog: options.accessLog,
                slowLog: SlowRequestLog(threshold: .seconds(3600), logger: .silent)
            ),
            registry: connections,
            trustedProxies: options.trustedProxies
        )
        let dispatcher = CountingDispatcher(
            DataDispatcher(
                sources: table,
                objects: objects,
                cache: options.cache,
                response: MediaResponse(node: "test"),
                pages: PageRouter(sources: table, facts: { [] }, pluginsDirectory: "plugins.d", logger: .silent),
                pageDeadline: options.firstByteDeadline,
                gate: options.gate,
                hasOldRoutes: options.hasOldRoutes
            )
        )
        try await TestListener.with(services, dispatcher, patience: options.drainDeadline) { listener in
            let gateway = TestGateway(
                port: listener.port,
                registry: registry,
                connections: connections,
                objects: objects,
                dispatcher: dispatcher,
                group: listener.group,
                drain: listener.drain
            )
            try await body(gateway)
        }
    }
}

private final class CountingDispatcher: RequestDispatcher {
    let count = Atomic(0)
    private let base: DataDispatcher

    init(_ base: DataDispatcher) {
        self.base = base
    }

    var methods: RequestGate.Methods { base.methods }
    var readsAllFields: Bool { base.readsAllFields }

    func dispatch(_ request: GatewayRequest) -> Dispatch {
        count.wrappingAdd(1, ordering: .relaxed)
        return base.dispatch(request)
    }
}
