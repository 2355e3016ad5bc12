import ArgumentParser
import Dispatch
import Foundation
import Gateway

/// Runs `body` with the cache of the configuration; ends the command with one line and the right status if it cannot.
func withCache<Value>(
    _ options: ConfigOptions,
    _ body: (any CacheOperations) async throws -> Value
) async throws -> Value {
    let setup = options.load()
    guard setup.isValid else {
        printDiagnostics(setup)
        throw ExitCode.badConfiguration
    }
    do {
        return try await CacheAccess.with(setup.config, body)
    } catch let error as CacheAccessError {
        FileHandle.standardError.write(Data("media-gateway: \(error)\n".utf8))
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
    /// EX_UNAVAILABLE, EX_TEMPFAIL of sysexits.h.
    fileprivate static let unavailable = ExitCode(69)
    fileprivate static let inUse = ExitCode(75)
    /// As shells have it for SIGINT.
    fileprivate static let interrupted = ExitCode(130)
}
