import ChunkCache
import Foundation
import SourceContract
import Testing

/// Pages of keys, which leave memory as others do.
@Suite(.timeLimit(.minutes(2)))
struct LookUpTests {
    private let chunk = TestCache.chunkSize
    private let origin = TestOrigin()

    @Test("a chunk is lent for a moment after it or a neighbour of it was looked up, and not without")
    func moment() async throws {
        try await TestCache.with { cache in
            let clock = CoarseClock()
            try await cache.open(lookUps: clock.memory(trust: 4)) { store in
                let object = store.object(.test(size: 40 * chunk))
                try await origin.read(0..<object.size, of: object, in: store)
                await store.settle()
                func isLent(_ index: Int64) -> Bool {
                    store.withBytes(of: object, at: index * chunk..<(index + 1) * chunk) { _ in true } ?? false
                }
                clock.advance(by: 60_000)
                #expect(!isLent(3))
                await store.prepare(ChunkID(object: object.number, index: 3), 0..<1)
                // With those that a reader may come to meanwhile.
                #expect(isLent(3) && isLent(0) && isLent(15) && isLent(31))
                #expect(!isLent(32))
                // Lending is no looking up: it may be that of another page.
                clock.advance(by: 500)
                #expect(isLent(3))
                clock.advance(by: 500)
                #expect(!isLent(3))
                // The chunks behind the one that is sent are looked up ahead.
                store.prefetch(behind: ChunkID(object: object.number, index: 15), of: object, upTo: object.size)
                await eventually { isLent(16) && isLent(39) }
                #expect(!isLent(15))
            }
        }
    }

    /// Whether a process may have some memory kept.
    private static var mayKeep: Bool {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue), &limit) == 0 else { return false }
        return geteuid() == 0 || limit.rlim_cur >= 8 << 20
    }

    @Test("what every transaction reads is kept in memory, and no more of the file", .enabled(if: mayKeep))
    func entrance() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try await cache.open { _ in
                let locked = Self.lockedBytes()
                let directory = URL(filePath: cache.path).resolvingSymlinksInPath().path + "/"
                #expect(locked[directory + "data.mdb"] == 2 * DataFileCheck.pageSize)
                #expect(locked[directory + "lock.mdb"] == Int(LMDBSettings.maxReaders) * 64 + 4096)
            }
        }
    }

    /// Bytes of each file that the kernel keeps in memory where they are mapped.
    private static func lockedBytes() -> [String: Int] {
        guard let file = fopen("/proc/self/smaps", "re") else { return [:] }
        defer { fclose(file) }
        var bytes: [String: Int] = [:]
        var area: MappedArea?
        var (line, capacity): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
        defer { free(line) }
        while getline(&line, &capacity, file) >= 0, let start = line {
            let text = String(cString: start)
            if text.first?.isUppercase != true { area = MappedArea(text) }
            if text.hasPrefix("VmFlags:"), text.split(separator: " ").contains("lo"), let area {
                bytes[area.path, default: 0] += area.addresses.count
            }
        }
        return bytes
    }
}
