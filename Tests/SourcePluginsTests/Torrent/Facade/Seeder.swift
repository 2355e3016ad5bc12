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

    /// Starts a seeder and waits until it is ready, on no thread that tests run on.
    init(_ arguments: String...) async throws {
        (torrent, input) = try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try Self.start(arguments) }) }
        }
    }

    private static func start(_ arguments: [String]) throws -> (Torrent, Pipe) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/python3")
        process.arguments = [script] + arguments
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        var line = Data()
        while line.last != UInt8(ascii: "\n") {
            let bytes = output.fileHandleForReading.availableData
            guard !bytes.isEmpty else { throw NotReady(arguments: arguments) }
            line += bytes
        }
        return (try JSONDecoder().decode(Torrent.self, from: line), input)
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
                bytes += try Data(contentsOf: URL(filePath: "\(torrent.directory)/\(file.path)"))
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
