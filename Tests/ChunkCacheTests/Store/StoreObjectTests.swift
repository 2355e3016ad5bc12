import ChunkCache
import Foundation
import NIOCore
import SourceContract
import Testing

/// Objects and their revisions.
@Suite(.timeLimit(.minutes(2)))
struct StoreObjectTests {
    private let chunk = TestCache.chunkSize
    private let origin = TestOrigin()
    private let key = ObjectRecord.test().key

    @Test("representations under one path are found by the first line of their variant, and after a restart too")
    func representations() async throws {
        func record(_ variant: String, _ revision: String = "1") -> ObjectRecord {
            var record = ObjectRecord.test(revision: revision)
            record.variant = variant
            record.attributes = [1]
            return record
        }
        var family = key
        family.variant = "a"
        try await TestCache.with { cache in
            try await cache.open { store in
                let objects = ["a\ngzip", "a\n", "b\ngzip"].map { store.object(record($0)) }
                #expect(store.representations(family).map(\.number) == objects.prefix(2).map(\.number))
                #expect(store.representations(key).isEmpty)
                for object in objects { try await origin.read(0..<object.size, of: object, in: store) }
                await store.settle()
                store.update(objects[0], attributes: [2, 3])
                #expect(objects[0].attributes == [2, 3])
                store.remove([objects[1]])
                #expect(store.representations(family).map(\.number) == [objects[0].number])
                let new = store.object(record("b\ngzip", "2"))
                family.variant = "b"
                #expect(store.representations(family).map(\.number) == [new.number])
            }
            try await cache.open { store in
                family.variant = "a"
                #expect(store.representations(family).map(\.attributes) == [[2, 3]])
                #expect(store.objects.count == 1)
                #expect(store.counters.chunks.value == 10)
            }
        }
    }

