import ChunkCache
import Config
import CoreMetrics
import Dispatch
import Glibc
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import SourcePlugins
import UnixSignals

/// The running gateway: sources, admin listener and data listener, started together and stopped in reverse.
package struct GatewayService: Sendable {
    private let setup: GatewaySetup

    package init(_ setup: GatewaySetup) {
        self.setup = setup
    }

    /// Serves until a signal or a fault ends it.
    ///
    /// - Throws: ``ListenError`` if an address cannot be bound, ``DescriptorLimitError``, ``LineSinkError`` if the
    ///   access log cannot be opened.
    package func run() async throws {
        let config = setup.config
        // A reader of our output that leaves, or a client that does, must not end the process.
        signal(SIGPIPE, SIG_IGN)
        Heap.share()
        try DescriptorLimit.ensure(connections: config.limits.connections)
        let telemetry = try Telemetry(config.log)
        let status = GatewayStatus()
        NIOSingletons.groupLoopCountSuggestion = UsableCores.count
        let group = MultiThreadedEventLoopGroup.singleton
        let pool = NIOThreadPool(numberOfThreads: 4 * max(System.coreCount, 2))
        pool.start()
        // Readers of chunks that are not in memory are not to take the processor from those of chunks that are.
        let cacheThreads = 4 * max(System.coreCount, 2)
        let cachePool = NIOThreadPool(numberOfThreads: cacheThreads)
        cachePool.start()
        cachePool.goBehindOthers(count: cacheThreads)
        let cache =
            config.cache.enabled
            ? try ChunkStore(
                ChunkStoreSettings(config.cache, sources: config.sources),
                pool: cachePool,
                copyPool: pool,
                logger: telemetry.logger
            ) : nil
        // Behind the cache, which has little to keep and is to have it.
        cachePool.submit { [logger = telemetry.logger] _ in ProgramMemory.keepCode(logger) }
        let table = setup.makeSources(logger: telemetry.logger, pool: pool, objects: status.objects)
        let dataDrain = DrainClock(patience: config.server.drainDeadline)
        let routes = cache.map { cache in
            CacheMetrics.register(cache, sources: config.sources.map(\.name), in: telemetry.registry)
            return CacheRoutes(cache, sources: config.sources.filter(\.isCached).map(\.name)) { scope in
                status.objects.removeAll { scope.contains(source: $0.record.source, path: $0.record.path) }
            }
        }
        let lag = LoopLagMeter(group, in: telemetry.registry)
        lag.start()
        defer { lag.stop() }
        let admin = try adminListener(routes, table, telemetry, status, group)
        let data = dataListener(table, cache, telemetry, status, group, dataDrain)
        let kept = cache.flatMap { cache in routes.map { [CacheService(cache: cache, routes: $0)] } } ?? []
        let services: [any Service] = kept + supervised(table, telemetry.logger) + [admin, data]
        let serviceGroup = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map { ServiceGroupConfiguration.ServiceConfiguration(service: $0) },
                logger: telemetry.logger
            )
        )
        defer { telemetry.close() }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await serviceGroup.run() }
            tasks.addTask {
                await watchSignals(telemetry) { count in
                    status.isDraining = true
                    if count == 1 {
                        telemetry.logger.info("stopping", metadata: ["connections": "\(status.connections())"])
                        exitAtLast(after: config.server.drainDeadline, telemetry)
                        await serviceGroup.triggerGracefulShutdown()
                    } else {
                        dataDrain.hurry()
                    }
                }
            }
            defer { tasks.cancelAll() }
            try await tasks.next()
        }
        try? await cachePool.shutdownGracefully()
        try? await pool.shutdownGracefully()
    }

    // MARK: - Parts

    private func dataListener(
        _ table: SourceTable,
        _ cache: ChunkStore?,
        _ telemetry: Telemetry,
        _ status: GatewayStatus,
        _ group: any EventLoopGroup,
        _ drain: DrainClock
    ) -> Listener {
        let config = setup.config
        let pages = PageRouter(
            sources: table,
            facts: { status.facts() },
            pluginsDirectory: config.pluginsDirectory,
            logger: telemetry.logger
        )
        let node = NodeName.structuredField(config.server.name)
        let dispatcher = DataDispatcher(
            sources: table,
            objects: status.objects,
            cache: cache,
            response: MediaResponse(node: node),
            pages: pages,
            pageDeadline: config.server.firstByteDeadline,
            meter: SourceMeter(table.entries.map(\.name), in: telemetry.registry),
            gate: ItemGate(
                limit: config.limits.resolvePerIP,
                hosts: Set(config.server.listen.compactMap(\.hostName)),
                registry: telemetry.registry
            ),
            hasOldRoutes: config.compat.enabled
        )
        let registry = ConnectionRegistry(limit: config.limits.connections)
        telemetry.count(registry, plane: .data)
        status.connections = { registry.openConnections }
        return Listener(
            addresses: config.server.listen,
            group: group,
            services: ConnectionServices(
                plane: .data,
                logger: telemetry.logger,
                reporter: telemetry.reporter(.data),
                registry: registry,
                trustedProxies: config.server.trustedProxies,
                cacheNode: node
            ),
            dispatcher: dispatcher,
            drain: drain,
            bound: { addresses in
                if let banner = status.bound(.data, config.server.listen, addresses, table) {
                    telemetry.announce(banner)
                }
            }
        )
    }

    private func adminListener(
        _ cache: CacheRoutes?,
        _ table: SourceTable,
        _ telemetry: Telemetry,
        _ status: GatewayStatus,
        _ group: any EventLoopGroup
    ) throws -> Listener {
        let config = setup.config
        let dispatcher = AdminDispatcher(
            access: try AdminAccess(config.admin),
            metrics: telemetry.registry,
            configuration: setup.effectiveConfiguration,
            cache: cache,
            items: ItemAdministration(table),
            sources: table,
            readiness: { status.unreadiness },
            logger: telemetry.logger
        )
        let registry = ConnectionRegistry(limit: 256)
        telemetry.count(registry, plane: .admin)
        return Listener(
            addresses: [config.admin.listen],
            group: group,
            services: ConnectionServices(
                plane: .admin,
                logger: telemetry.logger,
                reporter: telemetry.reporter(.admin),
                registry: registry
            ),
            dispatcher: dispatcher,
            drain: DrainClock(patience: .milliseconds(500)),
            bound: { addresses in
                if let banner = status.bound(.admin, [config.admin.listen], addresses, nil) {
                    telemetry.announce(banner)
                }
            }
        )
    }

    private func supervised(_ table: SourceTable, _ logger: Logger) -> [any Service] {
        table.entries.compactMap { entry in
            guard case .enabled(let source) = entry.state else { return nil }
            return SupervisedSource(name: entry.name, source: source, table: table, logger: logger)
        }
    }
}

