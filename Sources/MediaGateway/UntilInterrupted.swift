import ArgumentParser
import Dispatch
import Foundation

/// Runs `body`, and cancels it when the operator presses Ctrl-C. What it returns all the same is returned.
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
    /// As shells have it for SIGINT.
    static let interrupted = ExitCode(130)
}
