import NIOCore
import SourceContract
import SourcePlugins
import Testing

@Suite("SyntheticSource", .timeLimit(.minutes(2)))
struct SyntheticSourceTests {
    @Test("keeps the contract of sources", arguments: ContractCheck.all)
    func contract(_ check: ContractCheck) async throws {
        let source = SyntheticSource()
        let size: Int64 = 3 << 20 | 12_345
        let largeSize: Int64 = 1 << 53 + 1
        try source.put("films/sample.mkv", size: size)
        try source.put("empty.mp4", size: 0)
        try source.put("large.ts", size: largeSize)
        var fixture = ContractFixture(
            source: source,
            sample: try .init("films/sample.mkv", PatternBytes("films/sample.mkv"), size: size),
            missing: try MediaPath("films/none.mkv")
        )
        fixture.empty = try MediaPath("empty.mp4")
        fixture.directory = try MediaPath("films")
        let known: [Range<Int64>] = [(largeSize - 70_001)..<largeSize, (1 << 32 - 1)..<(1 << 32 + 1)]
        fixture.large = try .init("large.ts", PatternBytes("large.ts"), size: largeSize, known: known)
        fixture.change = {
            try source.update("films/sample.mkv") { $0.generation += 1 }
            return PatternBytes("films/sample.mkv", generation: 1)
        }
        fixture.untilIdle = { try await source.untilIdle() }
        try await check.run(fixture)
    }

    @Test("the suite as one call keeps the contract, too")
    func verifies() async throws {
        try await verify {
            let source = SyntheticSource()
            try source.put("a", size: 3 << 20 | 1)
            return ContractFixture(
                source: source,
                sample: try .init("a", PatternBytes("a"), size: 3 << 20 | 1),
                missing: try MediaPath("b")
            )
        }
    }

    @Test("an object with another content than promised breaks the contract")
    func violation() async throws {
        await #expect(throws: ContractViolation.self) {
            try await verify {
                let source = SyntheticSource()
                try source.put("a", size: 3 << 20 | 1)
                return ContractFixture(
                    source: source,
                    sample: try .init("a", PatternBytes("a", generation: 1), size: 3 << 20 | 1),
                    missing: try MediaPath("b")
                )
            }
        }
    }

    @Test("a read gives what lies before the failure, and one that starts there gives nothing")
    func failure() async throws {
        let source = SyntheticSource()
        try source.put("a", size: 200_000) { $0.failure = (100_001, SourceError(.unavailable, "broken")) }
        let object = try await source.open(MediaPath("a"))
        let stream = try await object.read(0..<200_000)
        var count = 0
        let outcome = try await code {
            while let buffer = try await stream.next() { count += buffer.readableBytes }
            return count
        }
        #expect(outcome == .unavailable)
        #expect(count == 100_001)
        #expect(try await code { try await object.read(100_001..<200_000) } == .unavailable)
    }

    @Test("a stalled read goes on when the gate opens, and ends when it is cancelled")
    func stall() async throws {
        let source = SyntheticSource()
        let gate = Gate()
        try source.put("a", size: 200_000) { $0.stall = (100_000, gate) }
        let object = try await source.open(MediaPath("a"))
        let reading = Task {
            let stream = try await object.read(0..<200_000)
            var count = 0
            while let buffer = try await stream.next() { count += buffer.readableBytes }
            return count
        }
        let abandoned = Task { _ = try await object.read(100_000..<200_000) }
        try await gate.untilWaiting(2)
        abandoned.cancel()
        await #expect(throws: CancellationError.self) { try await abandoned.value }
        gate.open()
        #expect(try await reading.value == 200_000)
        try await source.counts.until { $0.openReads == 0 }
        #expect(source.counts.value.cancelledReads == 1)
    }

    @Test("an object of unknown size is read to its end")
    func unknownSize() async throws {
        let source = SyntheticSource()
        try source.put("a", size: 100_000) { $0.announcesSize = false }
        let object = try await source.open(MediaPath("a"))
        #expect(object.info.size == nil)
        let stream = try await object.read(0..<Int64.max)
        var bytes: [UInt8] = []
        while let buffer = try await stream.next() { bytes += buffer.readableBytesView }
        #expect(bytes == PatternBytes("a").bytes(0..<100_000))
    }

    @Test("an object that never answers waits until it is cancelled")
    func neverAnswers() async throws {
        let source = SyntheticSource()
        let gate = Gate()
        try source.put("a", size: 1) { $0.opening = .waits(gate) }
        let opening = Task { _ = try await source.open(MediaPath("a")) }
        try await gate.untilWaiting()
        opening.cancel()
        await #expect(throws: CancellationError.self) { try await opening.value }
    }

    @Test("leases are counted while they are held, and only of what is loaded")
    func leases() throws {
        let source = SyntheticSource()
        try source.put("a", size: 1)
        #expect(try source.lease(MediaPath("a")) == nil)
        try source.update("a") { $0.isLoaded = true }
        var lease = try source.lease(MediaPath("a"))
        #expect(source.counts.value.leases == 1)
        withExtendedLifetime(lease) {}
        lease = nil
        #expect(source.counts.value.leases == 0)
    }
}

@Suite("PatternBytes")
struct PatternBytesTests {
    @Test("any part is the part of the whole")
    func parts() {
        let pattern = PatternBytes("a")
        let whole = pattern.bytes(0..<20_000)
        var random = SplitMix64(seed: 7)
        for _ in 0..<200 {
            let start = Int.random(in: 0..<20_000, using: &random)
            let end = Int.random(in: start...20_000, using: &random)
            #expect(pattern.bytes(Int64(start)..<Int64(end)) == Array(whole[start..<end]))
        }
    }

    @Test("other names, generations and offsets have other bytes", arguments: [0, 4095, 1 << 32, 1 << 53] as [Int64])
    func differs(_ offset: Int64) {
        let buffer = PatternBytes("a").buffer(offset..<(offset + 64))
        #expect(PatternBytes("a").firstDifference(in: buffer, at: offset) == nil)
        #expect(PatternBytes("b").firstDifference(in: buffer, at: offset) != nil)
        #expect(PatternBytes("a", generation: 1).firstDifference(in: buffer, at: offset) != nil)
        for shift in [1, 4096, 65_536, 1 << 20, 1 << 32] as [Int64] {
            #expect(PatternBytes("a").firstDifference(in: buffer, at: offset + shift) != nil)
        }
    }

    @Test("a single wrong byte is found where it is", arguments: [0, 1, 4095, 4096, 9999])
    func single(_ index: Int) throws {
        var buffer = PatternBytes("a").buffer(100..<10_100)
        let byte = try #require(buffer.getInteger(at: index, as: UInt8.self))
        buffer.setInteger(~byte, at: index)
        #expect(PatternBytes("a").firstDifference(in: buffer, at: 100) == Int64(100 + index))
    }
}
