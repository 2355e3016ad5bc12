package import Logging

/// When a request reached each of its stages, in nanoseconds of one clock that does not go back.
///
/// A stage is marked at most once; a request that ends early leaves stages out.
package struct RequestStages: Sendable, Equatable {
    package enum Stage: Sendable, CaseIterable {
        /// The object is open, or known without opening it.
        case resolved
        /// The source gave its first byte. A hit has no such moment.
        case sourceByte
        /// The first byte of the answer was sent.
        case firstByte
        /// The answer is complete, or the connection gone.
        case end
    }

    private let accepted: Int64
    private var resolved: Int64?
    private var sourceByte: Int64?
    private var firstByte: Int64?
    private var end: Int64?
    private var laterWaits: Int64 = 0
    private var sourceWaits: Int64 = 0
    private var cacheWaits: Int64 = 0

    /// - Parameter accepted: when the request's head was complete.
    package init(accepted: Int64) {
        self.accepted = accepted
    }

    /// The first mark of a stage stands.
    package mutating func mark(_ stage: Stage, at time: Int64) {
        switch stage {
        case .resolved: resolved = resolved ?? time
        case .sourceByte: sourceByte = sourceByte ?? time
        case .firstByte: firstByte = firstByte ?? time
        case .end: end = end ?? time
        }
    }

    /// Adds a time in which the client could have taken bytes and there were none.
    ///
    /// - Parameter isCache: the bytes that then came are the cache's: it was no source that was waited for.
    package mutating func addWait(from start: Int64, to end: Int64, isCache: Bool) {
        let wait = nanoseconds(from: start, to: end)
        if isCache {
            cacheWaits = adding(cacheWaits, wait)
        } else {
            sourceWaits = adding(sourceWaits, wait)
        }
        // Up to the first byte, waits are part of the time to it.
        if let firstByte { laterWaits = adding(laterWaits, nanoseconds(from: max(start, firstByte), to: end)) }
    }

    /// From the request's head to `stage`; `nil` if it was not reached.
    package func time(to stage: Stage) -> Duration? {
        let mark =
            switch stage {
            case .resolved: resolved
            case .sourceByte: sourceByte
            case .firstByte: firstByte
            case .end: end
            }
        return mark.map { elapsed(from: accepted, to: $0) }
    }

    /// All waits for the source, before and after the first byte.
    package var sourceWait: Duration { .nanoseconds(sourceWaits) }

    /// All waits for chunks that are in the cache: on its disk, say.
    package var cacheWait: Duration { .nanoseconds(cacheWaits) }

    /// The part of the request's time that is the gateway's: up to the first byte, and each wait for bytes after it. A
    /// request without a first byte counts up to its end. The client's own pace is not in it.
    package var gatewayTime: Duration {
        let untilFirstByte = time(to: .firstByte) ?? time(to: .end) ?? .zero
        return untilFirstByte + .nanoseconds(laterWaits)
    }

    /// The value of a `Server-Timing` field for what is known when the head is sent; `nil` if that is nothing.
    package var serverTiming: String? {
        var value: [UInt8] = []
        if let resolved = time(to: .resolved) { append("resolve;dur=", resolved, to: &value) }
        if let resolved, let sourceByte { append("source;dur=", elapsed(from: resolved, to: sourceByte), to: &value) }
        return value.isEmpty ? nil : String(decoding: value, as: UTF8.self)
    }

    /// The time of each stage that was reached, in milliseconds, for a log line.
    package var metadata: Logger.Metadata {
        var metadata: Logger.Metadata = [:]
        if let resolved = time(to: .resolved) { metadata["resolve_ms"] = milliseconds(resolved) }
        if let resolved, let sourceByte {
            metadata["source_ms"] = milliseconds(elapsed(from: resolved, to: sourceByte))
        }
        if let firstByte = time(to: .firstByte) { metadata["first_byte_ms"] = milliseconds(firstByte) }
        metadata["source_wait_ms"] = milliseconds(sourceWait)
        metadata["cache_wait_ms"] = milliseconds(cacheWait)
        if let end = time(to: .end) { metadata["total_ms"] = milliseconds(end) }
        return metadata
    }

    private func append(_ name: String, _ time: Duration, to value: inout [UInt8]) {
        if !value.isEmpty { value.append(contentsOf: ", ".utf8) }
        value.append(contentsOf: name.utf8)
        Digits.append(milliseconds: time, decimals: 1, to: &value)
    }

    private func milliseconds(_ time: Duration) -> Logger.MetadataValue {
        .stringConvertible(Double(time.wholeNanoseconds / 1000) / 1000)
    }

    private func elapsed(from start: Int64, to end: Int64) -> Duration {
        .nanoseconds(nanoseconds(from: start, to: end))
    }

    private func nanoseconds(from start: Int64, to end: Int64) -> Int64 {
        let (difference, overflow) = end.subtractingReportingOverflow(start)
        return overflow ? 0 : max(difference, 0)
    }

    private func adding(_ sum: Int64, _ more: Int64) -> Int64 {
        let (result, overflow) = sum.addingReportingOverflow(more)
        return overflow ? .max : result
    }
}
