import ChunkCache
import Foundation
import NIOPosix
import SourceContract
import Testing

/// What a cache finds when it is opened.
@Suite(.timeLimit(.minutes(2)))
struct StoreOpeningTests {
    private let chunk = TestCache.chunkSize
    private let origin = TestOrigin()
    private let key = ObjectRecord.test().key

    /// Reads the object with whatever the cache has of it.
    private func readAll(in store: ChunkStore) async throws -> ReadTally {
        let object = store.object(.test())
        let tally = try await origin.read(0..<object.size, of: object, in: store)
        await store.settle()
        return tally
    }

    @Test(
        "chunks stay over a restart, and are checked before they are used",
        arguments: [
            LMDBSettings.Durability.relaxed, .strict,
        ]
    )
    func restart(durability: LMDBSettings.Durability) async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.durability = durability }) { _ = try await readAll(in: $0) }
            try await cache.open({ $0.durability = durability }) { store in
                let object = try #require(store.find(key))
                let id = ChunkID(object: object.number, index: 3)
                #expect(store.isStored(id))
                #expect(!store.isReady(id))
                #expect(store.withBytes(of: object, at: 3 * chunk..<object.size) { _ in true } == nil)
                store.prefetch(behind: ChunkID(object: object.number, index: 2), of: object, upTo: object.size)
                await eventually { store.isReady(id) }
                #expect(store.usage.chunks == 10)
                #expect(try await readAll(in: store) == ReadTally(stored: object.size))
                #expect(origin.bytes == object.size)
            }
        }
    }

    @Test("bytes that changed on the disk are found, and fetched anew")
    func flipped() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try cache.flip(of: origin.content, at: [5 * chunk + 100, 7 * chunk + 50_000])
            try await cache.open { store in
                let tally = try await readAll(in: store)
                #expect(tally.stored >= 8 * chunk)
                #expect(store.counters.corrupt.value == 2)
                #expect(origin.bytes == 12 * chunk)
                #expect(try await readAll(in: store).stored == 10 * chunk)
            }
        }
    }

    @Test("a check of all chunks finds those that changed on the disk")
    func verify() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try cache.flip(of: origin.content, at: [5 * chunk + 100, 7 * chunk + 50_000])
            try await cache.open { store in
                let progress = Observed<[Int]>([])
                let result = try await store.verify { report in progress.update { $0.append(report.checked) } }
                #expect((result.checked, result.total, result.corrupt) == (10, 10, 2))
                #expect(result.bytes >= 10 * chunk)
                #expect(progress.value == Array(1...10))
                await store.settle()
                let object = try #require(store.find(key))
                #expect(store.runs(of: object) == [0..<5, 6..<7, 8..<10])
                #expect(store.isReady(ChunkID(object: object.number, index: 9)))
                #expect(try await store.verify().corrupt == 0)
            }
        }
    }

    @Test("a check of all chunks can be cancelled")
    func cancelledVerify() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                _ = try await readAll(in: store)
                let checking = Task {
                    try await store.verify { report in
                        if report.checked == 3 { withUnsafeCurrentTask { $0?.cancel() } }
                        #expect(report.checked <= 3)
                    }
                }
                await #expect(throws: CancellationError.self) { try await checking.value }
            }
        }
    }

    @Test("a file that is no database, or part of one, is set aside with one warning", arguments: [0, 1, 2])
    func damaged(kind: Int) async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            let file = URL(fileURLWithPath: cache.dataFile)
            switch kind {
            case 0: try Data("not a database".utf8).write(to: file)
            case 1: try Data(contentsOf: file).prefix(100_000).write(to: file)
            default:
                try FileManager.default.removeItem(at: file)
                try FileManager.default.createDirectory(at: file, withIntermediateDirectories: false)
                try Data("in the way".utf8).write(to: URL(fileURLWithPath: cache.dataFile + ".bad"))
            }
            try await cache.open { store in
                #expect(cache.hasSetAside)
                #expect(store.isOpen)
                #expect(cache.log.messages == ["cache set aside as data.mdb.bad"])
                #expect(store.counters.lostToDamage.value == 1)
                let (first, second) = (try await readAll(in: store), try await readAll(in: store))
                #expect(first.stored < 10 * chunk)
                #expect(second.stored == 10 * chunk)
            }
            try await cache.open { #expect($0.usage.chunks == 10) }
        }
    }

    @Test("a cache with another chunk size begins anew, with a warning that says how to keep one")
    func otherGrid() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try await cache.open({ ($0.chunkSize, $0.mayReplace) = (2 * $0.chunkSize, false) }) { store in
                let reason = "its chunks are of \(chunk) bytes, and not of \(2 * chunk)"
                #expect(store.failure?.hasPrefix(reason) == true)
                #expect(cache.log.messages == [])
            }
            try await cache.open({ $0.chunkSize *= 2 }) { store in
                #expect(store.isOpen)
                #expect(!cache.hasSetAside)
                #expect(cache.log.messages.count == 1)
                #expect(cache.log.messages.first?.contains("`media-gateway cache rebuild`") == true)
                #expect((store.counters.lostToFormat.value, store.counters.lostToDamage.value) == (1, 0))
                _ = try await readAll(in: store)
                #expect(store.usage.chunks == 5)
            }
        }
    }

    @Test(
        "a cache that was open when the machine stopped is trusted only if it waited for the disk, whatever it does now",
        arguments: [LMDBSettings.Durability.relaxed, .strict],
        [LMDBSettings.Durability.relaxed, .strict]
    )
    func cutOff(then: LMDBSettings.Durability, now: LMDBSettings.Durability) async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            let state = URL(fileURLWithPath: cache.path + "/state")
            #expect(!FileManager.default.fileExists(atPath: state.path))
            var left = ""
            try await cache.open({ $0.durability = then }) { _ in left = try String(contentsOf: state, encoding: .utf8)
            }
            let otherStart = left.split(separator: "\n").dropFirst().reduce("another start of the machine") {
                "\($0)\n\($1)"
            }
            try Data("\(otherStart)\n".utf8).write(to: state)
            // Whoever only looks at it does not have it, and does not make it look whole.
            let isTrusted = then == .strict
            try await cache.open({ ($0.durability, $0.mayReplace) = (now, false) }) {
                #expect($0.isOpen == isTrusted)
                #expect($0.usage.chunks == (isTrusted ? 10 : 0))
            }
            if isTrusted { try Data("\(otherStart)\n".utf8).write(to: state) }
            try await cache.open({ $0.durability = now }) { store in
                #expect(store.usage.chunks == (isTrusted ? 10 : 0))
                #expect(store.counters.lostToMachine.value == (isTrusted ? 0 : 1))
            }
        }
    }

    @Test(
        "a database of another format begins anew, without advice that would not help",
        arguments: ["2 65536", "0 65536", "nonsense", nil]
    )
    func otherFormat(format: String?) async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try cache.setFormat(format)
            try await cache.open({ $0.mayReplace = false }) { store in
                #expect(store.failure?.contains("format") == true)
                #expect(store.failure?.contains("rebuild") == false)
            }
            try await cache.open { store in
                #expect(store.isOpen)
                #expect(store.counters.lostToFormat.value == 1)
                #expect(!cache.log.messages.contains { $0.contains("rebuild") })
                _ = try await readAll(in: store)
                #expect(store.usage.chunks == 10)
            }
        }
    }

    @Test("a second cache in the same directory is refused, and the first goes on")
    func inUse() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                await #expect(throws: CacheInUse.self) { try await cache.open { _ in } }
                _ = try await readAll(in: store)
                #expect(try await readAll(in: store).stored == 10 * chunk)
            }
        }
    }

    @Test("without its directory there is no cache, and it is tried again")
    func retry() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            // Even root cannot make a directory below a file.
            let away = cache.path + " away"
            try FileManager.default.moveItem(atPath: cache.path, toPath: away)
            try Data().write(to: URL(fileURLWithPath: cache.path))
            try await cache.open { store in
                #expect(!store.isOpen)
                #expect(store.failure != nil)
                let early = store.object(.test("other"))
                #expect(try await readAll(in: store) == ReadTally(bypassed: 10 * chunk))
                store.maintain()
                await store.settle()
                #expect(!store.isOpen)

                try FileManager.default.removeItem(atPath: cache.path)
                try FileManager.default.moveItem(atPath: away, toPath: cache.path)
                store.maintain(now: .now + .seconds(31))
                await store.settle()
                #expect(store.isOpen)
                #expect(store.failure == nil)
                #expect(store.usage.chunks == 10)
                #expect(try await readAll(in: store).stored == 10 * chunk)
                // What was known before has nothing of what the database has.
                #expect(!store.isStored(0, of: early))
                #expect(store.objects.allSatisfy { $0 === early || $0.number != early.number })
                #expect(cache.log.messages == ["running without a cache"])
            }
        }
    }
}
