import Dispatch
import Foundation

/// A process that seeds a torrent of made-up content: Tests/Support/seeder.py. It ends with this value.
final class Seeder: Sendable {
    struct Torrent: Decodable, Sendable {
        struct File: Decodable, Sendable {
            let path: String
            let offset: Int64
            let size: Int64
            let is_pad: Bool
        }

        let port: UInt16
        let address: String
        let magnet: String
        let info_hash_v1: String?
        let info_hash_v2: String?
        let directory: String
        let torrent: String?
        let piece_length: Int32
        let pieces: Int32
        let files: [File]
    }

    /// Whether Python has libtorrent: Debian's own Python, for which the package is.
    static let isAvailable: Bool = {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/python3")
        process.arguments = ["-c", "import libtorrent"]
        process.standardError = FileHandle.nullDevice
        do { try process.run() } catch { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }()

    private static let script = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Support/seeder.py").path

    let torrent: Torrent
    private let input: Pipe
    private let output: Pipe

    /// Starts a seeder and waits until it is ready, on no thread that tests run on.
    convenience init(_ arguments: String...) async throws { try await self.init(arguments) }

    init(_ arguments: [String]) async throws {
        (torrent, input, output) = try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try Self.start(arguments) }) }
        }
    }

    /// Debian's binding of libtorrent was seen to crash at its start; then it is started again.
    private static func start(_ arguments: [String], attempts: Int = 3) throws -> (Torrent, Pipe, Pipe) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/python3")
        process.arguments = [script] + arguments
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        guard let line = line(of: output) else {
            process.waitUntilExit()
            guard process.terminationReason == .uncaughtSignal, attempts > 1 else {
                throw NotReady(arguments: arguments)
            }
            return try start(arguments, attempts: attempts - 1)
        }
        return (try JSONDecoder().decode(Torrent.self, from: line), input, output)
    }

    /// The next line, when all of it has come; `nil` at the end. Blocks.
    private static func line(of output: Pipe) -> Data? {
        var line = Data()
        while line.last != UInt8(ascii: "\n") {
            let bytes = output.fileHandleForReading.availableData
            guard !bytes.isEmpty else { return nil }
            line += bytes
        }
        return line
    }

    /// How many connections peers have made to it. One caller at a time.
    func connections() async throws -> Int {
        let answer = try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { [self] in
                continuation.resume(
                    with: Result {
                        try input.fileHandleForWriting.write(contentsOf: Data("?\n".utf8))
                        return Self.line(of: output)
                    }
                )
            }
        }
        let text = answer.map { String(decoding: $0.dropLast(), as: UTF8.self) }
        guard let count = text.flatMap({ Int($0) }) else { throw NotReady(arguments: []) }
        return count
    }

    /// Ends it, and waits until it is gone.
    func end() async {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { [self] in
                try? input.fileHandleForWriting.close()
                while Self.line(of: output) != nil {}
                continuation.resume()
            }
        }
    }

    deinit {
        try? input.fileHandleForWriting.close()
    }

    struct NotReady: Error {
        let arguments: [String]
    }

    var infoHashV1: [UInt8]? { torrent.info_hash_v1.map(Self.bytes) }
    var infoHashV2: [UInt8]? { torrent.info_hash_v2.map(Self.bytes) }

    /// The whole content, padding as zeros. As the seeder sends it: with its bad blocks.
    func content() throws -> [UInt8] {
        var bytes: [UInt8] = []
        for file in torrent.files {
            if file.is_pad {
                bytes += [UInt8](repeating: 0, count: Int(file.size))
            } else {
                let data = try Data(contentsOf: URL(filePath: "\(torrent.directory)/\(file.path)"))
                data.withUnsafeBytes { bytes.append(contentsOf: $0) }
            }
        }
        return bytes
    }

    func piece(_ index: Int32) throws -> [UInt8] {
        let start = Int(index) * Int(torrent.piece_length)
        return try Array(content()[start...].prefix(Int(torrent.piece_length)))
    }

    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8)
        return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
        }
    }
}
