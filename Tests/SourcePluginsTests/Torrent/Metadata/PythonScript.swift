import Dispatch
import Foundation

/// Runs what this suite asks of Python, where there is one.
enum PythonScript {
    /// An interpreter; `nil` if there is none.
    static let interpreter = candidates.first { canRun("pass", $0) }
    /// An interpreter that has libtorrent's bindings; `nil` if there is none.
    static let withLibtorrent = candidates.first { canRun("import libtorrent", $0) }

    static let acceptance = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Acceptance").path

    /// Distributions put their bindings beside their own interpreter, which need not be the first in the path.
    private static var candidates: [String] {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return (["/usr/bin"] + path.split(separator: ":").map(String.init)).map { "\($0)/python3" }
            .filter { FileManager.default.isExecutableFile(atPath: $0) }
    }

    private static func canRun(_ code: String, _ interpreter: String) -> Bool {
        (try? run(interpreter, ["-W", "ignore", "-c", code])) != nil
    }

    struct Failed: Error {
        let output: String
    }

    /// Runs it on no thread that tests run on.
    ///
    /// - Returns: what the program printed.
    @discardableResult
    static func output(_ interpreter: String, _ arguments: [String]) async throws -> Data {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try run(interpreter, arguments) }) }
        }
    }

    private static func run(_ interpreter: String, _ arguments: [String]) throws -> Data {
        let process = Process()
        process.executableURL = URL(filePath: interpreter)
        process.arguments = ["-B"] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let printed = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failed(output: String(decoding: printed, as: UTF8.self)) }
        return printed
    }
}
