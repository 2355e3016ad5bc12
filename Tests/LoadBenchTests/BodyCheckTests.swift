import Foundation
import LoadBench
import NIOCore
import Testing

@Suite struct BodyCheckTests {
    private static let size: Int64 = 100_000

    /// Other bytes at every position.
    private static func content(_ range: Range<Int64>) -> [UInt8] {
        range.map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    /// - Returns: how many bytes were compared; `nil` if some were wrong.
    private static func check(
        _ reference: ContentReference,
        _ range: Range<Int64>,
        bytes: [UInt8]? = nil,
        piece: Int
    ) -> Int64? {
        var check = BodyCheck(reference, position: range.lowerBound, size: size)
        var rest = (bytes ?? content(range))[...]
        while !rest.isEmpty {
            do {
                try check.take(ByteBuffer(bytes: rest.prefix(piece)))
            } catch {
                return error.kind == .wrongBytes ? nil : -1
            }
            rest = rest.dropFirst(piece)
        }
        return check.compared
    }

    @Test("a block is compared with its first time, in pieces of any size", arguments: [1, 1000, 16_384, 1_000_000])
    func ledger(_ piece: Int) {
        let reference = ContentReference.first(BlockLedger())
        #expect(Self.check(reference, 0..<Self.size, piece: 5000) == 0)
        #expect(Self.check(reference, 0..<Self.size, piece: piece) == Self.size)
        // The first whole block begins at 16384, the last one ends with the object.
        #expect(Self.check(reference, 5000..<Self.size, piece: piece) == Self.size - 16_384)
        #expect(Self.check(reference, 5000..<40_000, piece: piece) == 16_384)
        #expect(Self.check(reference, 5000..<20_000, piece: piece) == 0)
    }

    @Test("another byte than at the first time is found", arguments: [16_384, 20_000, 32_767, 99_999])
    func different(_ place: Int) {
        let reference = ContentReference.first(BlockLedger())
        #expect(Self.check(reference, 0..<Self.size, piece: 5000) == 0)
        var bytes = Self.content(5000..<Self.size)
        bytes[place - 5000] ^= 1
        #expect(Self.check(reference, 5000..<Self.size, bytes: bytes, piece: 777) == nil)
    }

    @Test("every byte is compared with a file")
    func file() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "load-bench.\(UUID().uuidString)")
        try Data(Self.content(0..<Self.size)).write(to: path)
        defer { try? FileManager.default.removeItem(at: path) }
        let reference = ContentReference.file(try ReferenceFile(path: path.path))
        #expect(Self.check(reference, 5000..<Self.size, piece: 70_000) == Self.size - 5000)
        for place in [0, 1, 94_999] {
            var bytes = Self.content(5000..<Self.size)
            bytes[place] ^= 128
            #expect(Self.check(reference, 5000..<Self.size, bytes: bytes, piece: 70_000) == nil)
        }
    }

    @Test("a file that is shorter, or was cut since, is other bytes")
    func shorterFile() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "load-bench.\(UUID().uuidString)")
        try Data(Self.content(0..<Self.size)).write(to: path)
        defer { try? FileManager.default.removeItem(at: path) }
        let reference = ContentReference.file(try ReferenceFile(path: path.path))
        try Data(Self.content(0..<50_000)).write(to: path)
        let handle = try FileHandle(forWritingTo: path)
        try handle.truncate(atOffset: 40_000)
        try handle.close()
        let short = ContentReference.file(try ReferenceFile(path: path.path))
        #expect(Self.check(short, 0..<10_000, piece: 1000) == nil)
        #expect(Self.check(reference, 0..<Self.size, piece: 10_000) == nil)
    }

    @Test("a pipe is refused, and not waited for")
    func pipe() {
        let path = FileManager.default.temporaryDirectory.appending(path: "load-bench.\(UUID().uuidString)").path
        #expect(mkfifo(path, 0o600) == 0)
        defer { unlink(path) }
        #expect(throws: LoadRefusal.self) { try ReferenceFile(path: path) }
    }

    @Test("what is no file is refused", arguments: ["/nonexistent/film.mkv", "/"])
    func noFile(_ path: String) {
        #expect(throws: LoadRefusal.self) { try ReferenceFile(path: path) }
    }
}
