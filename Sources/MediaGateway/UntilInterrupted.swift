import ArgumentParser
import Dispatch
import Foundation

/// Runs `body`, and cancels it when the operator presses Ctrl-C. What it returns all the same is returned.
func untilInterrupted<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT)
    let signals = AsyncStream.makeStream(of: Void.self)
    source.setEventHandler { signals.continuation.yield() }
    source.resume()
    defer { source.cancel() }
    do {
        return try await withThrowingTaskGroup(of: Value?.self) { tasks in
            tasks.addTask { try await body() }
            tasks.addTask {
                for await _ in signals.stream { break }
                return nil
            }
            while let ended = try await tasks.next() {
                tasks.cancelAll()
                if let ended { return ended }
            }
            throw CancellationError()
        }
    } catch is CancellationError {
        FileHandle.standardError.write(Data("\nmedia-gateway: interrupted\n".utf8))
        throw ExitCode.interrupted
    }
}

extension ExitCode {
    /// As shells have it for SIGINT.
    static let interrupted = ExitCode(130)
}