    @Test("the same revision is the same object")
    func same() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                #expect(store.object(.test()) === object)
                #expect(store.find(key) === object)
                #expect(store.object(.test("other")) !== object)
            }
        }
    }

    @Test(
        "a new revision, or another size, forgets the old one, and those who read that go on",
        arguments: [
            ObjectRecord.test(revision: "2"), ObjectRecord.test(size: 10 * TestCache.chunkSize - 1),
        ]
    )
    func revisions(record: ObjectRecord) async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let old = store.object(.test())
                try await origin.read(0..<chunk, of: old, in: store)
                let gate = Gate()
                origin.plan(.wait(gate), at: 3 * chunk)
                let reading = Task { try await origin.read(0..<old.size, of: old, in: store) }
                try await gate.untilWaiting()

                let new = store.object(record)
                #expect(store.find(key) === new)
                let other = TestOrigin(generation: 1)
                try await other.read(0..<new.size, of: new, in: store)
                gate.open()
                _ = try await reading.value
                await store.settle()
                store.maintain()
                await store.settle()
                #expect(store.runs(of: old) == [])
                #expect(old.storedChunks == 0)
                #expect(store.counters.chunks.value == 10)
                #expect(store.counters.replaced.value >= 1)
                #expect(store.counters.purged.value == 0)
                #expect(try await other.read(0..<new.size, of: new, in: store).stored == new.size)
            }
            try await cache.open { store in
                #expect(store.objects.map(\.record.revision) == [record.revision])
                #expect(store.counters.chunks.value == 10)
            }
        }
    }

    @Test("a purge forgets what it names, at once and after a restart, and nothing else")
    func purge() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let names = ["a/1", "a/2", "b/1"]
                for name in names {
                    let object = store.object(.test(name, size: 3 * chunk))
                    // With a gap: what a walk from chunk to chunk would stop at.
                    for start in [0, 2 * chunk] {
                        try await TestOrigin(name).read(start..<start + chunk, of: object, in: store)
                    }
                }
                await store.settle()
                let kept = try #require(store.find(ObjectRecord.test("b/1").key))
                #expect(store.purge { $0.path.starts(with: "a/".utf8) } == 4)
                #expect(store.objects.map(\.number) == [kept.number])
                await store.settle()
                #expect(store.counters.purged.value == 4)
                #expect(store.counters.chunks.value == 2)
                #expect(store.usage.bytes == 2 * (chunk + 4096))
            }
            try await cache.open { store in
                #expect(store.objects.map(\.record.path) == [Array("b/1".utf8)])
                #expect(store.usage.chunks == 2)
            }
        }
    }

    @Test("an object is fetched anew after a purge")
    func purgedAndFetched() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                for _ in 0..<3 {
                    let object = store.object(.test())
                    try await origin.read(0..<object.size, of: object, in: store)
                    await store.settle()
                    #expect(store.purge { _ in true } == 10)
                }
                await store.settle()
                #expect(origin.bytes == 30 * chunk)
                #expect(store.usage.bytes == 0)
            }
        }
    }

    @Test("the heat of an object is halved in an hour, and what is sent meanwhile counts in full")
    func heat() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: chunk))
                try await origin.read(0..<chunk, of: object, in: store)
                await store.settle()
                let (start, hits) = (ContinuousClock.now, object.hits)
                var heat = Double(hits)
                for minutes in [0, 30, 60] {
                    store.maintain(now: start + .seconds(minutes * 60))
                    await store.flush()
                    for _ in 0..<4 { #expect(store.use(object.chunk(at: 0), of: object) == .again) }
                    heat = heat * (minutes > 0 ? 0.5.squareRoot() : 1) + 4
                    #expect(abs(object.heat - heat) < 1e-9)
                }
                // Too soon to look at all objects.
                store.maintain(now: start + .seconds(3601))
                await store.flush()
                #expect(abs(object.heat - heat) < 1e-9)
                for minutes in 120..<1200 { store.maintain(now: start + .seconds(minutes * 60)) }
                await store.flush()
                #expect(object.heat < 0.01)
                #expect(object.hits == hits + 12)
            }
        }
    }

    @Test("an object leaves when it has reached its age")
    func age() async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.maxAge = .seconds(3600) }) { store in
                let now = Int64(Date().timeIntervalSince1970)
                for (name, age) in [("old", 3700), ("young", 3000), ("later", -86_400)] as [(String, Int64)] {
                    let object = store.object(.test(name, size: chunk, created: (now - age) * 1_000_000_000))
                    try await TestOrigin(name).read(0..<chunk, of: object, in: store)
                }
                store.maintain()
                await store.settle()
                #expect(store.find(ObjectRecord.test("old").key) == nil)
                #expect(store.counters.evictedForAge.value == 1)
                #expect(store.usage.objects == 2)
            }
        }
    }

    @Test("of two revisions that a crash left behind the newer counts, and chunks of no object are deleted")
    func leftBehind() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try cache.change { transaction, chunks, objects in
                var newer = ObjectRecord.test(revision: "2")
                newer.number = 70
                try transaction.put(newer.bytes.span.bytes, for: UInt64(70).key, in: objects)
                // Of an object whose record was deleted, and of none that ever was.
                for number in [69, 5000] as [UInt64] {
                    for index in 0..<100 as Range<UInt64> {
                        let id = ChunkID(object: number, index: index)
                        try transaction.put([1, 2, 3].span.bytes, for: id, in: chunks)
                    }
                }
                try transaction.put([9, 9].span.bytes, for: UInt64(12).key, in: objects)
            }
            try await cache.open { store in
                #expect(store.objects.map(\.record.revision) == ["2"])
                let usage = store.usage
                #expect((usage.chunks, usage.bytes, usage.objects) == (0, 0, 0))
                // Nothing new gets the number of anything that was there.
                #expect(store.object(.test("another")).number > 5000)
                let object = try #require(store.find(key))
                try await TestOrigin(generation: 1).read(0..<chunk, of: object, in: store)
            }
            #expect(try cache.counts() == (chunks: 1, objects: 1))
        }
    }

    @Test("an object that loses its last chunk is still known, and gets chunks again")
    func emptied() async throws {
        try await TestCache.with { cache in
            try await cache.open(chunks: 2) { store in
                let object = store.object(.test())
                for _ in 0..<2 {
                    let tally = try await origin.read(0..<object.size, of: object, in: store)
                    #expect(tally.bypassed == 0)
                    let other = store.object(.test("other"))
                    try await TestOrigin("other").read(0..<other.size, of: other, in: store)
                    await store.settle()
                }
                #expect(store.find(key) === object)
                #expect(store.counters.chunks.value <= 2)
            }
        }
    }
}

extension ObjectRecord {
    /// As they are in the database.
    fileprivate var bytes: [UInt8] { encoded().map { Array($0.readableBytesView) } ?? [] }
}

extension UInt64 {
    /// Of an object's record.
    fileprivate var key: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}
