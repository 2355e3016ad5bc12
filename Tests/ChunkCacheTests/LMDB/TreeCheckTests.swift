import ChunkCache
import Foundation
import SourceContract
import Testing

/// Databases as they come about in use: with values of one and of many pages, several levels, and freed pages.
@Suite(.timeLimit(.minutes(2)))
struct TreeCheckTests {
    private let database: TemporaryDatabase

    init() throws {
        database = try TemporaryDatabase()
    }

    /// Writes and deletes as a cache does, and closes the database.
    private func use(seed: UInt64, operations: Int) throws {
        var random = SplitMix64(seed: seed)
        let environment = try database.open(mapSize: 64 << 20)
        let table = try environment.records
        for _ in 0..<operations {
            let key = (0..<4).map { _ in UInt8(random.next() % 5) }
            try environment.write { transaction in
                switch random.next() % 4 {
                case 0: _ = try transaction.delete(key, from: table)
                case 1: try transaction.put([UInt8](repeating: key[0], count: 30).span.bytes, for: key, in: table)
                case 2: try transaction.put([UInt8](repeating: key[1], count: 700).span.bytes, for: key, in: table)
                default: try transaction.put([UInt8](repeating: key[2], count: 30_000).span.bytes, for: key, in: table)
                }
            }
        }
        environment.close()
    }

    private func check() throws -> DataFileCheck { try DataFileCheck.run(directory: database.directory) }

    @Test("whatever was written and deleted, a whole database is usable", arguments: 1...4)
    func usable(seed: UInt64) throws {
        for round in 1...4 as ClosedRange<UInt64> {
            try use(seed: seed &* 100 &+ round, operations: 150)
            #expect(try check() == .usable)
        }
    }

    @Test("a database with freed pages by the thousand is usable")
    func manyFree() throws {
        let environment = try database.open(mapSize: 128 << 20)
        let table = try environment.records
        for key in 0..<200 as Range<UInt8> {
            try environment.write { transaction in
                try transaction.put([UInt8](repeating: key, count: 200_000).span.bytes, for: [key], in: table)
            }
        }
        try environment.write { transaction in
            for key in 0..<190 as Range<UInt8> { try transaction.delete([key], from: table) }
        }
        environment.close()
        #expect(try check() == .usable)
    }

    @Test("bytes flipped in the pages that hold keys are found out, or change nothing", arguments: 1...3)
    func flipped(seed: UInt64) throws {
        try use(seed: seed, operations: 150)
        let whole = try [UInt8](Data(contentsOf: URL(fileURLWithPath: database.dataFile)))
        // Pages of keys say so in their headers; pages of values have no headers but their first.
        let pages = (2..<whole.count / 4096).filter { page in
            let flags = whole[page * 4096 + 10]
            let number = whole[(page * 4096)..<(page * 4096 + 8)].enumerated().reduce(0) {
                $0 | Int($1.element) << (8 * $1.offset)
            }
            return number == page && (flags == 1 || flags == 2)
        }
        #expect(pages.count > 3)
        let expected = try database.open(mapSize: 64 << 20).all()
        var random = SplitMix64(seed: seed)
        var found = 0
        for _ in 0..<60 {
            let page = pages[Int(random.next() % UInt64(pages.count))]
            var bytes = whole
            // Most of what matters is at the start and at the end of a page.
            let offset = random.next() % 3 == 0 ? Int(random.next() % 4096) : Int(random.next() % 48)
            bytes[page * 4096 + offset] ^= UInt8(1 << (random.next() % 8))
            try Data(bytes).write(to: URL(fileURLWithPath: database.dataFile))
            guard try check() == .usable else {
                found += 1
                continue
            }
            // It opens, reads and writes without harm. A flipped key or short value is another one, and checked above LMDB.
            let environment = try database.open(mapSize: 64 << 20)
            let after = try environment.all()
            for (key, value) in after where value.count == 30_000 {
                #expect(expected[key] == nil || expected[key] == value)
            }
            for number in 0..<4 as Range<UInt8> {
                let table = try environment.records
                try environment.write { transaction in
                    try transaction.put([UInt8](repeating: 9, count: 30_000).span.bytes, for: [9, number], in: table)
                }
            }
            let later = try environment.all()
            for (key, value) in after { #expect(later[key] == value) }
            environment.close()
        }
        #expect(found > 0)
    }
}

extension LMDBEnvironment {
    fileprivate func all() throws -> [[UInt8]: [UInt8]] {
        let table = try records
        var all: [[UInt8]: [UInt8]] = [:]
        try read { transaction in
            try transaction.walk(table) { key, value in
                all[key.withUnsafeBytes { Array($0) }] = value.withUnsafeBytes { Array($0) }
                return .next
            }
        }
        return all
    }
}
