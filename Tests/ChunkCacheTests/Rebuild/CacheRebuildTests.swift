import ChunkCache
import Foundation
import SourceContract
import Testing

/// A cache whose chunks get another size.
@Suite(.timeLimit(.minutes(2)))
struct CacheRebuildTests {
    private struct Stop: Error {}

    private let chunk = TestCache.chunkSize
    private let origin = TestOrigin()
    private let key = ObjectRecord.test().key

    private func settings(_ cache: TestCache, _ chunkSize: Int64, size: Int64 = 64 << 20) -> ChunkStoreSettings {
        ChunkStoreSettings(directory: cache.path, size: size, chunkSize: Int(chunkSize))
    }

    /// Expects the cache to have all of the object in chunks of this size.
    private func expectWhole(_ cache: TestCache, chunkSize: Int64) async throws {
        let before = origin.bytes
        let change: (inout ChunkStoreSettings) -> Void = { $0.chunkSize = Int(chunkSize) }
        try await cache.open(change) { store in
            let object = try #require(store.find(key))
            #expect(Int64(object.storedChunks) == object.chunkCount)
            let tally = try await origin.read(0..<object.size, of: object, in: store)
            #expect(tally == ReadTally(stored: object.size))
        }
        #expect(origin.bytes == before)
        #expect(!FileManager.default.fileExists(atPath: cache.path + "/rebuild"))
        #expect(cache.log.messages.isEmpty)
    }

