import SourcePlugins

extension ContractCheck {
    static let lifetimes: [ContractCheck] = [
        ContractCheck("a stream outlives the reference to its object") { fixture in
            do {
                let range = 0..<fixture.sample.size
                let stream = try await fixture.source.open(fixture.sample.path).read(range)
                try await expectBytes(fixture.sample.content, range, from: stream)
            }
            try await fixture.untilIdle?()
        },
        ContractCheck("a cancelled reader gets a CancellationError, and the work ends") { fixture in
            do {
                let object = try await fixture.source.open(fixture.sample.path)
                let stream = try await object.read(0..<fixture.sample.size)
                _ = try await stream.next()
                let outcome = await resultWhenCancelled { try await stream.next() }
                try expectCancellation(outcome)
            }
            try await fixture.untilIdle?()
        },
        ContractCheck("a read that begins cancelled gets a CancellationError") { fixture in
            do {
                let object = try await fixture.source.open(fixture.sample.path)
                let outcome = await resultWhenCancelled { try await object.read(0..<fixture.sample.size) }
                try expectCancellation(outcome)
            }
            try await fixture.untilIdle?()
        },
        ContractCheck("a stream that is dropped unread ends the work") { fixture in
            do {
                let object = try await fixture.source.open(fixture.sample.path)
                _ = try await object.read(0..<fixture.sample.size)
            }
            try await fixture.untilIdle?()
        },
        ContractCheck("a stream that is dropped in the middle ends the work") { fixture in
            do {
                let object = try await fixture.source.open(fixture.sample.path)
                let stream = try await object.read(0..<fixture.sample.size)
                _ = try await stream.next()
                _ = try await stream.next()
            }
            try await fixture.untilIdle?()
        },
        ContractCheck("an object that is opened and not read leaves nothing behind") { fixture in
            for _ in 0..<20 { _ = try await fixture.source.open(fixture.sample.path) }
            try await fixture.untilIdle?()
        },
        ContractCheck("run() ends on cancellation") { fixture in
            let source = fixture.source
            let task = Task { try await source.run() }
            task.cancel()
            switch await task.result {
            case .success: break
            case .failure(let error): try expect(error is CancellationError, "run() ends with \(error)")
            }
        },
    ]

    /// What `body` does in a task that is cancelled already.
    private static func resultWhenCancelled<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async -> Result<Value, any Error> {
        // Ends by itself: it is cancelled from the inside, and awaited.
        await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await body()
        }.result
    }

    private static func expectCancellation<Value>(_ outcome: Result<Value, any Error>) throws {
        switch outcome {
        case .success: throw ContractViolation("the read goes on after it was cancelled")
        case .failure(let error): try expect(error is CancellationError, "the read ends with \(error)")
        }
    }
}
