import ChunkCache
import Foundation
import SourceContract
import Testing

/// What is not to be evicted.
@Suite(.timeLimit(.minutes(2)))
struct PinTests {
    private let chunk = TestCache.chunkSize
    /// What a chunk takes of the file.
    private let stored = TestCache.chunkSize + 4096

    private func pin(_ path: String, isPrefix: Bool = false) -> Pin {
        Pin(source: "test", path: Array(path.utf8), isPrefix: isPrefix)
    }

    @discardableResult
    private func read(_ name: String, chunks: Int64, in store: ChunkStore) async throws -> ReadTally {
        let object = store.object(.test(name, size: chunks * chunk))
        let tally = try await TestOrigin(name).read(0..<object.size, of: object, in: store)
        await store.settle()
        return tally
    }

    private func held(_ store: ChunkStore) -> Int64 { Int64(store.counters.pinnedBytes.value) / stored }

    private func expectRefusal<Value>(_ expected: PinError, _ body: () async throws -> Value) async {
        let error = await #expect(throws: PinError.self) { _ = try await body() }
        #expect(error == expected)
    }

    @Test(
        "what is pinned stays through whatever is read besides, by any policy, over a restart too",
        arguments: CachePolicy.allCases,
        [false, true]
    )
    func stays(policy: CachePolicy, isPrefix: Bool) async throws {
        try await TestCache.with { cache in
            let change: (inout ChunkStoreSettings) -> Void = { settings in
                settings.policy = policy
                settings.pinBytes = 10 * stored
            }
            try await cache.open(chunks: 30, change) { store in
                try await read("films/one", chunks: 8, in: store)
                #expect(try await store.pin(pin(isPrefix ? "films/" : "films/one", isPrefix: isPrefix)))
                #expect(held(store) == 8)
                try await read("scan", chunks: 200, in: store)
                #expect(try await read("films/one", chunks: 8, in: store).stored == 8 * chunk)
                #expect(store.usage.bytes <= 30 * stored)
            }
            try await cache.open(chunks: 30, change) { store in
                #expect(store.pins == [pin(isPrefix ? "films/" : "films/one", isPrefix: isPrefix)])
                #expect(held(store) == 8)
                try await read("scan", chunks: 200, in: store)
                #expect(try await read("films/one", chunks: 8, in: store).stored == 8 * chunk)
                #expect(store.usage.chunks > 20)
            }
        }
    }

    @Test("what comes after the pin is kept as far as there is room, and what is beyond that may be evicted")
    func growth() async throws {
        try await TestCache.with { cache in
            try await cache.open(chunks: 30, { $0.pinBytes = 5 * stored }) { store in
                #expect(try await store.pin(pin("", isPrefix: true)))
                #expect(held(store) == 0)
                try await read("one", chunks: 20, in: store)
                #expect(held(store) == 5)
                try await read("two", chunks: 100, in: store)
                let one = try #require(store.find(ObjectRecord.test("one").key))
                #expect((5...20).contains(one.storedChunks))
                #expect(store.runs(of: one).first?.prefix(5) == 0..<5)
                #expect(store.usage.bytes <= 30 * stored)
                // Its place goes to what is pinned too.
                store.purge { $0.path == Array("one".utf8) }
                await store.settle()
                #expect(held(store) == 0)
                store.maintain()
                await store.settle()
                #expect(held(store) == 5)
            }
        }
    }