    @Test(
        "everything is there in chunks of the new size",
        arguments: [(128 << 10, 5), (256 << 10, 3), (32 << 10, 20), (4 << 10, 160)] as [(Int64, Int)]
    )
    func sizes(size: Int64, chunks: Int) async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            let result = try CacheRebuild.run(settings(cache, size))
            #expect((result.oldChunkSize, result.chunkSize, result.chunks) == (Int(chunk), Int(size), chunks))
            #expect((result.read.checked, result.read.total, result.read.corrupt) == (10, 10, 0))
            #expect((result.bytes, result.leftOutBytes) == (10 * chunk, 0))
            try await expectWhole(cache, chunkSize: size)
        }
    }

    @Test("what is damaged is left out, and what cannot be whole without it")
    func damaged() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try cache.flip(of: origin.content, at: [5 * chunk + 100])
            let result = try CacheRebuild.run(settings(cache, 2 * chunk))
            #expect((result.read.checked, result.read.corrupt, result.chunks) == (10, 1, 4))
            #expect((result.bytes, result.leftOutBytes) == (8 * chunk, chunk))
            try await cache.open({ $0.chunkSize *= 2 }) { store in
                let object = try #require(store.find(key))
                #expect(store.runs(of: object) == [0..<2, 3..<5])
                try await origin.read(0..<object.size, of: object, in: store)
                #expect(origin.bytes == 12 * chunk)
                #expect(store.counters.corrupt.value == 0)
            }
        }
    }

    @Test("a rebuild that ends early changes nothing", arguments: [1, 5, 10])
    func early(after count: Int) async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            #expect(throws: Stop.self) {
                _ = try CacheRebuild.run(settings(cache, 2 * chunk)) { read in
                    if read.checked == count { throw Stop() }
                }
            }
            try await expectWhole(cache, chunkSize: chunk)
        }
    }

    @Test("what a rebuild left that was killed goes with the next start, or the next rebuild", arguments: [1, 2])
    func killed(factor: Int64) async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            let left = cache.path + "/rebuild"
            try FileManager.default.createDirectory(atPath: left, withIntermediateDirectories: false)
            try Data("part of a database".utf8).write(to: URL(fileURLWithPath: left + "/data.mdb"))
            if factor > 1 { #expect(try CacheRebuild.run(settings(cache, factor * chunk)).chunks == 5) }
            try await expectWhole(cache, chunkSize: factor * chunk)
        }
    }

    @Test("chunks that have the size already stay as they are")
    func unchanged() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            let result = try CacheRebuild.run(settings(cache, chunk))
            #expect(result.oldChunkSize == result.chunkSize && result.read.checked == 0)
            try await expectWhole(cache, chunkSize: chunk)
        }
    }

    @Test("a file that is longer than a lower size wants gets shorter, and what there is room for stays")
    func lowerSize() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin, .test(size: 200 * chunk))
            let wanted = settings(cache, chunk, size: 8 * (chunk + 4096))
            let before = try FileManager.default.attributesOfItem(atPath: cache.dataFile)[.size] as? Int ?? 0
            let result = try CacheRebuild.run(wanted)
            #expect((result.read.checked, result.chunks, result.leftOutBytes) == (200, 8, 192 * chunk))
            let after = try FileManager.default.attributesOfItem(atPath: cache.dataFile)[.size] as? Int ?? 0
            #expect(before > 200 * Int(chunk) && after < 10 * Int(chunk))
            #expect(try CacheRebuild.run(wanted).read.checked == 0)
            try await cache.open(chunks: 8) { store in
                let object = try #require(store.find(ObjectRecord.test(size: 200 * chunk).key))
                let tally = try await origin.read(0..<8 * chunk, of: object, in: store)
                #expect(tally == ReadTally(stored: 8 * chunk))
            }
        }
    }

    @Test("a cache that somebody has is refused, and one that is not there is not made")
    func refused() async throws {
        try await TestCache.with { cache in
            let settings = settings(cache, 2 * chunk)
            #expect(throws: CacheRebuildError.missing) { _ = try CacheRebuild.run(settings) }
            #expect(!FileManager.default.fileExists(atPath: cache.path))
            try await cache.fill(origin)
            try await cache.open { store in
                #expect(throws: CacheInUse.self) { _ = try CacheRebuild.run(settings) }
                #expect(store.usage.chunks == 10)
            }
            try await expectWhole(cache, chunkSize: chunk)
        }
    }

    @Test("without room for both databases nothing is begun, and the figures are told")
    func noSpace() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            var settings = settings(cache, 2 * chunk)
            settings.minFreeDisk = .max
            let wanted = settings
            let error = #expect(throws: CacheRebuildError.self) { _ = try CacheRebuild.run(wanted) }
            guard case .noSpace(let needed, let free, let kept)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(needed > 10 * chunk && needed < 10 * chunk + (2 << 20))
            #expect(free >= 0 && kept == .max)
            try await expectWhole(cache, chunkSize: chunk)
        }
    }

    @Test("without room for all the newest is kept, and before that what is pinned", arguments: [false, true])
    func order(isPinned: Bool) async throws {
        try await TestCache.with { cache in
            let names = ["old", "new"]
            try await cache.open { store in
                for name in names {
                    let object = store.object(.test(name))
                    try await TestOrigin(name).read(0..<object.size, of: object, in: store)
                    await store.settle()
                }
                if isPinned { _ = try await store.pin(Pin(source: "test", path: Array("old".utf8), isPrefix: false)) }
            }
            // Six chunks with the page that each takes besides.
            let result = try CacheRebuild.run(settings(cache, 2 * chunk, size: 6 * (2 * chunk + 4096)))
            #expect((result.chunks, result.leftOutBytes) == (6, 8 * chunk))
            try await cache.open({ $0.chunkSize *= 2 }) { store in
                let stored = names.map { store.find(ObjectRecord.test($0).key)?.storedChunks }
                #expect(stored == (isPinned ? [5, 1] : [1, 5]))
                #expect(store.pins.count == (isPinned ? 1 : 0))
            }
        }
    }

    @Test("a cache that was open when the machine stopped is not trusted, unless it waited for the disk")
    func cutOff() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            let state = cache.path + "/state"
            try Data("another start of the machine\n".utf8).write(to: URL(fileURLWithPath: state))
            let settings = settings(cache, 2 * chunk)
            #expect(throws: CacheRebuildError.self) { _ = try CacheRebuild.run(settings) }
            try Data("another start of the machine\nstrict\n".utf8).write(to: URL(fileURLWithPath: state))
            #expect(try CacheRebuild.run(settings).chunks == 5)
            // What is there now is all on the disk.
            #expect(!FileManager.default.fileExists(atPath: state))
            try await expectWhole(cache, chunkSize: 2 * chunk)
        }
    }
}
