import ChunkCache
import Foundation
import Synchronization
import Testing

struct LMDBEnvironmentTests {
    private struct Refusal: Error, Equatable {}

    private let database: TemporaryDatabase

    init() throws {
        database = try TemporaryDatabase()
    }

    @Test(
        "what was committed is read, and read again after the database was closed and opened",
        arguments: [
            LMDBSettings.Durability.strict, .relaxed,
        ]
    )
    func values(durability: LMDBSettings.Durability) throws {
        let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let environment = try database.open(durability: durability)
        try environment.put([1, 2, 3], for: [1])
        try environment.put(large, for: [2])
        try environment.put([], for: [3])
        #expect(try environment.value([1]) == [1, 2, 3])
        environment.close()

        let again = try database.open(durability: durability)
        #expect(try again.value([1]) == [1, 2, 3])
        #expect(try again.value([2]) == large)
        #expect(try again.value([3]) == [])
        #expect(try again.value([4]) == nil)
    }

    @Test("a value whose room was reserved is what the closure wrote into it")
    func reserved() throws {
        let environment = try database.open()
        let table = try environment.records
        try environment.write { transaction in
            try transaction.put(size: 100_000, for: [1], in: table) { room in
                room.withUnsafeMutableBytes { $0.copyBytes(from: (0..<100_000).map { UInt8($0 % 251) }) }
            }
        }
        #expect(try environment.value([1]) == (0..<100_000).map { UInt8($0 % 251) })
    }