extension ListenAddress {
    /// The name or address that clients may call this machine by; `nil` for a Unix socket.
    fileprivate var hostName: String? {
        switch self {
        case .unix: nil
        case .tcp(let host, _): host.lowercased()
        }
    }
}

/// A source's background work, whose failure is the source's alone.
private struct SupervisedSource: Service {
    let name: String
    let source: any MediaSource
    let table: SourceTable
    let logger: Logger

    func run() async throws {
        do {
            try await source.run()
        } catch is CancellationError {
            return
        } catch {
            logger.error("source down", metadata: ["source": "\(name)", "reason": "\(error)"])
            table.markDown(name, reason: "\(error)")
        }
        // A service that returns would end the gateway.
        await untilShutdown()
    }
}

/// Calls `stop` with 1, 2, … for each signal that asks the process to end; opens the logs again for SIGUSR1.
///
/// SIGHUP is what a terminal sends that is closed, and the process ends with it. Without a terminal it is what those send
/// who have renamed a log file.
private func watchSignals(_ telemetry: Telemetry, stop: @Sendable (Int) async -> Void) async {
    let endsByHangup = isatty(STDERR_FILENO) == 1
    var count = 0
    for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup, .sigusr1) {
        if signal == .sigusr1 || signal == .sighup && !endsByHangup {
            telemetry.reopen()
        } else {
            count += 1
            await stop(count)
        }
    }
}

/// Ends the process if something holds up an orderly end: a source whose `run()` does not return, a stuck file system.
private func exitAtLast(after drainDeadline: Duration, _ telemetry: Telemetry) {
    let patience = drainDeadline + .milliseconds(500)
    let nanoseconds = Int(clamping: patience.wholeNanoseconds)
    DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) {
        telemetry.close()
        exit(0)
    }
}
