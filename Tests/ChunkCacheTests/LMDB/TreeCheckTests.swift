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

/// Long values whose pages begin with what cannot be true: LMDB would free pages of others.
@Suite(.timeLimit(.minutes(2)))
struct ValuePagesTests {
    enum Change: CaseIterable {
        case put
        case fill
        case delete
        case deleteRun
    }

    private let database: TemporaryDatabase
    private let old = [UInt8](repeating: 5, count: 30_000)

    init() throws {
        database = try TemporaryDatabase()
    }

    private func make(_ change: Change, of key: [UInt8], in environment: LMDBEnvironment) throws {
        let table = try environment.records
        let new = [UInt8](repeating: 6, count: 40_000)
        try environment.write { transaction in
            switch change {
            case .put: try transaction.put(new.span.bytes, for: key, in: table)
            case .fill:
                try transaction.put(size: new.count, for: key, in: table) { value in
                    value.withUnsafeMutableBytes { $0.copyBytes(from: new) }
                }
            case .delete: _ = try transaction.delete(key, from: table)
            case .deleteRun: _ = try transaction.delete(from: table, from: key, limit: 1) { _ in true }
            }
        }
    }

    @Test(
        "they are read as they are, and found out before anything is freed",
        arguments: [0, 10, 12, 13],
        Change.allCases
    )
    func wrong(offset: Int, change: Change) throws {
        try database.fill([([1], old), ([2], old), ([3], old)])
        var found = 0
        try database.damage { bytes in
            for page in 2..<bytes.count / 4096 where bytes[page * 4096 + 16] == 5 && bytes[page * 4096 + 10] == 4 {
                found += 1
                if found == 2 { bytes[page * 4096 + offset] ^= 1 }
            }
        }
        #expect(found == 3)
        #expect(try DataFileCheck.run(directory: database.directory) == .usable)
        let environment = try database.open()
        for key in 1...3 as ClosedRange<UInt8> { #expect(try environment.value([key]) == old) }
        let error = #expect(throws: LMDBError.self) { try make(change, of: [2], in: environment) }
        #expect(error?.isDamage == true)
        // Nothing of that happened, and others can be changed.
        try make(change, of: [1], in: environment)
        for key in 2...3 as ClosedRange<UInt8> { #expect(try environment.value([key]) == old) }
        environment.close()
    }

    @Test("those that one transaction wrote it can change again", arguments: Change.allCases)
    func again(change: Change) throws {
        let environment = try database.open()
        let table = try environment.records
        try environment.put(old, for: [2])
        try environment.write { transaction in
            for key in 0..<40 as Range<UInt8> { try transaction.put(old.span.bytes, for: [key], in: table) }
            for key in 0..<40 as Range<UInt8> { try transaction.delete([key] as [UInt8], from: table) }
        }
        #expect(try environment.keys.isEmpty)
        try environment.put(old, for: [2])
        try make(change, of: [2], in: environment)
        environment.close()
        #expect(try DataFileCheck.run(directory: database.directory) == .usable)
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
