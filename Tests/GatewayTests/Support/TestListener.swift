import Gateway
import Logging
import NIOPosix
import ServiceLifecycle
import SourceContract

/// A listener of the data plane that runs while `body` does.
struct TestListener: Sendable {
    let port: Int
    let group: ServiceGroup
    let drain: DrainClock

    /// - Parameters:
    ///   - patience: how long answers may go on once the listener is told to stop.
    ///   - eventLoops: where it serves; of its own if the test keeps them busy.
    static func with(
        _ services: ConnectionServices,
        _ dispatcher: any RequestDispatcher,
        patience: Duration,
        group eventLoops: MultiThreadedEventLoopGroup = .singleton,
        _ body: @Sendable (TestListener) async throws -> Void
    ) async throws {
        let port = Observed<Int?>(nil)
        let drain = DrainClock(patience: patience)
        let listener = Listener(
            addresses: [.tcp(host: "127.0.0.1", port: 0)],
            group: eventLoops,
            services: services,
            dispatcher: dispatcher,
            drain: drain,
            bound: { addresses in port.update { $0 = addresses.first?.port } }
        )
        let group = ServiceGroup(services: [listener], logger: .silent)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = try await port.until { $0 != nil } ?? 0
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(TestListener(port: port, group: group, drain: drain)))
            } catch {
                result = .failure(error)
            }
            drain.hurry()
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            try result.get()
        }
    }
}

extension ConnectionServices {
    /// Of a data plane that writes no log and whose metrics nobody reads.
    static func quiet(_ registry: ConnectionRegistry, _ limits: Limits = Limits()) -> ConnectionServices {
        ConnectionServices(
            plane: .data,
            limits: limits,
            logger: .silent,
            reporter: RequestReporter(
                plane: .data,
                registry: PrometheusRegistry(),
                accessLog: nil,
                slowLog: SlowRequestLog(threshold: .seconds(3600), logger: .silent)
            ),
            registry: registry
        )
    }
}
