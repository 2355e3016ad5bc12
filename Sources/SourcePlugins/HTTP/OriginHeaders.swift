import Glibc
import NIOPosix
import Synchronization

/// The fields of the configuration that go with requests, with the contents of files put in.
///
/// A file is read with the first request that needs it, again some seconds later, and when the origin refuses what was
/// in it: a secret can be replaced while the gateway runs. One that cannot be used is left alone for a while in favour
/// of what was there before, since it may be in the middle of being written.
final class OriginHeaders: Sendable {
    private struct Known {
        var fields: HeaderFields
        /// When the files were last read.
        var read: ContinuousClock.Instant
        /// When they last could be used.
        var used: ContinuousClock.Instant
    }

    private let headers: [OriginHeader]
    private let pool: NIOThreadPool
    private let now: @Sendable () -> ContinuousClock.Instant
    private let known = Mutex<Known?>(nil)

    private static let lifetime = Duration.seconds(10)
    /// For how long what was there before is used instead.
    private static let longestReserve = Duration.seconds(60)
    /// So soon after it was read a file is not read again.
    private static let shortestLifetime = Duration.seconds(1)

    init(
        _ headers: [OriginHeader],
        pool: NIOThreadPool,
        now: @escaping @Sendable () -> ContinuousClock.Instant
    ) {
        self.headers = headers
        self.pool = pool
        self.now = now
    }

    private var areFixed: Bool {
        headers.allSatisfy { if case .text = $0.value { true } else { false } }
    }

    /// - Throws: ``SourceError`` `unavailable` if a file cannot be used, or `CancellationError`.
    func fields() async throws -> HeaderFields {
        if areFixed { return try Self.fields(headers) }
        return try await fields(notOlderThan: Self.lifetime)
    }

    /// The origin has refused `used`.
    ///
    /// - Returns: whether there are others by now.
    func areRenewed(since used: HeaderFields) async throws -> Bool {
        if areFixed { return false }
        return try await fields(notOlderThan: Self.shortestLifetime) != used
    }

    private func fields(notOlderThan age: Duration) async throws -> HeaderFields {
        let time = now()
        let before = known.withLock { $0 }
        if let before, time < before.read.advanced(by: age) { return before.fields }
        do {
            let fields = try await pool.call { [headers] in try Self.fields(headers) }
            known.withLock { $0 = Known(fields: fields, read: time, used: time) }
            return fields
        } catch let error as SourceError {
            guard var reserve = before, time < reserve.used.advanced(by: Self.longestReserve) else { throw error }
            reserve.read = time
            known.withLock { [reserve] in $0 = reserve }
            return reserve.fields
        }
    }

    /// Blocks if there are files.
    private static func fields(_ headers: [OriginHeader]) throws -> HeaderFields {
        HeaderFields(try headers.map(field))
    }

    private static func field(_ header: OriginHeader) throws -> (name: String, value: String) {
        switch header.value {
        case .text(let text): return (header.name, text)
        case .file(let path):
            guard let text = contents(path), OriginHeader.isFieldValue(text) else {
                throw SourceError(.unavailable, "the file with the header \(header.name) cannot be used; see headers")
            }
            return (header.name, text)
        }
    }

    /// The first line of a file; `nil` if it cannot be read, or is not a line of text. Blocks.
    private static func contents(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        let descriptor = Descriptor(file)
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let limit = bytes.count
        guard let count = try? retryingInterrupts("read", { Glibc.read(descriptor.rawValue, &bytes, limit) }),
            count < limit
        else { return nil }
        var line = bytes[..<count]
        while let last = line.last, last == 0x0A || last == 0x0D { line.removeLast() }
        return String(validating: line, as: UTF8.self)
    }
}
