import ArgumentParser
import Config
import Foundation
import Gateway

/// Runs `body` with the cache of the configuration; ends the command with one line and the right status if it cannot.
func withCache<Value>(
    _ options: ConfigOptions,
    _ body: (any CacheOperations) async throws -> Value
) async throws -> Value {
    try await withCacheConfig(options) { try await CacheAccess.with($0, body) }
}

/// Runs `body` with the configuration; ends the command as ``withCache(_:_:)`` does.
func withCacheConfig<Value>(
    _ options: ConfigOptions,
    _ body: (GatewayConfig) async throws -> Value
) async throws -> Value {
    let setup = options.load()
    guard setup.isValid else {
        printDiagnostics(setup)
        throw ExitCode.badConfiguration
    }
    return try await endingWithStatus { try await body(setup.config) }
}

/// Ends the command with one line and the right status if the cache or the gateway does not do what `body` asks.
func endingWithStatus<Value>(_ body: () async throws -> Value) async throws -> Value {
    do {
        return try await body()
    } catch let error as CacheAccessError {
        complain("\(error)")
        switch error.code {
        case .inUse: throw ExitCode.inUse
        case .refused: throw ExitCode.failure
        case .missing, .unavailable: throw ExitCode.unavailable
        }
    }
}

extension ExitCode {
    /// EX_NOINPUT of sysexits.h.
    static let noInput = ExitCode(66)
    /// EX_TEMPFAIL of sysexits.h.
    fileprivate static let inUse = ExitCode(75)
}