    @Test("a pin of more than there is room for is refused with the figures, and changes nothing")
    func refused() async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.pinBytes = 10 * stored }) { store in
                try await read("one", chunks: 6, in: store)
                try await read("two", chunks: 6, in: store)
                #expect(try await store.pin(pin("one")))
                await expectRefusal(.overBudget(bytes: 6 * stored, pinned: 6 * stored, limit: 10 * stored)) {
                    try await store.pin(pin("two"))
                }
                await expectRefusal(.overBudget(bytes: 6 * stored, pinned: 6 * stored, limit: 10 * stored)) {
                    try await store.pin(pin("", isPrefix: true))
                }
                #expect(store.pins == [pin("one")])
                #expect(held(store) == 6)
                #expect(try await store.pin(pin("one")) == false, "it is pinned already")
                #expect(try await store.pin(pin("o", isPrefix: true)), "that costs nothing more")
                try await store.unpin(pin("one"))
                #expect(held(store) == 6, "another pin has it")
                try await store.unpin(pin("o", isPrefix: true))
                #expect(held(store) == 0)
                #expect(try await store.pin(pin("two")))
                #expect(held(store) == 6)
            }
            try await cache.open({ $0.pinBytes = 0 }) { store in
                #expect(store.pins == [pin("two")])
                #expect(held(store) == 0)
                #expect(store.usage.chunks == 12)
                await expectRefusal(.overBudget(bytes: 0, pinned: 0, limit: 0)) { try await store.pin(pin("x")) }
            }
        }
    }

    @Test("pins leave a tenth of what their source may have to what else comes of it")
    func share() async throws {
        try await TestCache.with { cache in
            let change: (inout ChunkStoreSettings) -> Void = { settings in
                settings.policy = .lru
                settings.pinBytes = 20 * stored
                settings.sourceSizes = ["test": 10 * stored]
            }
            try await cache.open(chunks: 30, change) { store in
                #expect(try await store.pin(pin("", isPrefix: true)))
                try await read("one", chunks: 20, in: store)
                #expect(held(store) == 9)
                #expect(store.counters.noRoom.value == 0)
                // More often if a chunk leaves before the reader has come to it, who fetches it anew then.
                let evicted = store.counters.evictedForShare.value
                #expect(evicted >= 10)

                // A chunk and a record of several pages would not fit if all that can leave had left.
                var record = ObjectRecord.test("large", size: chunk)
                record.attributes = [UInt8](repeating: 7, count: 10_000)
                try await TestOrigin("large").read(0..<chunk, of: store.object(record), in: store)
                await store.settle()
                #expect((store.counters.noRoom.value, store.counters.evictedForShare.value) == (1, evicted))

                try await store.unpin(pin("", isPrefix: true))
                try await read("two", chunks: 10, in: store)
                let refusal = PinError.overShare(source: "test", bytes: 10 * stored, pinned: 0, limit: 9 * stored)
                await expectRefusal(refusal) { try await store.pin(pin("two")) }
                #expect(store.pins == [])
            }
        }
    }

    @Test("a smaller budget at the next start keeps the cache and the pins, and lets the rest be evicted")
    func smallerBudget() async throws {
        try await TestCache.with { cache in
            try await cache.open(chunks: 40, { $0.pinBytes = 20 * stored }) { store in
                try await read("one", chunks: 20, in: store)
                #expect(try await store.pin(pin("one")))
            }
            let change: (inout ChunkStoreSettings) -> Void = { settings in
                settings.policy = .lru
                settings.pinBytes = 4 * stored
            }
            try await cache.open(chunks: 40, change) { store in
                #expect(store.usage.chunks == 20)
                #expect(held(store) == 4)
                try await read("scan", chunks: 200, in: store)
                let one = try #require(store.find(ObjectRecord.test("one").key))
                #expect((4..<20).contains(one.storedChunks))
            }
        }
    }

    @Test("what is unpinned can be evicted like anything else")
    func unpinned() async throws {
        try await TestCache.with { cache in
            let change: (inout ChunkStoreSettings) -> Void = { settings in
                settings.policy = .lru
                settings.pinBytes = 10 * stored
            }
            try await cache.open(chunks: 20, change) { store in
                try await read("one", chunks: 6, in: store)
                #expect(try await store.pin(pin("one")))
                try await store.unpin(pin("one"))
                #expect(store.usage.chunks == 6)
                try await read("scan", chunks: 100, in: store)
                #expect(store.find(ObjectRecord.test("one").key)?.storedChunks ?? 0 == 0)
                await expectRefusal(.notPinned(coveredBy: nil)) { try await store.unpin(pin("one")) }
                #expect(try await store.pin(pin("films/", isPrefix: true)))
                await expectRefusal(.notPinned(coveredBy: pin("films/", isPrefix: true))) {
                    try await store.unpin(pin("films/one"))
                }
                await expectRefusal(.notPinned(coveredBy: nil)) { try await store.unpin(pin("", isPrefix: true)) }
            }
            try await cache.open { #expect($0.pins == [pin("films/", isPrefix: true)]) }
        }
    }

    @Test("a purge takes what is pinned, and the pin is there for what comes again")
    func purged() async throws {
        try await TestCache.with { cache in
            try await cache.open(chunks: 20, { $0.pinBytes = 10 * stored }) { store in
                try await read("one", chunks: 6, in: store)
                #expect(try await store.pin(pin("one")))
                #expect(store.purge { _ in true } == 6)
                await store.settle()
                #expect((store.usage.chunks, held(store)) == (0, 0))
                // A new revision is pinned as the old one was.
                let object = store.object(.test("one", size: 6 * chunk, revision: "2"))
                try await TestOrigin("one").read(0..<object.size, of: object, in: store)
                await store.settle()
                #expect(object.isPinned)
                #expect(held(store) == 6)
            }
        }
    }

    @Test("pins outlive the database: one that is damaged, and one for another size of chunks")
    func otherDatabase() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                try await read("one", chunks: 6, in: store)
                #expect(try await store.pin(pin("one")))
            }
            try Data("not a database".utf8).write(to: URL(fileURLWithPath: cache.dataFile))
            try await cache.open { store in
                #expect(store.pins == [pin("one")])
                try await read("one", chunks: 6, in: store)
                #expect(held(store) == 6)
            }
            try await cache.open({ $0.chunkSize *= 2 }) { #expect($0.pins == [pin("one")]) }
        }
    }

    @Test("pins that are damaged are gone, with an error in the log, and the cache is not")
    func damagedPins() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                try await read("one", chunks: 6, in: store)
                #expect(try await store.pin(pin("one")))
            }
            try Data("not a database".utf8).write(to: URL(fileURLWithPath: cache.path + "/pins/data.mdb"))
            try await cache.open { store in
                #expect(store.pins == [])
                #expect(store.usage.chunks == 6)
                #expect(cache.log.messages == ["pins were damaged and are gone"])
                let isNew = try await store.pin(pin("one"))
                #expect(isNew)
            }
            try await cache.open { #expect($0.pins == [pin("one")]) }
        }
    }

    @Test("pins of which a bit has turned over are gone, with an error in the log")
    func flippedPins() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let isNew = try await store.pin(pin("one"))
                #expect(isNew)
            }
            let file = URL(fileURLWithPath: cache.path + "/pins/data.mdb")
            var data = try Data(contentsOf: file)
            var start = data.startIndex
            // Wherever the record is, or was.
            while let found = data.range(of: Data("MGR1".utf8), in: start..<data.endIndex) {
                data[found.upperBound + 6] ^= 1
                start = found.upperBound
            }
            #expect(start > data.startIndex)
            try data.write(to: file)
            try await cache.open { store in
                #expect(store.pins == [])
                #expect(cache.log.messages == ["pins were damaged and are gone"])
            }
        }
    }

    @Test("pins that cannot be read are not said to be none, and hold what is there once they can be")
    func unreadable() async throws {
        try await TestCache.with { cache in
            let change: (inout ChunkStoreSettings) -> Void = { $0.pinBytes = 10 * stored }
            try await cache.open(change) { store in
                try await read("one", chunks: 6, in: store)
                #expect(try await store.pin(pin("one")))
            }
            // Even root cannot open what is below a file.
            let (path, away) = (cache.path + "/pins", cache.path + "/away")
            try FileManager.default.moveItem(atPath: path, toPath: away)
            try Data().write(to: URL(fileURLWithPath: path))
            try await cache.open(change) { store in
                #expect(store.pinFailure != nil)
                #expect(held(store) == 0)
                await #expect(throws: PinError.self) { try await store.pin(pin("two")) }
                store.maintain(now: .now + .seconds(31))
                await store.flush()
                #expect(store.pinFailure != nil)
                #expect(cache.log.messages == ["nothing is pinned: the pins cannot be read"])

                try FileManager.default.removeItem(atPath: path)
                try FileManager.default.moveItem(atPath: away, toPath: path)
                store.maintain(now: .now + .seconds(62))
                await store.flush()
                #expect(store.pinFailure == nil)
                #expect(store.pins == [pin("one")])
                #expect(held(store) == 6)
            }
        }
    }

    @Test("a chunk that is pinned and damaged is dropped, and its room is free")
    func corrupt() async throws {
        try await TestCache.with { cache in
            let origin = TestOrigin("one")
            try await cache.open { store in
                try await read("one", chunks: 6, in: store)
                #expect(try await store.pin(pin("one")))
            }
            try cache.flip(of: origin.content, at: [2 * chunk + 100])
            try await cache.open { store in
                #expect(try await store.verify().corrupt == 1)
                await store.settle()
                #expect(held(store) == 5)
                try await read("one", chunks: 6, in: store)
                #expect(held(store) == 6)
            }
        }
    }

    @Test("there are only so many pins")
    func most() async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.pinCount = 2 }) { store in
                for name in ["1", "2"] { #expect(try await store.pin(pin(name))) }
                await expectRefusal(.tooMany(limit: 2)) { try await store.pin(pin("3")) }
                try await store.unpin(pin("1"))
                #expect(try await store.pin(pin("3")))
                #expect(store.pins == [pin("2"), pin("3")])
            }
        }
    }

    /// Of an object that takes some 11,500 bytes of the memory for those with attributes.
    private func record(_ name: String) -> ObjectRecord {
        var record = ObjectRecord.test(name, size: 2)
        record.variant = "\(name)\n"
        record.attributes = [UInt8](repeating: 7, count: 10_000)
        return record
    }

    @Test("the end of a pin gives its half of the memory to objects of another that had no room in it")
    func attributesInTurn() async throws {
        try await TestCache.with { cache in
            let change: (inout ChunkStoreSettings) -> Void = { settings in
                settings.policy = .lru
                settings.attributedBytes = 200_000
            }
            try await cache.open(change) { store in
                for name in ["a", "b"] { #expect(try await store.pin(pin(name, isPrefix: true))) }
                for number in 0..<8 { _ = store.object(record("a \(number)")) }
                for number in 0..<4 { _ = store.object(record("b \(number)")) }
                try await store.unpin(pin("a", isPrefix: true))
                #expect(store.find(record("a 0").key)?.isPinned == false)
                for number in 0..<100 { _ = store.object(record("\(number)")) }
                for number in 0..<8 { #expect(store.find(record("a \(number)").key) == nil) }
                for number in 0..<4 { #expect(store.find(record("b \(number)").key)?.isPinned == true) }
            }
        }
    }

    @Test("objects with attributes that are pinned do not leave for others, up to half of the memory for them")
    func attributes() async throws {
        try await TestCache.with { cache in
            let change: (inout ChunkStoreSettings) -> Void = { settings in
                settings.policy = .lru
                settings.attributedBytes = 200_000
            }
            try await cache.open(change) { store in
                for number in 0..<4 { _ = store.object(record("kept \(number)")) }
                #expect(try await store.pin(pin("kept", isPrefix: true)))
                for number in 0..<100 { _ = store.object(record("\(number)")) }
                for number in 0..<4 { #expect(store.find(record("kept \(number)").key) != nil) }
                for number in 4..<100 { _ = store.object(record("kept \(number)")) }
                #expect(store.objects.count <= 20)
                for number in 0..<4 { #expect(store.find(record("kept \(number)").key) != nil) }
                try await store.unpin(pin("kept", isPrefix: true))
                for number in 0..<100 { _ = store.object(record("\(number)")) }
                for number in 0..<4 { #expect(store.find(record("kept \(number)").key) == nil) }
            }
        }
    }

    @Test("nothing is pinned in a cache that is closed")
    func closed() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                store.close()
                await #expect(throws: (any Error).self) { try await store.pin(pin("one")) }
                #expect(store.pins == [])
            }
        }
    }
}
