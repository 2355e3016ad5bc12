import Glibc
import NIOPosix
import Synchronization

/// The fields of the configuration that go with requests, with the contents of files put in.
///
/// A file is read with the first request that needs it, and again a minute later, so that a secret can be replaced
/// while the gateway runs.
final class OriginHeaders: Sendable {
    typealias Fields = [(name: String, value: String)]

    private let headers: [OriginHeader]
    private let pool: NIOThreadPool
    private let known = Mutex<(fields: Fields, end: ContinuousClock.Instant)?>(nil)

    private static let lifetime = Duration.seconds(60)

    init(_ headers: [OriginHeader], pool: NIOThreadPool) {
        self.headers = headers
        self.pool = pool
    }

    /// - Throws: ``SourceError`` `unavailable` if a file cannot be used, or `CancellationError`.
    func fields() async throws -> Fields {
        let isFixed = headers.allSatisfy { if case .text = $0.value { true } else { false } }
        if isFixed { return try headers.map(Self.field) }
        let now = ContinuousClock.now
        if let (fields, end) = known.withLock({ $0 }), now < end { return fields }
        let fields = try await pool.call { [headers] in try headers.map(Self.field) }
        known.withLock { $0 = (fields, now.advanced(by: Self.lifetime)) }
        return fields
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
