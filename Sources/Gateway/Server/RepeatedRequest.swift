import NIOCore

/// A request that was a hit, by which those are known that differ from it in their range alone: what players send on a
/// connection that they keep. Such a request is not read and judged anew.
struct RepeatedRequest {
    let request: GatewayRequest
    let answers: any RangeAnswers
    /// The bytes of the head before and behind the value of its `Range`.
    private let start: ArraySlice<UInt8>
    private let end: ArraySlice<UInt8>

    private static let lengthLimit = 2048

    /// - Parameter head: the bytes of the request's head, as it came.
    /// - Returns: `nil` if there is no plain range in it to take the place of.
    init?(_ request: GatewayRequest, head: [UInt8], answers: any RangeAnswers) {
        guard let value = request.head.fields[.range]?.utf8, head.count <= Self.lengthLimit,
            let start = Self.rangeValue(in: head), head[start...].starts(with: value)
        else { return nil }
        self.request = request
        self.answers = answers
        self.start = head[..<start]
        self.end = head[(start + value.count)...]
    }

    /// Where the value of the first `Range` field begins. Several are one list, which is no plain range.
    private static func rangeValue(in head: [UInt8]) -> Int? {
        let name = Array("\nrange:".utf8)
        var index = 0
        while index + name.count < head.count {
            defer { index += 1 }
            guard head[index] == name[0],
                head[index...].prefix(name.count).elementsEqual(name, by: { $0 | 0x20 == $1 | 0x20 })
            else { continue }
            return head[(index + name.count)...].firstIndex { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
        }
        return nil
    }

    /// Another request for other bytes.
    struct Match {
        let range: ByteRangeRequest
        /// The value of its `Range`.
        let text: String
        /// Of its head, in bytes.
        let length: Int
    }

    /// - Returns: `nil` if `inbound` does not begin with the same head but for a plain range.
    func match(_ inbound: ByteBuffer) -> Match? {
        let bytes = inbound.readableBytesUInt8Span
        guard bytes.starts(with: start, at: 0) else { return nil }
        let first = start.count
        var last = first
        while last < bytes.count, bytes[last] > 0x20, last - first <= ByteRangeRequest.plainLength { last += 1 }
        let value = bytes.extracting(first..<last)
        guard let range = ByteRangeRequest(plain: value), bytes.starts(with: end, at: last) else { return nil }
        let text = value.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
        return Match(range: range, text: text, length: last + end.count)
    }
}

/// Answers to requests that differ in their range alone.
package protocol RangeAnswers: Sendable {
    /// Decides on the event loop and without waiting.
    ///
    /// - Returns: `nil` if that takes more than is known by now: the request has to be dispatched.
    func answer(to range: ByteRangeRequest) -> DirectAnswer?
}

extension Span<UInt8> {
    fileprivate func starts(with other: ArraySlice<UInt8>, at index: Int) -> Bool {
        guard other.count <= count - index else { return false }
        return extracting(index..<index + other.count).withUnsafeBytes { mine in
            other.withUnsafeBytes { mine.elementsEqual($0) }
        }
    }
}
