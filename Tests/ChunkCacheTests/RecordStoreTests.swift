import ChunkCache
import Foundation
import Glibc
import SourceContract
import Testing

@Suite("RecordStore", .timeLimit(.minutes(2)))
struct RecordStoreTests {
    private static func bytes(_ seed: UInt64, _ count: Int) -> [UInt8] {
        var random = SplitMix64(seed: seed)
        // Long ones repeat, as random numbers take long.
        let block = (0..<min((count + 7) / 8, 4096)).flatMap { _ in withUnsafeBytes(of: random.next(), Array.init) }
        var bytes: [UInt8] = []
        while bytes.count < count { bytes += block.prefix(count - bytes.count) }
        return bytes
    }

    @Test("values come back as they were stored, also from another store", arguments: [0, 1, 100, 5000, 16 << 20])
    func roundTrip(count: Int) async throws {
        try await withTemporaryDirectory { directory in
            let value = Self.bytes(1, count)
            let store = try RecordStore(directory: directory.path("records"))
            try store.put("a", value)
            #expect(try store.value("a") == value)
            #expect(try store.value("b") == nil)
            store.close()
            let next = try RecordStore(directory: directory.path("records"))
            #expect(try next.value("a") == value)
            #expect(next.setAside == nil)
            try next.put("a", [7])
            #expect(try next.value("a") == [7])
            try next.remove("a")
            try next.remove("a")
            #expect(try next.value("a") == nil)
        }
    }