    @Test("nothing of a write that throws is kept")
    func aborted() throws {
        let environment = try database.open()
        try environment.put([1], for: [1])
        let table = try environment.records
        #expect(throws: Refusal()) {
            try environment.write { transaction in
                try transaction.put([2].span.bytes, for: [1], in: table)
                try transaction.put([2].span.bytes, for: [2], in: table)
                throw Refusal()
            }
        }
        #expect(try environment.value([1]) == [1])
        #expect(try environment.value([2]) == nil)
    }

    @Test("a record that was only half written takes its whole transaction with it, even if the error is dropped")
    func spoiled() throws {
        let environment = try database.open()
        let table = try environment.records
        #expect(throws: LMDBError.self) {
            try environment.write { transaction in
                try transaction.put([1].span.bytes, for: [1], in: table)
                try? transaction.put(size: 10, for: [2], in: table) { _ in throw Refusal() }
            }
        }
        #expect(try environment.keys.isEmpty)
    }

    @Test("a read sees the state at its start, whatever is committed meanwhile")
    func snapshot() throws {
        let environment = try database.open()
        let table = try environment.records
        try environment.put([1], for: [1])
        let seen = try environment.read { transaction in
            for value in 2...200 as ClosedRange<UInt8> { try environment.put([value], for: [1]) }
            return try transaction.withValue(for: [1], in: table) { [UInt8](copying: $0) }
        }
        #expect(seen == [1])
        #expect(try environment.value([1]) == [200])
    }

    @Test("a walk begins at the first key that is not below the one asked for, and goes in the order of bytes")
    func walk() throws {
        let environment = try database.open()
        let table = try environment.records
        for key in [[9], [1], [1, 0], [5], [3]] as [[UInt8]] { try environment.put(key + key, for: key) }
        #expect(try environment.keys == [[1], [1, 0], [3], [5], [9]])

        var seen: [[UInt8]] = []
        try environment.write { transaction in
            try transaction.walk(table, from: [2] as [UInt8]) { key, value in
                #expect([UInt8](copying: value) == [UInt8](copying: key) + [UInt8](copying: key))
                seen.append([UInt8](copying: key))
                return seen.count == 2 ? .stop : .next
            }
        }
        #expect(seen == [[3], [5]])
    }

    @Test("a delete says whether there was something; a delete of a run stops at its limit and at its condition")
    func delete() throws {
        let environment = try database.open()
        let table = try environment.records
        for key in 0..<20 as Range<UInt8> { try environment.put([key], for: [key]) }
        try environment.write { transaction in
            #expect(try transaction.delete([0] as [UInt8], from: table))
            #expect(try !transaction.delete([0] as [UInt8], from: table))
            let limited = try transaction.delete(from: table, from: [5] as [UInt8], limit: 3) { _ in true }
            #expect(limited == 3)
            let conditional = try transaction.delete(from: table, from: [10] as [UInt8], limit: 64) { key in
                [UInt8](copying: key)[0] < 12
            }
            #expect(conditional == 2)
        }
        #expect(try environment.keys.flatMap { $0 } == [1, 2, 3, 4, 8, 9] + Array(12..<20))
        #expect(try environment.read { try $0.count(table) } == 14)
    }

    @Test("a full map is an error of its own, and the write after some deletes succeeds")
    func mapFull() throws {
        let environment = try database.open(mapSize: 1 << 20)
        let value = [UInt8](repeating: 7, count: 100_000)
        var stored: UInt8 = 0
        let error = #expect(throws: LMDBError.self) {
            while stored < 100 {
                try environment.put(value, for: [stored])
                stored += 1
            }
        }
        #expect(error?.kind == .mapFull)
        #expect(error?.isDamage == false)
        let table = try environment.records
        for key in 0..<4 as Range<UInt8> { try environment.write { _ = try $0.delete([key], from: table) } }
        try environment.put(value, for: [200])
        #expect(try environment.value([200]) == value)
        let usage = try environment.usage()
        #expect(usage.mapPages == 256)
        #expect(usage.usedPages <= usage.filePages && usage.filePages <= usage.mapPages)
        #expect(usage.usedPages > Int(stored - 3) * 25)
    }

    @Test("keys that LMDB cannot have are refused without harm", arguments: [0, 512])
    func badKeys(size: Int) throws {
        let environment = try database.open()
        let key = [UInt8](repeating: 1, count: size)
        let error = #expect(throws: LMDBError.self) { try environment.put([1], for: key) }
        #expect(error?.kind == .refused)
        try environment.put([1], for: [1])
        #expect(try environment.value([1]) == [1])
    }

    @Test("reads that follow one another share one slot, and reads at once have one each")
    func slots() throws {
        let environment = try database.open()
        for _ in 0..<1000 { try environment.read { _ in } }
        #expect(environment.readerCount == 1)
        try environment.read { _ in
            try environment.read { _ in
                #expect(environment.oldestReaderAge != nil)
            }
        }
        #expect(environment.readerCount == 2)
        #expect(environment.oldestReaderAge == nil)
        #expect(try environment.readerCheck() == 0)
        try environment.sync()
    }

    @Test("more reads at once than there are slots are refused, and later ones are not")
    func tooManyReads() throws {
        let environment = try database.open()
        var depth = 0
        func nest() throws {
            try environment.read { _ in
                depth += 1
                try nest()
            }
        }
        let error = #expect(throws: LMDBError.self) { try nest() }
        #expect(error?.kind == .readersFull)
        #expect(depth == LMDBSettings.maxReaders)
        #expect(environment.oldestReaderAge == nil)
        try environment.read { _ in }
    }

    @Test("the file of readers has its space before it is mapped, where a full disk would be a bus error")
    func lockFile() throws {
        let environment = try database.open()
        let file = try FileManager.default.attributesOfItem(atPath: database.directory + "/lock.mdb")
        let length = try #require(file[.size] as? Int)
        var status = stat()
        #expect(stat(database.directory + "/lock.mdb", &status) == 0)
        #expect(length > 0 && Int(status.st_blocks) * 512 >= length)
        environment.close()
    }

    @Test("many threads read whole values while one writes")
    func concurrency() async throws {
        let environment = try database.open()
        let table = try environment.records
        try environment.put([UInt8](repeating: 0, count: 5000), for: [1])
        try await withThrowingTaskGroup { group in
            for _ in 0..<4 {
                group.addTask { @concurrent in
                    for _ in 0..<500 {
                        let isWhole = try environment.read { transaction in
                            try transaction.withValue(for: [1], in: table) { bytes in
                                let bytes = [UInt8](copying: bytes)
                                return bytes.allSatisfy { $0 == bytes[0] }
                            }
                        }
                        #expect(isWhole == true)
                    }
                }
            }
            group.addTask { @concurrent in
                for round in 1...200 as ClosedRange<UInt8> {
                    try environment.put([UInt8](repeating: round, count: 5000), for: [1])
                }
            }
            try await group.waitForAll()
        }
        #expect(environment.readerCount <= 4)
    }

    @Test("closing waits for the reads that run, and what comes later is told that it is closed")
    func close() throws {
        let environment = try database.open()
        try environment.put([1], for: [1])
        let table = try environment.records
        let closed = DispatchSemaphore(value: 0)
        let hasClosed = Mutex(false)
        let value = try environment.read { transaction in
            Thread.detachNewThread {
                environment.close()
                hasClosed.withLock { $0 = true }
                closed.signal()
            }
            // Ends when the other thread has shut the door, behind which it waits for us.
            while (try? environment.read { _ in }) != nil { sched_yield() }
            #expect(hasClosed.withLock { !$0 })
            return try transaction.withValue(for: [1], in: table) { [UInt8](copying: $0) }
        }
        closed.wait()
        #expect(value == [1])
        for call in [{ try environment.read { _ in } }, { try environment.write { _ in } }, { try environment.sync() }]
        {
            let error = #expect(throws: LMDBError.self) { try call() }
            #expect(error?.kind == .closed)
        }
        environment.close()
    }

    @Test("a directory that is not there is an error of the system, and no damage")
    func missingDirectory() throws {
        let error = #expect(throws: LMDBError.self) {
            try LMDBEnvironment(
                LMDBSettings(
                    directory: database.directory + "/none",
                    mapSize: 1 << 20,
                    tables: [],
                    durability: .strict
                )
            )
        }
        #expect(error?.kind == .system(2))
    }
}
