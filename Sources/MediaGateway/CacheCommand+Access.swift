import ArgumentParser
import Config
import Dispatch
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

/// Runs `body`, and cancels it when the operator presses Ctrl-C.
func untilInterrupted<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    // Ended by the signal's source below, or by itself.
    let task = Task { try await body() }
    signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT)
    source.setEventHandler { task.cancel() }
    source.resume()
    defer { source.cancel() }
    do {
        return try await task.value
    } catch is CancellationError {
        FileHandle.standardError.write(Data("\nmedia-gateway: interrupted\n".utf8))
        throw ExitCode.interrupted
    }
}

extension ExitCode {
    /// EX_TEMPFAIL of sysexits.h.
    fileprivate static let inUse = ExitCode(75)
    /// As shells have it for SIGINT.
    fileprivate static let interrupted = ExitCode(130)
}
