import ArgumentParser
import Dispatch
import Foundation
import Synchronization

/// Runs `body`, and cancels it at Ctrl-C, SIGTERM, or SIGHUP. What it returns all the same is returned. A second signal
/// ends the process at once. A process calls this or ``untilSignal(_:)`` once.
func untilInterrupted<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    try await untilSignal(body).value
}

/// The same, with the signal that came, if one did.
func untilSignal<Value: Sendable>(
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> (value: Value, signal: Int32?) {
    let arrivals = AsyncStream.makeStream(of: Int32.self)
    for number in trappedSignals() {
        let source = DispatchSource.makeSignalSource(signal: number)
        source.setEventHandler {
            // Whoever asks twice does not want to wait for what is still printed.
            guard signalCount.wrappingAdd(1, ordering: .relaxed).oldValue == 0 else { _exit(128 + number) }
            arrivals.continuation.yield(number)
        }
        source.resume()
        // Until the end of the process: the signal no longer ends it by itself.
        _ = Unmanaged.passRetained(source as AnyObject)
    }
    var arrived: Int32?
    do {
        let value = try await withThrowingTaskGroup(of: Ending<Value>.self) { tasks -> Value in
            tasks.addTask { .body(try await body()) }
            tasks.addTask {
                for await number in arrivals.stream { return .signal(number) }
                throw CancellationError()
            }
            while let ending = try await tasks.next() {
                tasks.cancelAll()
                switch ending {
                case .body(let value): return value
                case .signal(let number): arrived = number
                }
            }
            throw CancellationError()
        }
        return (value, arrived)
    } catch is CancellationError {
        // The terminal may be gone.
        try? FileHandle.standardError.write(contentsOf: Data("\nmedia-gateway: interrupted\n".utf8))
        throw ExitCode.interrupted(by: arrived ?? SIGINT)
    }
}

/// How many have come.
private let signalCount = Atomic(0)

private enum Ending<Value: Sendable>: Sendable {
    case body(Value)
    case signal(Int32)
}

/// The signals that ask the program to end. They no longer end it by themselves.
private func trappedSignals() -> [Int32] {
    signal(SIGINT, SIG_IGN)
    signal(SIGTERM, SIG_IGN)
    // Who began it with `nohup` wants it to go on. The handler that ignores is no function but the number 1.
    let isHangupIgnored = unsafeBitCast(signal(SIGHUP, SIG_IGN), to: Int.self) == 1
    return isHangupIgnored ? [SIGINT, SIGTERM] : [SIGINT, SIGTERM, SIGHUP]
}

extension ExitCode {
    /// As shells have it.
    static func interrupted(by signal: Int32) -> ExitCode { ExitCode(128 + signal) }
}
