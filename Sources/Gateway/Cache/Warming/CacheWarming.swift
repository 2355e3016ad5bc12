package import Config
import FoundationEssentials
import NIOPosix

/// Brings objects into the cache of a running gateway: reads each of them from the data listener, one after the other, in
/// the background, so that it does not come faster than it can be written.
///
/// What is kept, for how long, and what the source is asked is then what a player's request would bring about, and there is no
/// second way in.
package struct CacheWarming: Sendable {
    /// How long nothing may come.
    private static let patience = Duration.seconds(180)
    /// When it is looked whether what was read is in the cache, each time after the last: it is written after it was sent.
    /// Every look may cost the source a request.
    private static let looks = [0, 50, 100, 200, 400, 800].map { Duration.milliseconds($0) }

    private let address: ListenAddress
    private let rate: ByteRate?
    private let cacheSize: Int64
    private let passes: Int

    /// - Parameters:
    ///   - address: of the data listener.
    ///   - rate: what may be read in a second, on the average.
    ///   - cacheSize: in bytes; what is larger is not read, as it would only drive out everything else.
    ///   - passes: how often an object is read at most until the cache has it: a cache that stores what is asked for twice
    ///     needs two.
    package init(_ address: ListenAddress, rate: ByteRate? = nil, cacheSize: Int64 = .max, passes: Int = 1) {
        self.address = address
        self.rate = rate
        self.cacheSize = cacheSize
        self.passes = passes
    }

    /// Reads what `names` name. What fails does not keep it from the rest.
    ///
    /// - Parameters:
    ///   - progress: called again and again.
    ///   - ended: called with each result as it comes.
    /// - Throws: ``CacheAccessError`` if no gateway answers, and `CancellationError`.
    package func run(
        _ names: [String],
        sources: [SourceConfig],
        progress: @Sendable (WarmProgress) -> Void = { _ in },
        ended: @Sendable (WarmResult) -> Void = { _ in }
    ) async throws -> WarmReport {
        let started = ContinuousClock.now
        var (report, state) = (WarmReport(), Run(pace: rate.map { RatePace($0) }, started: started))
        state.progress.total = names.count
        for name in names {
            (state.progress.name, state.progress.objectBytes, state.progress.objectSize) = (name, 0, nil)
            var result = WarmResult(name: name, outcome: .failed)
            let before = state.progress.bytes
            do {
                result.outcome = try await warm(WarmTarget(name, sources: sources), &state, progress)
            } catch let error as WarmTargetError {
                result.error = error.description
            } catch let error as WarmFailure {
                result.error = error.reason
            } catch let error as AdminClientError {
                result.error = error.description
            }
            result.bytes = state.progress.bytes - before
            state.progress.done += 1
            report.results.append(result)
            ended(result)
            progress(state.progress)
        }
        report.seconds = (ContinuousClock.now - started) / .seconds(1)
        return report
    }

    private struct Run {
        var pace: RatePace?
        let started: ContinuousClock.Instant
        var progress = WarmProgress()
    }

    private func warm(
        _ target: WarmTarget,
        _ run: inout Run,
        _ progress: @Sendable (WarmProgress) -> Void
    ) async throws -> WarmResult.Outcome {
        var answer = try await request(target)
        if try answer.isKept() { return .present }
        if let length = answer.head.contentLength, length > cacheSize {
            throw WarmFailure("larger than the cache: \(humanSize(length)), and cache.size is \(humanSize(cacheSize))")
        }
        for _ in 0..<max(passes, 1) {
            try await read(&answer, &run, progress)
            for pause in Self.looks {
                try await Task.sleep(for: pause)
                // If there is another pass, it reads the last of these.
                answer = try await request(target)
                if try answer.isKept() { return .stored }
            }
        }
        throw WarmFailure(
            "read, and not kept: its source's limit, what is pinned, or what is asked for more leaves it no room, or it is "
                + "not to be stored; a pin before makes room"
        )
    }

    /// Reads an answer to its end.
    private func read(
        _ answer: inout WarmAnswer,
        _ run: inout Run,
        _ progress: @Sendable (WarmProgress) -> Void
    ) async throws {
        let length = answer.head.contentLength
        var count: Int64 = 0
        (run.progress.objectSize, run.progress.objectBytes) = (length, 0)
        var piece = answer.begun
        answer.begun = []
        repeat {
            count += Int64(piece.count)
            run.progress.objectBytes += Int64(piece.count)
            run.progress.bytes += Int64(piece.count)
            progress(run.progress)
            let now = ContinuousClock.now - run.started
            if let delay = run.pace?.delay(after: piece.count, at: now), delay > .zero {
                try await Task.sleep(for: delay)
            }
            piece = try await next(answer.socket)
        } while !piece.isEmpty
        guard length == nil || count == length else {
            throw WarmFailure("the answer broke off after \(count) of \(length ?? 0) bytes")
        }
    }

    // MARK: - Requests

    private func request(_ target: WarmTarget) async throws -> WarmAnswer {
        let (address, path) = (address, target.path)
        let socket = try await NIOThreadPool.singleton.runIfActive { () throws -> ClientSocket? in
            guard let socket = try ClientSocket.connect(to: address, patience: 1) else { return nil }
            let lines = ["GET \(path) HTTP/1.0", "Host: \(address.hostField)", "Accept: */*", "Priority: u=7"]
            try socket.send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8))
            return socket
        }
        guard let socket else {
            throw CacheAccessError(.unavailable, "no gateway answers on \(address); start one with serve")
        }
        var bytes: [UInt8] = []
        while true {
            if let end = AnswerHead.end(in: bytes) {
                guard let head = AnswerHead(bytes[..<end.lowerBound]) else { break }
                return try await checked(WarmAnswer(socket: socket, head: head, begun: Array(bytes[end.upperBound...])))
            }
            let next = try await next(socket)
            guard !next.isEmpty, bytes.count < 64 << 10 else { break }
            bytes += next
        }
        throw WarmFailure("what listens on \(address) gave no answer in HTTP")
    }

    /// - Throws: ``WarmFailure`` if it is not the object.
    private func checked(_ answer: WarmAnswer) async throws -> WarmAnswer {
        guard answer.head.status != 200 else { return answer }
        var body = answer.begun
        while answer.head["content-type"] == ProblemDetails.mediaType, body.count < 64 << 10 {
            let next = try await next(answer.socket)
            if next.isEmpty { break }
            body += next
        }
        let problem = try? JSONDecoder().decode(ProblemDetails.self, from: Data(body))
        throw WarmFailure("the gateway answers \(answer.head.status)" + (problem.map { ": \($0.detail)" } ?? ""))
    }

    /// What comes next on a connection; nothing at its end.
    private func next(_ socket: ClientSocket) async throws -> [UInt8] {
        // Small enough that there is something to wait for several times a second.
        let limit = min(max(Int(clamping: rate.map { $0.bytesPerSecond / 10 } ?? .max), 1), 256 << 10)
        let start = ContinuousClock.now
        while ContinuousClock.now - start < Self.patience {
            try Task.checkCancellation()
            if let bytes = try await NIOThreadPool.singleton.runIfActive({ try socket.read(limit: limit) }) {
                return bytes
            }
        }
        throw WarmFailure("nothing came from the gateway for \(Self.patience.components.seconds) s")
    }
}

/// An answer whose head has come.
private struct WarmAnswer {
    let socket: ClientSocket
    let head: AnswerHead
    /// What came of the body with the head.
    var begun: [UInt8]

    /// Whether the cache has all of it.
    ///
    /// - Throws: ``WarmFailure`` if it never will.
    func isKept() throws(WarmFailure) -> Bool {
        // There is nothing to keep of it.
        if head.contentLength == 0 { return true }
        // The gateway's own member is the last one (RFC 9211).
        let own = (head["cache-status"] ?? "").split(separator: ",").last ?? ""
        let parameters = own.split(separator: ";").dropFirst().map { $0.trimmingBlanks }
        guard !parameters.isEmpty, !parameters.contains("fwd=bypass") else {
            throw WarmFailure(
                "the gateway does not keep it: there is no cache for it, or it changed in the last seconds"
            )
        }
        return parameters.contains("hit")
    }
}

/// Why one object could not be brought into the cache.
private struct WarmFailure: Error {
    let reason: String

    init(_ reason: String) {
        self.reason = reason
    }
}
