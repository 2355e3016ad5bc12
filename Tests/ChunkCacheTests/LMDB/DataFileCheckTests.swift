import ChunkCache
import Foundation
import Testing

struct DataFileCheckTests {
    private let database: TemporaryDatabase

    init() throws {
        database = try TemporaryDatabase()
    }

    private func check() throws -> DataFileCheck { try DataFileCheck.run(directory: database.directory) }

    private var isDamaged: Bool {
        get throws {
            guard case .damaged(let reason) = try check() else { return false }
            #expect(!reason.isEmpty)
            // Opening agrees, and does not crash.
            let error = #expect(throws: LMDBError.self) { try database.open() }
            #expect(error?.isDamage == true)
            return true
        }
    }

    private static let records: [(key: [UInt8], value: [UInt8])] = (0..<40 as Range<UInt8>).map {
        (key: [$0], value: [UInt8](repeating: $0, count: 20_000))
    }

    @Test("no file, and an empty one, are new")
    func new() throws {
        #expect(try check() == .new)
        try Data().write(to: URL(fileURLWithPath: database.dataFile))
        #expect(try check() == .new)
        try database.open().put([1], for: [1])
        #expect(try check() == .usable)
    }

    @Test("a file is usable after every commit, whichever meta page it wrote")
    func usable() throws {
        for key in 0..<5 as Range<UInt8> {
            try database.fill([(key: [key], value: [key])])
            #expect(try check() == .usable)
        }
        let environment = try database.open()
        #expect(try environment.keys == [[0], [1], [2], [3], [4]])
    }

    @Test("a file that was cut short is damaged", arguments: [1, 151, 4096, 4097, 8192])
    func cutToBytes(size: Int) throws {
        try database.fill(Self.records)
        try database.damage { $0.removeSubrange(size...) }
        #expect(try isDamaged)
    }

    @Test("a file of which a third is left is damaged")
    func cutToThird() throws {
        try database.fill(Self.records)
        try database.damage { $0.removeLast($0.count / 3 * 2) }
        #expect(try isDamaged)
    }

    @Test("more pages missing at the end than LMDB may leave unwritten are damage")
    func cutByPages() throws {
        try database.fill(Self.records)
        try database.damage { $0.removeLast((DataFileCheck.unwrittenPages + 1) * DataFileCheck.pageSize) }
        #expect(try isDamaged)
    }

    @Test("a file that ends in a value is made whole again, so that no access is a bus error")
    func cutInValue() throws {
        // The value lies behind all other pages, and its last page holds the last of its bytes.
        try database.fill([(key: [1], value: [UInt8](repeating: 1, count: 50_000))])
        let size = try Data(contentsOf: URL(fileURLWithPath: database.dataFile)).count
        try database.damage { $0.removeLast(100) }
        guard try check() == .usable else { return #expect(try isDamaged) }
        #expect(try Data(contentsOf: URL(fileURLWithPath: database.dataFile)).count == size)
    }

    @Test("text is damaged", arguments: [100, 100_000])
    func text(size: Int) throws {
        let text = String(repeating: "not a database\n", count: size / 15 + 1)
        try Data(text.utf8).write(to: URL(fileURLWithPath: database.dataFile))
        #expect(try isDamaged)
    }

    @Test("a directory in the file's place is damaged, and so is a pipe")
    func otherKinds() throws {
        try FileManager.default.createDirectory(atPath: database.dataFile, withIntermediateDirectories: false)
        #expect(try isDamaged)
        try FileManager.default.removeItem(atPath: database.dataFile)
        #expect(mkfifo(database.dataFile, 0o600) == 0)
        #expect(try isDamaged)
    }

    @Test("a file with both meta pages overwritten is damaged", arguments: [0x00, 0xFF, 0x41] as [UInt8])
    func bothMetas(byte: UInt8) throws {
        try database.fill(Self.records)
        try database.damage { bytes in
            for offset in 0..<2 * DataFileCheck.pageSize { bytes[offset] = byte }
        }
        #expect(try isDamaged)
    }

    @Test("a file of another format or page size is damaged", arguments: [20, 41], [0, 1])
    func otherFormat(offset: Int, page: Int) throws {
        try database.fill(Self.records)
        try database.damage { $0[page * DataFileCheck.pageSize + offset] ^= 0x30 }
        #expect(try isDamaged)
    }

    @Test("a newest meta page with roots or a last page that cannot be is damaged", arguments: [87, 94, 135, 140])
    func impossibleMeta(offset: Int) throws {
        try database.fill(Self.records)
        try database.damage { bytes in
            bytes[newestMeta(of: bytes) * DataFileCheck.pageSize + offset] = 0x7F
        }
        #expect(try isDamaged)
    }

    @Test("if the newest meta page lost its transaction, the other one counts, and gives the state before")
    func olderMeta() throws {
        try database.fill([(key: [1], value: [1])])
        let environment = try database.open()
        try environment.put([2], for: [1])
        // Opening writes nothing when the tables are there; this is the last transaction.
        try environment.put([3], for: [1])
        environment.close()
        try database.damage { bytes in
            let start = newestMeta(of: bytes) * DataFileCheck.pageSize + 144
            for offset in start..<start + 8 { bytes[offset] = 0 }
        }
        #expect(try check() == .usable)
        #expect(try database.open().value([1]) == [2])
    }

    @Test("if the older meta page is damaged where nobody looks, the newest one counts, and gives right values")
    func damagedOlderMeta() throws {
        try database.fill(Self.records)
        try database.damage { bytes in
            let start = (1 - newestMeta(of: bytes)) * DataFileCheck.pageSize
            for offset in start + 80..<start + 144 { bytes[offset] = 0x7F }
        }
        #expect(try check() == .usable)
        let environment = try database.open()
        for record in Self.records { #expect(try environment.value(record.key) == record.value) }
    }

    @Test("a transaction number that no commit would put there is damaged")
    func wrongTransaction() throws {
        try database.fill(Self.records)
        try database.damage { bytes in
            let older = 1 - newestMeta(of: bytes)
            bytes[older * DataFileCheck.pageSize + 144] = UInt8(254 + 1 - older)
            bytes[older * DataFileCheck.pageSize + 145] = 1
        }
        #expect(try isDamaged)
    }

    @Test("a root page that holds nothing is damage")
    func blankRoot() throws {
        try database.fill(Self.records)
        try database.damage { bytes in
            let root = newestMeta(of: bytes) * DataFileCheck.pageSize + 128
            let page = Int(bytes[root]) | Int(bytes[root + 1]) << 8
            for offset in 0..<DataFileCheck.pageSize { bytes[page * DataFileCheck.pageSize + offset] = 0 }
        }
        #expect(try isDamaged)
    }

    private func newestMeta(of bytes: [UInt8]) -> Int {
        let transactions = [0, 1].map { page in
            bytes.withUnsafeBytes {
                $0.loadUnaligned(fromByteOffset: page * DataFileCheck.pageSize + 144, as: UInt64.self)
            }
        }
        return transactions[0] < transactions[1] ? 1 : 0
    }
}
