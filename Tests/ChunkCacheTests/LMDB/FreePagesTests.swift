import ChunkCache
import Testing

/// Free pages that the file system gets back.
struct FreePagesTests {
    private let database: TemporaryDatabase

    init() throws {
        database = try TemporaryDatabase()
    }

    private static let value = 1 << 20

    /// A value that says which it is.
    private func value(_ key: UInt8) -> [UInt8] { [UInt8](repeating: key + 1, count: Self.value) }

    private func fill(_ environment: LMDBEnvironment, _ keys: Range<UInt8>) throws {
        for key in keys { try environment.put(value(key), for: [key]) }
    }

    private func delete(_ environment: LMDBEnvironment, _ keys: some Sequence<UInt8>) throws {
        let table = try environment.records
        for key in keys { try environment.write { _ = try $0.delete([key], from: table) } }
    }

    private func punchAll(_ environment: LMDBEnvironment, limit: Int = .max) throws {
        var step = try environment.punchFreePages(limit: limit)
        while !step.isLast { step = try environment.punchFreePages(from: step.next, limit: limit) }
    }

    @Test(
        "they take nothing of the disk any more, what is not free stays, and they are used again",
        arguments: [1, .max]
    )
    func punch(limit: Int) throws {
        let environment = try database.open(mapSize: 64 << 20)
        try fill(environment, 0..<20)
        let before = try environment.usage()
        try delete(environment, (0..<20).filter { $0 % 2 == 0 })
        // What the last transaction freed stays for another one.
        try environment.put([1], for: [200])
        try punchAll(environment, limit: limit)
        let after = try environment.usage()
        #expect(after.filePages - before.filePages < 16)
        #expect(before.diskBytes - after.diskBytes >= 9 << 20)
        // Free, but not to be had without the disk.
        #expect(after.freeBytes < 1 << 20)
        for key in 0..<20 as Range<UInt8> {
            #expect(try environment.value([key]) == (key % 2 == 0 ? nil : value(key)))
        }

        try fill(environment, 100..<110)
        #expect(try environment.usage().filePages - after.filePages < 300)
        environment.close()
        let again = try database.open(mapSize: 64 << 20)
        for key in [1, 3, 19, 100, 105, 109] as [UInt8] { #expect(try again.value([key]) == value(key)) }
    }

    @Test("what a read still sees is not free")
    func snapshot() throws {
        let environment = try database.open(mapSize: 64 << 20)
        let table = try environment.records
        try fill(environment, 0..<10)
        try environment.read { transaction in
            try delete(environment, 0..<10)
            for _ in 0..<3 { try environment.put([1], for: [200]) }
            try punchAll(environment)
            for key in 0..<10 as Range<UInt8> {
                let seen = try transaction.withValue(for: [key], in: table) { [UInt8](copying: $0) }
                #expect(seen == value(key))
            }
        }
        #expect(try environment.usage().diskBytes >= 10 << 20)
        try punchAll(environment)
        #expect(try environment.usage().diskBytes < 2 << 20)
    }

    @Test("what somebody looks at whose read is over is not free")
    func place() throws {
        let environment = try database.open(mapSize: 64 << 20)
        let table = try environment.records
        try fill(environment, 0..<4)
        let seen = try environment.withPlace { transaction in
            try transaction.place(of: [2] as [UInt8], in: table)
        } _: { place in
            try delete(environment, 0..<4)
            for _ in 0..<3 { try environment.put([1], for: [200]) }
            try punchAll(environment)
            return [UInt8](place)
        }
        #expect(seen == value(2))
        try punchAll(environment)
        #expect(try environment.usage().diskBytes < 2 << 20)
    }

    @Test("what was freed last stays for a process that comes after a crash")
    func lastCommit() throws {
        let environment = try database.open(mapSize: 64 << 20)
        try fill(environment, 0..<4)
        try delete(environment, [0])
        try punchAll(environment)
        #expect(try environment.usage().diskBytes >= 4 << 20)
    }

    @Test("a database without free pages has none to give")
    func none() throws {
        let environment = try database.open()
        #expect(try environment.punchFreePages(limit: 1).isLast)
        try environment.put([1], for: [1])
        #expect(try environment.punchFreePages(limit: 100).isLast)
        #expect(try environment.value([1]) == [1])
        environment.close()
        #expect(throws: LMDBError.self) { try environment.punchFreePages(limit: 1) }
    }

    @Test(
        "the oldest snapshot is told by LMDB's list of readers, and by no line that is another one",
        arguments: [
            ("    pid     thread     txnid\n", 9), ("(no active readers)\n", 9), ("      4242 7f00aa -\n", 9),
            ("      4242 7f00aa 5\n", 5), ("      4242 7f00aa 12\n", 9), ("      4242 7f00aa\n", nil),
            ("      4242 7f00aa 5 6\n", nil), ("      4242 7f00aa -1\n", nil), ("\n", nil),
        ] as [(String, UInt64?)]
    )
    func readers(line: String, oldest: UInt64?) {
        #expect(LMDBEnvironment.older(9, line) == oldest)
        #expect(LMDBEnvironment.older(nil, line) == nil)
    }
}
