import NIOCore
import SourceContract
import SourcePlugins
import Testing

/// An HTTP source in front of a ``FaultyOrigin``.
struct HTTPUnderTest: Sendable {
    let source: HTTPSource
    let origin: FaultyOrigin

    func open(_ path: String) async throws -> any MediaObject {
        try await source.open(MediaPath(path))
    }

    func forward(
        _ method: String = "GET",
        _ target: String = "object",
        _ fields: HeaderFields = [:],
        body: (any ForwardedBody)? = nil,
        for client: ForwardedClient = ForwardedClient(address: "192.0.2.7", host: "gateway.example")
    ) async throws -> ForwardedResponse {
        let request = ForwardedRequest(method: method, target: target, fields: fields, body: body)
        return try await source.forward(request, for: client)
    }

    /// The ranges that the origin was asked for; `nil` for all of the object.
    var ranges: [ClosedRange<Int64>?] { origin.requests.map(\.range) }

    /// Ends the source, and with it its connections; `stream` then has an end.
    func end(_ stream: ByteStream) async throws {
        let running = Task { try await source.run() }
        running.cancel()
        try await running.value
        try await origin.activity.until { $0.connections == 0 }
        await #expect(throws: SourceError.self) {
            while try await stream.next() != nil {}
        }
    }
}

func testSettings(_ base: OriginURL) -> HTTPSettings {
    var settings = HTTPSettings(baseURL: base)
    // Are not reached, unless something is wrong.
    (settings.firstByteTimeout, settings.idleTimeout) = (.seconds(30), .seconds(30))
    settings.connections = 20
    return settings
}

extension HTTPSettings {
    /// For tests in which an origin falls silent.
    mutating func limitSilence(_ limit: Duration) {
        (firstByteTimeout, idleTimeout) = (limit, limit)
    }
}

struct UnusableURL: Error {}

func baseURL(of origin: FaultyOrigin, _ path: String = "/") throws -> OriginURL {
    guard let url = OriginURL(base: "http://127.0.0.1:\(origin.port)\(path)") else { throw UnusableURL() }
    return url
}

/// What is not as usual with a source.
struct HTTPSetup: Sendable {
    typealias Change = @Sendable (inout HTTPSettings, FaultyOrigin) throws -> Void

    var lookUp: (@Sendable (String) throws -> [IPAddress])?
    var now: @Sendable () -> ContinuousClock.Instant = { .now }
    var policy: @Sendable (inout HTTPPolicy) -> Void = { _ in }
    var node = "gateway-under-test"
    var settings: Change = { _, _ in }
}

func withHTTP<Value>(
    _ script: OriginScript,
    _ setup: HTTPSetup = HTTPSetup(),
    _ body: (HTTPUnderTest) async throws -> Value
) async throws -> Value {
    try await FaultyOrigin.with(script) { origin in
        try await TestContext.with { context in
            var settings = testSettings(try baseURL(of: origin))
            try setup.settings(&settings, origin)
            var policy = HTTPPolicy()
            policy.retryPause = .milliseconds(1)
            setup.policy(&policy)
            let source = HTTPSource(
                settings,
                policy: policy,
                context: context.source,
                node: setup.node,
                lookUp: setup.lookUp,
                now: setup.now
            )
            return try await body(HTTPUnderTest(source: source, origin: origin))
        }
    }
}

/// What came of reading something: the right bytes of one version, or a failure.
enum ReadOutcome: Hashable, CustomStringConvertible {
    /// All bytes, of the version that was opened.
    case whole
    /// Right bytes, and then this. As an expectation: at most so many of them, for the client drops what it has not
    /// handed on when a connection ends.
    case cut(SourceError.Code, after: Int64)
    case failed(SourceError.Code)
    case wrong(at: Int64)

    func isAllowed(by expected: ReadOutcome) -> Bool {
        switch (self, expected) {
        case (.cut(let code, let count), .cut(let expected, let limit)): code == expected && count <= limit
        case (.failed(let code), .cut(let expected, _)): code == expected
        case (.whole, .cut(_, after: .max)): true
        default: self == expected
        }
    }

    var description: String {
        switch self {
        case .whole: "whole"
        case .cut(let code, let count): "\(code) after \(count)"
        case .failed(let code): "\(code)"
        case .wrong(let offset): "a wrong byte at \(offset)"
        }
    }
}

/// Opens `path`, reads `range` of it, and checks every byte against `content`.
///
/// - Parameter range: `nil` for all of the object, as it is read whatever is asked if its length is not known.
func outcome(
    _ http: HTTPUnderTest,
    _ path: String,
    _ range: Range<Int64>? = nil,
    of content: PatternBytes = OriginObject().content,
    opened: (any MediaObject) async throws -> Void = { _ in }
) async throws -> ReadOutcome {
    var (start, offset): (Int64, Int64) = (0, 0)
    do {
        let object = try await http.open(path)
        try await opened(object)
        let range = object.info.size.map { range ?? 0..<$0 } ?? 0..<Int64.max
        (start, offset) = (range.lowerBound, range.lowerBound)
        let stream = try await object.read(range)
        while let buffer = try await stream.next() {
            if let difference = content.firstDifference(in: buffer, at: offset) { return .wrong(at: difference) }
            offset += Int64(buffer.readableBytes)
        }
        if object.info.size != nil, offset != range.upperBound { return .wrong(at: offset) }
        return .whole
    } catch let error as SourceError {
        return offset == start ? .failed(error.code) : .cut(error.code, after: offset - start)
    }
}

/// All bytes of a body as text.
func text(_ response: ForwardedResponse) async throws -> String {
    var text = ""
    while let part = try await response.next() { text += String(buffer: part) }
    return text
}

/// The ``SourceError`` that `body` throws; `nil` if it does not throw.
func sourceError(_ body: () async throws -> Void) async throws -> SourceError? {
    do {
        try await body()
        return nil
    } catch let error as SourceError {
        return error
    }
}

/// The code of the ``SourceError`` that opening throws; `nil` if it does not throw.
func openingCode(_ http: HTTPUnderTest, _ path: String) async throws -> SourceError.Code? {
    do {
        _ = try await http.open(path)
        return nil
    } catch let error as SourceError {
        return error.code
    }
}