    @Test("a store that was closed can be opened again while a child that was forked has its descriptors")
    func forked() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path("records")
            let store = try RecordStore(directory: path)
            // What fork(2) makes is a copy like this one.
            let copy = dup(try #require(Self.descriptor(of: path + "/lock")))
            defer { close(copy) }
            store.close()
            try RecordStore(directory: path).close()
        }
    }

    private static func descriptor(of path: String) -> Int32? {
        (0..<Int32(1 << 16)).first { descriptor in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")) == path
        }
    }

    @Test("names are found by their first bytes, in the order of their bytes, and told apart by them")
    func keys() async throws {
        try await withTemporaryDirectory { directory in
            let store = try RecordStore(directory: directory.path)
            let names = ["t/b", "t/a", "u", "t", "e\u{301}", "\u{E9}", String(repeating: "x", count: 200)]
            for name in names { try store.put(name, Array(name.utf8)) }
            #expect(try store.keys(prefix: "t/") == ["t/a", "t/b"])
            #expect(try store.keys(prefix: "t") == ["t", "t/a", "t/b"])
            #expect(try store.keys(prefix: "v") == [])
            #expect(
                try store.keys().map { Array($0.utf8) }
                    == names.map { Array($0.utf8) }.sorted { $0.lexicographicallyPrecedes($1) }
            )
            for name in names { #expect(try store.value(name) == Array(name.utf8)) }
        }
    }

    @Test("a name or a value of a size that cannot be stored is refused, and nothing else happens")
    func limits() async throws {
        try await withTemporaryDirectory { directory in
            let store = try RecordStore(directory: directory.path)
            for name in ["", String(repeating: "x", count: 201)] {
                #expect(throws: RecordStoreError.self) { try store.put(name, []) }
                #expect(throws: RecordStoreError.self) { try store.value(name) }
                #expect(throws: RecordStoreError.self) { try store.remove(name) }
            }
            let tooLong = [UInt8](repeating: 0, count: RecordStore.maxValueBytes + 1)
            #expect(code { try store.put("a", tooLong) } == .valueTooLarge)
            #expect(try store.keys(prefix: String(repeating: "x", count: 600)) == [])
            #expect(try store.keys() == [])
        }
    }

    private func code(_ body: () throws -> Void) -> RecordStoreError.Code? {
        do {
            try body()
        } catch {
            return (error as? RecordStoreError)?.code
        }
        return nil
    }

    @Test("a directory belongs to one store at a time")
    func twoStores() async throws {
        try await withTemporaryDirectory { directory in
            let store = try RecordStore(directory: directory.path)
            #expect(code { _ = try RecordStore(directory: directory.path) } == .inUse)
            try store.put("a", [1])
            store.close()
            #expect(code { try store.put("a", [2]) } == .closed)
            #expect(code { _ = try store.value("a") } == .closed)
            store.close()
            #expect(try RecordStore(directory: directory.path).value("a") == [1])
        }
    }

    @Test("a directory that cannot be used is an error")
    func noDirectory() async throws {
        try await withTemporaryDirectory { directory in
            try directory.write("file", PatternBytes("file"), size: 10)
            #expect(code { _ = try RecordStore(directory: directory.path("file/below")) } == .unusable)
        }
    }

    @Test("what was stored is there after the process was killed")
    func killed() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.path
            let result = await #expect(processExitsWith: .failure) { [path = path as String] in
                let store = try RecordStore(directory: path)
                for number in 0..<50 {
                    try store.put("record \(number)", Array(repeating: UInt8(number), count: 10_000))
                }
                raise(SIGKILL)
            }
            #expect(result?.exitStatus == .signal(SIGKILL))
            let store = try RecordStore(directory: path)
            #expect(store.setAside == nil)
            #expect(try store.keys().count == 50)
            for number in 0..<50 {
                #expect(try store.value("record \(number)") == Array(repeating: UInt8(number), count: 10_000))
            }
        }
    }

    /// Changes the database's file.
    private func damage(_ directory: TemporaryDirectory, _ change: (inout Data) throws -> Void) throws {
        let file = URL(fileURLWithPath: directory.path("data.mdb"))
        var data = try Data(contentsOf: file)
        try change(&data)
        try data.write(to: file)
    }

    @Test(
        "a value with a byte that changed on the disk is absent and removed, and the others stay",
        arguments: [100, 20_000]
    )
    func flipped(count: Int) async throws {
        try await withTemporaryDirectory { directory in
            let values = [Self.bytes(1, count), Self.bytes(2, count)]
            let store = try RecordStore(directory: directory.path)
            try store.put("a", values[0])
            try store.put("b", values[1])
            store.close()
            try damage(directory) { data in
                // Small ones are copied from page to page, and which copy counts is the database's affair.
                var found = data.range(of: Data(values[0].prefix(40)))
                #expect(found != nil)
                while let copy = found {
                    data[copy.lowerBound + count / 2] ^= 1
                    found = data.range(of: Data(values[0].prefix(40)), in: copy.upperBound..<data.endIndex)
                }
            }
            let next = try RecordStore(directory: directory.path)
            #expect(try next.keys() == ["a", "b"])
            #expect(try next.value("a") == nil)
            #expect(try next.keys() == ["b"])
            #expect(try next.value("b") == values[1])
            #expect(next.setAside == nil)
            try next.put("a", values[0])
            #expect(try next.value("a") == values[0])
        }
    }

    @Test("a value under the name of another one is absent")
    func misplaced() async throws {
        try await withTemporaryDirectory { directory in
            let store = try RecordStore(directory: directory.path)
            try store.put("name-one", [1, 2, 3])
            store.close()
            try damage(directory) { data in
                while let found = data.range(of: Data("name-one".utf8)) {
                    data.replaceSubrange(found, with: Data("name-two".utf8))
                }
            }
            let next = try RecordStore(directory: directory.path)
            #expect(try next.keys() == ["name-two"])
            #expect(try next.value("name-two") == nil)
        }
    }

    enum Damage: CaseIterable {
        case cut
        case noise
        case otherFile
    }

    @Test("a database that cannot be used is set aside, and a new one begun", arguments: Damage.allCases)
    func damaged(kind: Damage) async throws {
        try await withTemporaryDirectory { directory in
            let store = try RecordStore(directory: directory.path)
            for number in 0..<100 { try store.put("\(number)", Self.bytes(UInt64(number), 5000)) }
            store.close()
            try damage(directory) { data in
                switch kind {
                case .cut: data.removeLast(data.count / 2)
                case .noise: data.replaceSubrange(0..<8192, with: Self.bytes(5, 8192))
                case .otherFile: data = Data("something else".utf8)
                }
            }
            let next = try RecordStore(directory: directory.path)
            #expect(next.setAside != nil)
            #expect(FileManager.default.fileExists(atPath: directory.path("data.mdb.bad")))
            #expect(try next.keys() == [])
            try next.put("a", [1])
            next.close()
            let last = try RecordStore(directory: directory.path)
            #expect(last.setAside == nil)
            #expect(try last.value("a") == [1])
        }
    }

    @Test("a full store says so, keeps what it has, and has room again for what is removed")
    func full() async throws {
        try await withTemporaryDirectory { directory in
            let store = try RecordStore(directory: directory.path, mapSize: 2 << 20)
            let value = Self.bytes(3, 50_000)
            var count = 0
            while code({ try store.put("\(count)", value) }) == nil, count < 100 { count += 1 }
            // Thirteen pages each; of 512 pages 448 may be used.
            #expect((30...34).contains(count))
            #expect(code { try store.put("more", value) } == .full)
            #expect(code { try store.put("larger than all", Self.bytes(4, 4 << 20)) } == .full)
            for number in 0..<count { #expect(try store.value("\(number)") == value) }
            for number in 0..<count where number % 2 == 0 { try store.remove("\(number)") }
            for number in 0..<count / 4 { try store.put("again \(number)", value) }
            #expect(try store.keys().count == count / 2 + count / 4)
            #expect(store.setAside == nil)
        }
    }

    @Test("from a store that is full to the last byte records can be removed")
    func fullToTheLastByte() async throws {
        try await withTemporaryDirectory { directory in
            let store = try RecordStore(directory: directory.path, mapSize: 256 << 10)
            for (kind, count) in [("large", 3000), ("small", 100), ("tiny", 0)] {
                let value = Self.bytes(6, count)
                for number in 0..<2000 where code({ try store.put("\(kind) \(number)", value) }) != nil { break }
            }
            #expect(code { try store.put("more", Self.bytes(6, 3000)) } == .full)
            for key in try store.keys() { try store.remove(key) }
            #expect(try store.keys() == [])
            try store.put("more", Self.bytes(6, 3000))
            #expect(store.setAside == nil)
        }
    }

    @Test("many threads may use a store at once")
    func threads() async throws {
        try await withTemporaryDirectory { directory in
            let store = try RecordStore(directory: directory.path)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        for number in 0..<10 {
                            let value = Self.bytes(UInt64(task * 100 + number), 3000)
                            try store.put("\(task)/\(number)", value)
                            #expect(try store.value("\(task)/\(number)") == value)
                            if number % 3 == 0 { try store.remove("\(task)/\(number)") }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try store.keys().count == 48)
        }
    }
}
