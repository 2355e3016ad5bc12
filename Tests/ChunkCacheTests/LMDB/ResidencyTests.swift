import ChunkCache
import Foundation
import Testing

struct ResidencyTests {
    @Test("pages that were never written are not resident, and are when they were, wherever the bytes begin and end")
    func written() throws {
        let pages = 3000
        let size = pages * 4096
        let start = try #require(
            mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | Int32(MAP_ANONYMOUS), -1, 0)
        )
        defer { munmap(start, size) }
        // No huge pages: one touch would bring 512 of these at once.
        _ = madvise(start, size, 15)
        let all = UnsafeRawBufferPointer(start: start, count: size)
        let part = UnsafeRawBufferPointer(rebasing: all[5000..<size - 5000])
        #expect(!Residency.isResident(part))
        start.advanced(by: 8192).storeBytes(of: 1, as: UInt8.self)
        #expect(Residency.isResident(UnsafeRawBufferPointer(rebasing: all[8192..<8193])))
        #expect(!Residency.isResident(UnsafeRawBufferPointer(rebasing: all[8192..<12_289])))
        for page in 0..<pages { start.advanced(by: page * 4096).storeBytes(of: 1, as: UInt8.self) }
        #expect(Residency.isResident(part))
        #expect(Residency.isResident(all))
    }

    @Test("no bytes at all are resident, and nothing happens to them")
    func empty() {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        #expect(Residency.isResident(nothing))
        #expect(Residency.load(nothing))
        Residency.drop(nothing)
    }

    @Test("bytes that cannot be read are no bus error")
    func unreadable() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("short-\(UUID().uuidString)").path
        try Data(repeating: 7, count: 4096).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = open(path, O_RDONLY | O_CLOEXEC)
        try #require(file >= 0)
        defer { close(file) }
        // The second page lies behind the end of the file.
        let start = try #require(mmap(nil, 8192, PROT_READ, MAP_SHARED, file, 0))
        try #require(start != MAP_FAILED)
        defer { munmap(start, 8192) }
        #expect(Residency.load(UnsafeRawBufferPointer(start: start, count: 4096)))
        #expect(!Residency.load(UnsafeRawBufferPointer(start: start, count: 4097)))
    }

    @Test("a value that was just written is resident, and stays what it is")
    func value() throws {
        let database = try TemporaryDatabase()
        let environment = try database.open()
        let table = try environment.records
        let value = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 / 3) }
        try environment.put(value, for: [1])
        try environment.read { transaction in
            _ = try transaction.withValue(for: [1], in: table) { bytes in
                bytes.withUnsafeBytes {
                    #expect(Residency.load($0))
                    #expect(Residency.isResident($0))
                    #expect($0.elementsEqual(value))
                    // Of what is not yet on the disk nothing gets lost.
                    Residency.drop($0)
                    #expect($0.elementsEqual(value))
                }
            }
        }
    }
}
