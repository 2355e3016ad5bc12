import ChunkCache
import Foundation
import Glibc
import NIOPosix
import SourceContract
import Testing

/// How a process that ended without closing its cache is taken by the next one.
@Suite(.timeLimit(.minutes(2)))
struct CrashTests {
    /// Opens a cache, stores an object, and does not close it.
    private static func leaveOpen(_ path: String, then end: (ChunkStore) async throws -> Void) async throws {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let size = 1024 * TestCache.chunkSize
        let settings = ChunkStoreSettings(directory: path, size: size, chunkSize: Int(TestCache.chunkSize))
        let store = try ChunkStore(settings, pool: pool, logger: TestLog().logger)
        let object = store.object(.test())
        try await TestOrigin().read(0..<object.size, of: object, in: store)
        await store.settle()
        try await end(store)
    }

    private func expect(_ cache: TestCache, isSetAside: Bool) async throws {
        try await cache.open { store in
            #expect(cache.hasSetAside == isSetAside)
            #expect(cache.log.messages.count == (isSetAside ? 1 : 0))
            #expect(store.counters.lostToCrash.value == (isSetAside ? 1 : 0))
            #expect(store.usage.chunks == (isSetAside ? 0 : 10))
        }
        // Once.
        try await cache.open { _ in #expect(cache.log.messages.count == (isSetAside ? 1 : 0)) }
    }

    @Test("a database with which the process crashed is set aside", arguments: [SIGSEGV, SIGBUS, SIGABRT, SIGILL])
    func crash(number: Int32) async throws {
        try await TestCache.with { cache in
            let path = cache.path
            let result = await #expect(processExitsWith: .failure) {
                [path = path as String, number = number as Int32] in
                try await Self.leaveOpen(path) { _ in
                    // The threads of tasks hold SIGABRT back, but not that of abort.
                    if number == SIGABRT { abort() }
                    raise(number)
                }
            }
            #expect(result?.exitStatus == .signal(number))
            try await expect(cache, isSetAside: true)
        }
    }

    @Test("a fault of the processor is a crash, and comes again for whoever handles it")
    func fault() async throws {
        try await TestCache.with { cache in
            let path = cache.path
            let result = await #expect(processExitsWith: .failure) { [path = path as String] in
                try await Self.leaveOpen(path) { _ in
                    // A page that may not be read.
                    let page = mmap(nil, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                    #expect(page?.load(as: UInt8.self) == 1)
                }
            }
            #expect(result?.exitStatus == .signal(SIGSEGV))
            try await expect(cache, isSetAside: true)
        }
    }

    @Test("a database whose process was killed is used on")
    func kill() async throws {
        try await TestCache.with { cache in
            let path = cache.path
            let result = await #expect(processExitsWith: .failure) { [path = path as String] in
                try await Self.leaveOpen(path) { _ in raise(SIGKILL) }
            }
            #expect(result?.exitStatus == .signal(SIGKILL))
            try await expect(cache, isSetAside: false)
        }
    }

    @Test("a crash after the database has been open for a while is not taken for its fault")
    func later() async throws {
        try await TestCache.with { cache in
            let path = cache.path
            await #expect(processExitsWith: .failure) { [path = path as String] in
                try await Self.leaveOpen(path) { store in
                    store.maintain(now: .now + .seconds(11))
                    await store.settle()
                    raise(SIGSEGV)
                }
            }
            try await expect(cache, isSetAside: false)
        }
    }
}
