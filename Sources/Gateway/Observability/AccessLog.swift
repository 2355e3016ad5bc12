import Synchronization

/// What the access log says of one finished request.
package struct AccessRecord: Sendable, Hashable {
    package enum Outcome: String, Sendable, CaseIterable {
        case complete
        case clientGone = "client_gone"
        case failed
        case drained
        case stalled
    }

    /// Of the request's head, in nanoseconds since 1970.
    package var time: Int64
    package var id: UInt64
    /// The address without a port.
    package var client: String
    package var method: String
    /// As received; secrets are taken out when it is written.
    package var target: String
    /// `1.0` or `1.1`.
    package var version: String
    package var status: Int
    /// A name out of a closed set, as in the metrics: `media`, `listing`, `ping` …
    package var route: String
    /// The source's name; empty if none was asked.
    package var source: String
    /// The `Range` field as received.
    package var range: String?
    /// Bytes of the body that the kernel has taken.
    package var bytes: Int64
    /// How many of the body's bytes came from the source, and how many from the cache.
    package var sourceBytes: Int64
    package var cacheBytes: Int64
    /// From the request's head to the first byte of the answer; `nil` if there was none.
    package var firstByte: Duration?
    package var total: Duration
    package var outcome: Outcome
    package var userAgent: String?

    package init(
        time: Int64,
        id: UInt64,
        client: String,
        method: String,
        target: String,
        version: String,
        status: Int,
        route: String,
        source: String = "",
        range: String? = nil,
        bytes: Int64 = 0,
        sourceBytes: Int64 = 0,
        cacheBytes: Int64 = 0,
        firstByte: Duration? = nil,
        total: Duration,
        outcome: Outcome,
        userAgent: String? = nil
    ) {
        self.time = time
        self.id = id
        self.client = client
        self.method = method
        self.target = target
        self.version = version
        self.status = status
        self.route = route
        self.source = source
        self.range = range
        self.bytes = bytes
        self.sourceBytes = sourceBytes
        self.cacheBytes = cacheBytes
        self.firstByte = firstByte
        self.total = total
        self.outcome = outcome
        self.userAgent = userAgent
    }
}

/// Writes one line for each finished request. Never blocks: what the sink does not take is dropped and counted.
package final class AccessLog: Sendable {
    /// What strangers send is cut at these many bytes, so that a request costs the disk little.
    private static let targetLimit = 2048
    private static let fieldLimit = 256

    private let writer: LineWriter
    private let format: LogFormat
    private let timestamps = Mutex(TimestampText())

    package init(writer: LineWriter, format: LogFormat) {
        self.writer = writer
        self.format = format
    }

    package func write(_ record: AccessRecord) {
        let target = redacted(target: record.target)
        writer.append { line in
            switch format {
            case .json: appendJSON(record, target: target, to: &line)
            case .text: appendText(record, target: target, to: &line)
            }
            line.append(UInt8(ascii: "\n"))
        }
    }

    private func appendJSON(_ record: AccessRecord, target: String, to line: inout [UInt8]) {
        JSONLine.append(to: &line) { json in
            json.field("time") { appendTime(record, to: &$0) }
            json.field("id") { Digits.append(hexadecimal: record.id, to: &$0) }
            json.field("client", record.client, limit: Self.fieldLimit)
            json.field("method", record.method, limit: Self.fieldLimit)
            json.field("target", target, limit: Self.targetLimit)
            json.field("version", record.version)
            json.field("status", Int64(record.status))
            json.field("route", record.route)
            if !record.source.isEmpty { json.field("source", record.source) }
            if let range = record.range { json.field("range", range, limit: Self.fieldLimit) }
            json.field("bytes", record.bytes)
            json.field("source_bytes", record.sourceBytes)
            json.field("cache_bytes", record.cacheBytes)
            if let firstByte = record.firstByte { json.field("first_byte_ms", milliseconds: firstByte) }
            json.field("total_ms", milliseconds: record.total)
            json.field("outcome", record.outcome.rawValue)
            if let userAgent = record.userAgent { json.field("user_agent", userAgent, limit: Self.fieldLimit) }
        }
    }

    /// Time, status, bytes, milliseconds to the first and the last byte, outcome, route, client, method, target, and
    /// then what not every request has.
    private func appendText(_ record: AccessRecord, target: String, to line: inout [UInt8]) {
        appendTime(record, to: &line)
        line.appendColumn(3) { Digits.append(Int64(record.status), to: &$0) }
        line.appendColumn(12, alignment: .right) { Digits.append(record.bytes, to: &$0) }
        line.appendColumn(10, alignment: .right) { column in
            if let firstByte = record.firstByte {
                Digits.append(milliseconds: firstByte, to: &column)
            } else {
                column.append(UInt8(ascii: "-"))
            }
        }
        line.appendColumn(12, alignment: .right) { Digits.append(milliseconds: record.total, to: &$0) }
        line.appendColumn(11) { EscapedText.appendBare(record.outcome.rawValue, to: &$0) }
        line.appendColumn(8) { EscapedText.appendBare(record.route, to: &$0) }
        line.appendColumn(15) { EscapedText.appendBare(record.client, limit: Self.fieldLimit, to: &$0) }
        line.appendColumn(4) { EscapedText.appendBare(record.method, limit: Self.fieldLimit, to: &$0) }
        line.appendColumn(1) { EscapedText.appendBare(target, limit: Self.targetLimit, to: &$0) }
        line.appendPair("range", record.range, limit: Self.fieldLimit)
        line.appendPair("source", record.source.isEmpty ? nil : record.source, limit: Self.fieldLimit)
        line.appendPair("agent", record.userAgent, limit: Self.fieldLimit)
        line.append(contentsOf: " id=".utf8)
        Digits.append(hexadecimal: record.id, to: &line)
    }

    private func appendTime(_ record: AccessRecord, to line: inout [UInt8]) {
        timestamps.withLock { $0.append(record.time, to: &line) }
    }
}
