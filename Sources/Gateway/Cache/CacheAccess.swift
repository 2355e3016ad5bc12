import ChunkCache
package import Config
import FoundationEssentials
import Logging
import NIOPosix

/// How the command line gets at the cache.
package enum CacheAccess {
    /// Runs `body` with the cache that `config` names: through the gateway if that runs, else opened for this process
    /// alone until `body` is done.
    ///
    /// - Throws: ``CacheAccessError``, and whatever `body` throws.
    package static func with<Value>(
        _ config: GatewayConfig,
        _ body: (any CacheOperations) async throws -> Value
    ) async throws -> Value {
        if let running = try await RemoteCache(client(config.admin), directory: config.cache.path) {
            return try await body(running)
        }
        // Opening makes one where there is none.
        guard FileManager.default.fileExists(atPath: config.cache.path + "/data.mdb") else {
            throw CacheAccessError(.missing, "there is no cache in \(config.cache.path)")
        }
        var settings = ChunkStoreSettings(config.cache, sources: config.sources)
        // Looking at a cache must not empty it, say since this configuration is not the gateway's.
        settings.mayReplace = false
        let sources = config.sources.filter(\.isCached).map(\.name)
        return try await withStore(settings, sources, config.admin.listen, body)
    }

    private static func client(_ config: GatewayConfig.Admin) throws -> AdminClient {
        do {
            return try AdminClient(config)
        } catch {
            throw CacheAccessError(.unavailable, error.description)
        }
    }

    private static func withStore<Value>(
        _ settings: ChunkStoreSettings,
        _ sources: [String],
        _ address: ListenAddress,
        _ body: (any CacheOperations) async throws -> Value
    ) async throws -> Value {
        var logger = Logger(label: "media-gateway.cache") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        let pool = NIOThreadPool(numberOfThreads: 2)
        pool.start()
        let store: ChunkStore
        do {
            store = try ChunkStore(settings, pool: pool, logger: logger)
        } catch {
            try? await pool.shutdownGracefully()
            guard error is CacheInUse else { throw CacheAccessError(.unavailable, "\(error)") }
            throw CacheAccessError(.inUse, "\(error), and no gateway answers on \(address)")
        }
        let result: Result<Value, any Error>
        do {
            // Behind the look at what there is.
            await store.flush()
            if let failure = store.failure { throw CacheAccessError(.unavailable, failure) }
            result = .success(try await body(CacheAdministration(store, sources: sources)))
            await store.flush()
        } catch PinError.unavailable(let reason) {
            result = .failure(CacheAccessError(.unavailable, reason))
        } catch let error as PinError {
            result = .failure(CacheAccessError(.refused, error.text))
        } catch let error as CacheNotOpen {
            result = .failure(CacheAccessError(.unavailable, error.description))
        } catch let error as UnknownSource {
            result = .failure(CacheAccessError(.refused, "\(error)"))
        } catch {
            result = .failure(error)
        }
        store.close()
        try? await pool.shutdownGracefully()
        return try result.get()
    }
}

/// Why the command line does not get at the cache.
package struct CacheAccessError: Error, CustomStringConvertible {
    package enum Code: Sendable {
        /// Another process has it, and cannot be asked.
        case inUse
        /// There is none.
        case missing
        case unavailable
        /// It does not do what was asked for.
        case refused
    }

    package let code: Code
    package let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
