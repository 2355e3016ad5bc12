import NIOCore
package import SourcePlugins

/// One promise of ``MediaSource`` that every kind of source keeps.
///
/// Needs no test framework: a check is run by whatever runs the tests of a kind, each with a fixture of its own.
package struct ContractCheck: Sendable, CustomStringConvertible {
    /// The promise, as a sentence.
    package let description: String
    private let body: @Sendable (ContractFixture) async throws -> Void

    init(_ description: String, _ body: @escaping @Sendable (ContractFixture) async throws -> Void) {
        self.description = description
        self.body = body
    }

    /// - Throws: ``ContractViolation`` if the promise is not kept, or whatever the source threw out of turn.
    package func run(_ fixture: ContractFixture) async throws {
        try await body(fixture)
    }

    package static let all = reading + lifetimes + revisions + namespace
}

/// Runs all checks, each with a new fixture.
///
/// - Throws: the first violation.
package func verify(_ makeFixture: () async throws -> ContractFixture) async throws {
    for check in ContractCheck.all {
        try await check.run(makeFixture())
    }
}

/// A source under test and what is known of it.
package struct ContractFixture: Sendable {
    /// An object with known content.
    package struct Sample: Sendable {
        package let path: MediaPath
        package let content: PatternBytes
        package let size: Int64
        /// The parts whose content is known; `nil` if all of it is.
        package let known: [Range<Int64>]?

        package init(_ path: String, _ content: PatternBytes, size: Int64, known: [Range<Int64>]? = nil) throws {
            self.path = try MediaPath(path)
            self.content = content
            self.size = size
            self.known = known
        }
    }

    package var source: any MediaSource
    /// Of more than 3 MiB, and a length that is no multiple of anything.
    package var sample: Sample
    /// Larger than 4 GiB; checked at its known parts. `nil` if the source has no such object.
    package var large: Sample?
    /// An object without bytes.
    package var empty: MediaPath?
    package var missing: MediaPath
    /// A directory that is not the root.
    package var directory: MediaPath?
    /// Gives the sample other bytes in place or by replacing it, and returns them; the size stays.
    package var change: (@Sendable () async throws -> PatternBytes)?
    /// Returns once the source has nothing open any more; throws if that cannot be.
    package var untilIdle: (@Sendable () async throws -> Void)?

    package init(source: any MediaSource, sample: Sample, missing: MediaPath) {
        self.source = source
        self.sample = sample
        self.missing = missing
    }
}

/// A promise that was not kept.
package struct ContractViolation: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// - Throws: ``ContractViolation`` unless `condition` holds.
func expect(_ condition: Bool, _ violation: @autoclosure () -> String) throws {
    if !condition { throw ContractViolation(violation()) }
}

/// - Throws: ``ContractViolation`` unless `body` throws a ``SourceError`` with `code`.
func expect<Value>(_ code: SourceError.Code, _ what: String, _ body: () async throws -> Value) async throws {
    do {
        _ = try await body()
    } catch let error as SourceError {
        return try expect(error.code == code, "\(what) is \(error.code) instead of \(code)")
    }
    throw ContractViolation("\(what) is possible, but should be \(code)")
}

/// Reads `range` to its end and checks every byte, every buffer, and that the end stays the end.
func expectBytes(_ content: PatternBytes, _ range: Range<Int64>, of object: any MediaObject) async throws {
    let stream = try await object.read(range)
    try await expectBytes(content, range, from: stream)
}

func expectBytes(_ content: PatternBytes, _ range: Range<Int64>, from stream: ByteStream) async throws {
    var offset = range.lowerBound
    while let buffer = try await stream.next() {
        try expect(buffer.readableBytes > 0, "a buffer of \(range) is empty")
        try expect(Int64(buffer.readableBytes) <= range.upperBound - offset, "\(range) gives more than its length")
        if let difference = content.firstDifference(in: buffer, at: offset) {
            throw ContractViolation("\(range) has a wrong byte at \(difference)")
        }
        offset += Int64(buffer.readableBytes)
    }
    try expect(offset == range.upperBound, "\(range) ends at \(offset)")
    for _ in 0..<2 {
        try expect(try await stream.next() == nil, "\(range) goes on after its end")
    }
}
