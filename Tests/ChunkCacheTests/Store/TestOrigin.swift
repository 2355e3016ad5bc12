import ChunkCache
import NIOCore
import SourceContract
import Synchronization

struct OriginFault: Error, Equatable {}

/// A source of patterned bytes that counts what is read of it, and stops and fails where it is told to.
final class TestOrigin: Sendable {
    struct Counts: Sendable {
        /// What was asked for, in order.
        var reads: [Range<Int64>] = []
        /// What was given.
        var bytes: Int64 = 0
        var openReads = 0
    }

    enum Event: Sendable {
        case fail
        case end
        case wait(Gate)
    }

    private struct Plan {
        var offset: Int64
        var event: Event
        /// How often it happens.
        var times: Int
    }

    let content: PatternBytes
    let counts = Observed(Counts())
    private let pieceSize: Int64
    private let plans = Mutex<[Plan]>([])

    init(_ name: String = "film.mkv", generation: Int = 0, pieceSize: Int64 = 4096) {
        content = PatternBytes(name, generation: generation)
        self.pieceSize = pieceSize
    }

    var reads: [Range<Int64>] { counts.value.reads }
    var bytes: Int64 { counts.value.bytes }

    /// Has `event` happen before the byte at `offset` is given.
    func plan(_ event: Event, at offset: Int64, times: Int = 1) {
        plans.withLock { $0.append(Plan(offset: offset, event: event, times: times)) }
    }

    var source: ByteSource {
        { range in
            let read = Read(self, range)
            return { try await read.next() }
        }
    }

    private final class Read: Sendable {
        private let origin: TestOrigin
        private let rest: Mutex<Range<Int64>>

        init(_ origin: TestOrigin, _ range: Range<Int64>) {
            self.origin = origin
            rest = Mutex(range)
            origin.counts.update { counts in
                counts.reads.append(range)
                counts.openReads += 1
            }
        }

        deinit { origin.counts.update { $0.openReads -= 1 } }

        func next() async throws -> ByteBuffer? {
            try Task.checkCancellation()
            let range = rest.withLock { $0 }
            guard !range.isEmpty else { return nil }
            while let event = origin.event(at: range.lowerBound) {
                switch event {
                case .fail: throw OriginFault()
                case .end: return nil
                case .wait(let gate): try await gate.pass()
                }
            }
            let end = origin.pieceEnd(range)
            rest.withLock { $0 = end..<range.upperBound }
            origin.counts.update { $0.bytes += end - range.lowerBound }
            return origin.content.buffer(range.lowerBound..<end)
        }
    }

    private func event(at offset: Int64) -> Event? {
        plans.withLock { plans in
            guard let index = plans.firstIndex(where: { $0.offset == offset && $0.times > 0 }) else { return nil }
            plans[index].times -= 1
            return plans[index].event
        }
    }

    /// A piece ends where something is to happen.
    private func pieceEnd(_ range: Range<Int64>) -> Int64 {
        let end = min(range.lowerBound + pieceSize, range.upperBound)
        let stops = plans.withLock { $0.map(\.offset) }
        return stops.filter { $0 > range.lowerBound && $0 < end }.min() ?? end
    }
}
