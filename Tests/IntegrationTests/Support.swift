import Foundation
import Testing

/// The program that was built with these tests.
struct Program: Sendable {
    static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Beside the bundle of the tests.
    static let gateway = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appending(path: "media-gateway").path

    struct Ended: Sendable {
        let status: Int32
        let output: String
        let errors: String
    }

    /// Runs a program to its end. What it prints must fit into pipes, or go to files.
    static func run(
        _ arguments: [String],
        program: String = gateway,
        in directory: URL? = nil,
        environment: [String: String] = [:]
    ) async throws -> Ended {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.currentDirectoryURL = directory
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        let (output, errors) = (Pipe(), Pipe())
        (process.standardOutput, process.standardError) = (output, errors)
        process.standardInput = FileHandle.nullDevice
        let ended = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do { try process.run() } catch { continuation.resume(throwing: error) }
        }
        return Ended(
            status: ended,
            output: String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self),
            errors: String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        )
    }

    /// Runs a gateway with the configuration in a folder while `body` does.
    ///
    /// - Parameter body: gets the address of its data listener, such as `http://127.0.0.1:8080`.
    static func serving<Value>(
        in directory: URL,
        _ body: (String) async throws -> Value
    ) async throws -> Value {
        let process = Process()
        process.executableURL = URL(filePath: gateway)
        process.arguments = ["serve"]
        process.currentDirectoryURL = directory
        process.standardInput = FileHandle.nullDevice
        let pipe = Pipe()
        (process.standardOutput, process.standardError) = (pipe, pipe)
        let output = AsyncStream.makeStream(of: Data.self)
        let end = AsyncStream.makeStream(of: Void.self)
        // To the end of the process: a full pipe would stop it.
        pipe.fileHandleForReading.readabilityHandler = { handle in
            let piece = handle.availableData
            output.continuation.yield(piece)
            guard piece.isEmpty else { return }
            handle.readabilityHandler = nil
            output.continuation.finish()
        }
        process.terminationHandler = { _ in end.continuation.finish() }
        try process.run()
        let result: Result<Value, any Error>
        do {
            result = .success(try await body(try await address(in: output.stream)))
        } catch {
            result = .failure(error)
        }
        if process.isRunning { process.terminate() }
        for await _ in end.stream {}
        return try result.get()
    }

    /// Of the data listener, in what a gateway tells at its start.
    private static func address(in output: AsyncStream<Data>) async throws -> String {
        var text = ""
        for await piece in output {
            text += String(decoding: piece, as: UTF8.self)
            if let match = text.firstMatch(of: #/data +(http://127\.0\.0\.1:\d+)\D/#) { return String(match.1) }
        }
        throw NoAddress(output: text)
    }

    private struct NoAddress: Error {
        let output: String
    }

    /// Where a command is; `nil` if it is not installed. In CI everything is.
    static func installed(_ command: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin"]
        return folders.map { "\($0)/\(command)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    static let isCI = ProcessInfo.processInfo.environment["CI"] == "true"
}

/// A temporary folder with a configuration.
struct Folder: ~Copyable, Sendable {
    let url: URL

    init(_ files: [String: String]) throws {
        url = FileManager.default.temporaryDirectory.appending(path: "media-gateway.\(UUID().uuidString)")
        for (name, text) in files {
            let file = url.appending(path: name)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o755]
            )
            try Data(text.utf8).write(to: file)
        }
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    /// Free ports and a disk source, besides what the test is about.
    static let configuration = [
        "config.toml": "[server]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n",
        "plugins.d/media.toml": "kind = \"disk\"\n[options]\nroot = \"../media\"\n",
        "media/hello.txt": "hello\n",
    ]
}
