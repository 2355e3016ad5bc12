import ChunkCache
import Dispatch
import Foundation
import Logging
import NIOCore
import NIOPosix
import SourceContract
import Synchronization
import Testing

/// A directory for a cache, and what it takes to open one there.
struct TestCache: Sendable {
    static let chunkSize: Int64 = 64 << 10
    static let poolThreads = 2

    let directory: TemporaryDirectory
    let pool: NIOThreadPool
    let log = TestLog()

    var path: String { directory.path("cache") }
    var dataFile: String { path + "/data.mdb" }
    var hasSetAside: Bool { FileManager.default.fileExists(atPath: dataFile + ".bad") }

    static func with<Value>(_ body: (TestCache) async throws -> Value) async throws -> Value {
        try await withTemporaryDirectory { directory in
            let pool = NIOThreadPool(numberOfThreads: poolThreads)
            pool.start()
            do {
                let value = try await body(TestCache(directory: directory, pool: pool))
                try await pool.shutdownGracefully()
                return value
            } catch {
                try? await pool.shutdownGracefully()
                throw error
            }
        }
    }

    /// Opens the cache, runs `body`, and closes it.
    ///
    /// - Parameters:
    ///   - chunks: how many there is room for.
    ///   - lookUps: holds for ever by itself, however slow the machine is.
    func open<Value>(
        chunks: Int64 = 1024,
        reads: ResidencyMemory = ResidencyMemory(),
        lookUps: ResidencyMemory = CoarseClock().memory(),
        _ change: (inout ChunkStoreSettings) -> Void = { _ in },
        _ body: (ChunkStore) async throws -> Value
    ) async throws -> Value {
        // A chunk takes its bytes and a page.
        let size = chunks * (Self.chunkSize + 4096)
        var settings = ChunkStoreSettings(directory: path, size: size, chunkSize: Int(Self.chunkSize))
        change(&settings)
        let store = try ChunkStore(settings, pool: pool, reads: reads, lookUps: lookUps, logger: log.logger)
        defer { store.close() }
        // What was there has been found.
        await store.flush()
        return try await body(store)
    }

    /// Opens the cache and closes it once all of an object is in it.
    func fill(_ origin: TestOrigin, _ record: ObjectRecord = .test()) async throws {
        try await open { store in
            let object = store.object(record)
            try await origin.read(0..<record.size, of: object, in: store)
            await store.settle()
            #expect(Int64(object.storedChunks) == object.chunkCount)
        }
    }
}

/// What the cache has logged, of warnings and errors.
final class TestLog: Sendable {
    private struct Handler: LogHandler {
        let log: TestLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.warning

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.lines.withLock { $0.append("\(event.message)") }
        }
    }

    private let lines = Mutex<[String]>([])

    var messages: [String] { lines.withLock { $0 } }

    var logger: Logger { Logger(label: "cache") { _ in Handler(log: self) } }
}

extension ObjectRecord {
    static func test(
        _ name: String = "film.mkv",
        size: Int64 = 10 * TestCache.chunkSize,
        revision: String = "1",
        created: Int64 = Int64(Date().timeIntervalSince1970) * 1_000_000_000
    ) -> ObjectRecord {
        ObjectRecord(
            number: 0,
            source: "test",
            path: Array(name.utf8),
            size: size,
            revision: revision,
            isImmutable: false,
            created: created
        )
    }
}

/// How the bytes of a read came.
struct ReadTally: Sendable, Equatable {
    var stored: Int64 = 0
    var fetched: Int64 = 0
    var bypassed: Int64 = 0
}

extension TestOrigin {
    func reader(
        _ object: CachedObject,
        upTo end: Int64? = nil,
        in store: ChunkStore,
        isFinal: Bool = false
    ) -> ChunkReader {
        ChunkReader(
            store,
            object,
            upTo: end ?? object.size,
            executor: nil,
            isFinal: { _ in isFinal },
            source: source
        )
    }

    /// Reads a range as a request would, and expects the right bytes.
    @discardableResult
    func read(
        _ range: Range<Int64>,
        of object: CachedObject,
        in store: ChunkStore,
        isFinal: Bool = false
    ) async throws -> ReadTally {
        let reader = reader(object, upTo: range.upperBound, in: store, isFinal: isFinal)
        var (tally, position) = (ReadTally(), range.lowerBound)
        while position < range.upperBound {
            switch try await reader.next(at: position) {
            case .bytes(let piece):
                expectRight(piece, at: position)
                tally.fetched += Int64(piece.readableBytes)
                position += Int64(piece.readableBytes)
            case .stored(let end):
                guard let piece = store.copy(position..<end, of: object) else {
                    await reader.prepare(at: position)
                    continue
                }
                expectRight(piece, at: position)
                tally.stored += end - position
                position = end
            case .bypass(let end):
                let bytes = try await source(position..<end)
                while let piece = try await bytes() {
                    expectRight(piece, at: position)
                    position += Int64(piece.readableBytes)
                    tally.bypassed += Int64(piece.readableBytes)
                }
                #expect(position == end)
            }
        }
        #expect(position == range.upperBound)
        return tally
    }

    func expectRight(_ piece: ByteBuffer, at position: Int64) {
        #expect(piece.readableBytes > 0)
        #expect(content.firstDifference(in: piece, at: position) == nil)
    }
}

extension ChunkStore {
    /// Bytes of one chunk out of the database.
    func copy(_ range: Range<Int64>, of object: CachedObject) -> ByteBuffer? {
        let id = object.chunk(at: range.lowerBound)
        let copy = withBytes(of: object, at: range) { parts in ByteBuffer(bytes: parts[0]) }
        if copy != nil { _ = use(id, of: object) }
        return copy
    }

    /// Waits until all that was being fetched has been stored or given up. Readers hold on to what they are in.
    func settle() async {
        await eventually { usage.fillBytes == 0 }
        await flush()
    }

    /// Runs `body` while a read of the database goes on: no page that is freed meanwhile can be used again.
    func duringRead(of object: CachedObject, _ body: () async throws -> Void) async throws {
        await prepare(object.chunk(at: 0), 0..<1)
        let (begun, end) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        Thread.detachNewThread {
            _ = self.withBytes(of: object, at: 0..<1) { _ in
                begun.signal()
                end.wait()
            }
            begun.signal()
        }
        await wait(for: begun)
        do {
            try await body()
        } catch {
            end.signal()
            throw error
        }
        end.signal()
        await wait(for: begun)
    }

    private func wait(for semaphore: DispatchSemaphore) async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                semaphore.wait()
                continuation.resume()
            }
        }
    }

    func isStored(_ index: UInt64, of object: CachedObject) -> Bool {
        isStored(ChunkID(object: object.number, index: index))
    }
}

/// Waits for what other tasks bring about, and gives up after half a minute.
func eventually(_ condition: () -> Bool, _ location: SourceLocation = #_sourceLocation) async {
    let start = ContinuousClock.now
    while !condition() {
        guard start.duration(to: .now) < .seconds(30) else {
            Issue.record("it did not come about", sourceLocation: location)
            return
        }
        await Task.yield()
    }
}
