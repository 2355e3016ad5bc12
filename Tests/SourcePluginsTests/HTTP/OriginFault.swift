import NIOCore
import SourceContract
import SourcePlugins
import Testing

/// Something that is wrong with an origin, and what has to come of it. The first request is sound unless the fault is
/// about that one: it opens the object.
struct OriginFault: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let script: OriginScript
    /// What reading all of the object comes to.
    let whole: ReadOutcome
    /// What reading the second mebibyte comes to.
    let part: ReadOutcome
    /// Whether the origin says nothing at some point.
    let isSilent: Bool

    static let range: Range<Int64> = 1 << 20..<2 << 20

    private init(
        _ description: String,
        whole: ReadOutcome,
        part: ReadOutcome? = nil,
        isSilent: Bool = false,
        _ reply: @escaping @Sendable (FaultyOrigin.Request) -> FaultyOrigin.Reply
    ) {
        self.isSilent = isSilent
        testDescription = description
        self.whole = whole
        self.part = part ?? whole
        script = OriginScript(reply)
    }

    /// A fault of the answers after the first one.
    private static func later(
        _ description: String,
        whole: ReadOutcome,
        part: ReadOutcome? = nil,
        isSilent: Bool = false,
        of object: OriginObject = OriginObject(),
        _ reply: @escaping @Sendable (FaultyOrigin.Request, OriginObject) -> FaultyOrigin.Reply
    ) -> OriginFault {
        OriginFault(description, whole: whole, part: part, isSilent: isSilent) { request in
            request.earlier == 0 ? object.reply(request) : reply(request, object)
        }
    }

    /// An answer to the range that was asked for, with something wrong in it.
    private static func misshapen(
        _ description: String,
        _ code: SourceError.Code = .unavailable,
        _ reply: @escaping @Sendable (Range<Int64>, OriginObject) -> FaultyOrigin.Reply
    ) -> OriginFault {
        later(description, whole: .failed(code)) { request, object in
            guard let range = request.range else { return object.whole }
            return reply(range.lowerBound..<(range.upperBound + 1), object)
        }
    }

    private static let weak = OriginObject(tag: "W/\"v1\"")
    private static let untagged = OriginObject(tag: nil)
    private static let rangeless = OriginObject(doesRanges: false)
    private static let piece: Int64 = 700_000

    static let loud = (breaks + ranges + versions + framings + statuses).filter { !$0.isSilent }
    static let silent = (breaks + framings).filter(\.isSilent)

    private static let breaks = [
        later("a body that is cut once", whole: .whole) { request, object in
            request.earlier == 1 ? object.reply(request).cut(after: piece, .close) : object.reply(request)
        },
        later("a body that is reset once", whole: .whole) { request, object in
            request.earlier == 1 ? object.reply(request).cut(after: piece, .reset) : object.reply(request)
        },
        later("a body that falls silent once", whole: .whole, isSilent: true) { request, object in
            request.earlier == 1 ? object.reply(request).cut(after: piece, .stall) : object.reply(request)
        },
        later(
            "bodies that are always cut",
            whole: .cut(.unavailable, after: 3 * piece),
            // Of a connection that ends, what nobody has taken yet is lost: one that is slow gets less of each.
            part: .cut(.unavailable, after: .max)
        ) { request, object in object.reply(request).cut(after: piece, .close) },
        later(
            "bodies that always fall silent",
            whole: .cut(.timedOut, after: 2 * piece),
            part: .whole,
            isSilent: true
        ) { request, object in object.reply(request).cut(after: piece, .stall) },
        later("bodies that are cut before their first byte", whole: .failed(.unavailable)) { request, object in
            object.reply(request).cut(after: 0, .close)
        },
        later("a head and then silence", whole: .failed(.timedOut), isSilent: true) { request, object in
            object.reply(request).cut(after: 0, .stall)
        },
        later("a body that is cut, with a weak tag", whole: .cut(.unavailable, after: piece), of: weak) {
            request,
            object in
            request.earlier == 1 ? object.reply(request).cut(after: piece, .close) : object.reply(request)
        },
        later("a body that is cut, without a tag", whole: .cut(.unavailable, after: piece), of: untagged) {
            request,
            object in
            request.earlier == 1 ? object.reply(request).cut(after: piece, .close) : object.reply(request)
        },
        later("a body that comes slowly, but comes", whole: .whole, isSilent: true) { request, object in
            var reply = object.reply(request)
            (reply.pieceSize, reply.pace) = (256 << 10, .milliseconds(400))
            return reply
        },
    ]

    private static let ranges = [
        misshapen("a range that is shifted") { range, object in
            object.part(range, label: "bytes \(range.lowerBound + 1)-\(range.upperBound)/\(object.size)")
        },
        misshapen("a range that begins before") { range, object in
            object.part(
                range,
                label: "bytes \(max(range.lowerBound, 1) - 1)-\(range.upperBound - 2)/\(object.size)"
            )
        },
        misshapen("a range without a label") { range, object in object.part(range, label: "") },
        misshapen("a range with a label that is nonsense") { range, object in object.part(range, label: "bytes a-b/c")
        },
        misshapen("a range in another unit") { range, object in
            object.part(range, label: "items \(range.lowerBound)-\(range.upperBound - 1)/\(object.size)")
        },
        misshapen("a range of an unknown whole") { range, object in
            object.part(range, label: "bytes \(range.lowerBound)-\(range.upperBound - 1)/*")
        },
        later("a range that says it is longer than was asked", whole: .failed(.changed), part: .failed(.unavailable)) {
            request,
            object in
            guard let range = request.range else { return object.whole }
            return object.part(
                range.lowerBound..<(range.upperBound + 1),
                label: "bytes \(range.lowerBound)-\(range.upperBound + 1)/\(max(object.size, range.upperBound + 2))",
                length: range.upperBound - range.lowerBound + 2
            )
        },
        misshapen("a body that says it is longer than its range") { range, object in
            object.part(range, length: range.upperBound - range.lowerBound + 1)
        },
        misshapen("a body that says it is shorter than its range") { range, object in
            object.part(range, length: range.upperBound - range.lowerBound - 1)
        },
        misshapen("several ranges") { range, object in
            object.part(range).adding("Content-Type: multipart/byteranges; boundary=x")
        },
        misshapen("two labels") { range, object in object.part(range).adding("Content-Range: bytes 0-0/1") },
        misshapen("a range in chunks with less in them", .unavailable) { range, object in
            var reply = object.part(range).chunked()
            reply.content = nil
            return reply
        },
        misshapen("a range in chunks with more in them", .unavailable) { range, object in
            var reply = object.part(range.lowerBound..<(range.lowerBound + 10)).chunked()
            reply.content = (object.content, range.lowerBound..<(range.lowerBound + 11))
            return reply
        },
        misshapen("a range in chunks with other bytes, and one more of them") { range, object in
            var reply = object.part(range).chunked()
            reply.content = (OriginObject.second.content, range.lowerBound..<(range.upperBound + 1))
            return reply
        },
        later("ranges in chunks, with what they should have", whole: .whole) { request, object in
            guard let range = request.range else { return object.whole }
            return object.part(range.lowerBound..<min(range.upperBound + 1, object.size)).chunked()
        },
        later("a mebibyte at most in an answer", whole: .whole) { request, object in
            guard let range = request.range else { return object.whole }
            return object.part(range.lowerBound..<min(range.upperBound + 1, range.lowerBound + 1 << 20))
        },
        later(
            "a mebibyte at most in an answer, without a tag",
            whole: .cut(.unavailable, after: 1 << 20),
            part: .whole,
            of: untagged
        ) { request, object in
            guard let range = request.range else { return object.whole }
            return object.part(range.lowerBound..<min(range.upperBound + 1, range.lowerBound + 1 << 20))
        },
        later("a few bytes at most in an answer", whole: .cut(.unavailable, after: 3000)) { request, object in
            guard let range = request.range else { return object.whole }
            return object.part(range.lowerBound..<min(range.upperBound + 1, range.lowerBound + 1000))
        },
        OriginFault("all of it for a part", whole: .whole) { rangeless.reply($0) },
        later("all of it for a part, by now", whole: .whole) { _, object in object.whole },
        OriginFault("all of it for a part, without a tag", whole: .whole) { request in
            OriginObject(tag: nil, doesRanges: false).reply(request)
        },
        OriginFault("all of it for a part, and then it is cut", whole: .whole) { request in
            request.earlier == 1 ? rangeless.whole.cut(after: 1_500_000, .close) : rangeless.whole
        },
    ]

    private static let versions = [
        later("another version, told by its tag", whole: .failed(.changed)) { request, _ in
            OriginObject.second.reply(request)
        },
        later("parts of another version, whatever was asked", whole: .failed(.changed)) { request, _ in
            guard let range = request.range else { return OriginObject.second.whole }
            return OriginObject.second.part(range.lowerBound..<(range.upperBound + 1))
        },
        later("another version after a cut", whole: .cut(.changed, after: piece), part: .cut(.changed, after: piece)) {
            request,
            object in
            request.earlier == 1
                ? object.reply(request).cut(after: piece, .close) : OriginObject.second.reply(request)
        },
        later("a part of another version after a cut", whole: .cut(.changed, after: piece)) { request, object in
            guard request.earlier > 1, let range = request.range else {
                return object.reply(request).cut(after: piece, .close)
            }
            return OriginObject.second.part(range.lowerBound..<(range.upperBound + 1))
        },
        later("no tag any more", whole: .failed(.changed)) { request, _ in untagged.reply(request) },
        later("a weak tag by now", whole: .failed(.changed)) { request, _ in
            guard let range = request.range else { return weak.whole }
            return weak.part(range.lowerBound..<(range.upperBound + 1))
        },
        later("another weak tag", whole: .failed(.changed), of: weak) { request, _ in
            OriginObject(content: OriginObject.second.content, tag: "W/\"v2\"").reply(request)
        },
        later("a later date without a tag", whole: .failed(.changed), of: untagged) { request, _ in
            var object = OriginObject.second
            object.tag = nil
            object.fields = [("Last-Modified", "Mon, 07 Nov 1994 08:49:37 GMT")]
            return object.reply(request)
        },
        later("an object that shrinks under the same tag", whole: .failed(.changed)) { request, _ in
            OriginObject(size: 2_000_000).reply(request)
        },
        later("an object that shrinks to before the range", whole: .failed(.changed)) { request, object in
            request.range?.lowerBound == 0
                ? OriginObject(size: 1000).reply(request)
                : .status("416 Range Not Satisfiable", [("Content-Range", "bytes */1000")])
        },
        later("an object that grows under the same tag", whole: .failed(.changed)) { request, _ in
            OriginObject(size: OriginObject.size + 1).reply(request)
        },
        later("an object that vanishes", whole: .failed(.notFound)) { _, _ in .status("404 Not Found") },
        later("an object that vanishes after a cut", whole: .cut(.notFound, after: piece)) { request, object in
            request.earlier == 1 ? object.reply(request).cut(after: piece, .close) : .status("404 Not Found")
        },
    ]

    private static let framings = [
        misshapen("a compressed range", .refused) { range, object in
            object.part(range).adding("Content-Encoding: gzip")
        },
        OriginFault("a compressed object", whole: .failed(.refused)) { _ in
            OriginObject(doesRanges: false).whole.adding("Content-Encoding: br")
        },
        OriginFault("an object in chunks without a length", whole: .whole, part: .whole) { _ in
            rangeless.whole.chunked()
        },
        OriginFault("an object that lasts until the connection ends", whole: .whole) { _ in
            var reply = rangeless.whole.ending(.close)
            reply.head = rangeless.head("200 OK", [("Connection", "close")])
            return reply
        },
        OriginFault("chunks without an end", whole: .cut(.unavailable, after: OriginObject.size)) { _ in
            var reply = rangeless.whole.chunked().ending(.close)
            reply.endsChunks = false
            return reply
        },
        OriginFault("a chunk whose size is nonsense", whole: .failed(.unavailable)) { _ in
            var reply = rangeless.whole.chunked()
            reply.content = nil
            reply.body = [ByteBuffer(string: "zz\r\nxxxx\r\n")]
            return reply
        },
        OriginFault("a chunk whose size is more than 64 bits", whole: .failed(.unavailable)) { _ in
            var reply = rangeless.whole.chunked()
            reply.content = nil
            reply.body = [ByteBuffer(string: "fffffffffffffffff\r\nxxxx\r\n")]
            return reply
        },
        OriginFault("two lengths", whole: .failed(.unavailable)) { _ in rangeless.whole.adding("Content-Length: 1") },
        OriginFault("a length and chunks", whole: .failed(.unavailable)) { _ in
            rangeless.whole.adding("Transfer-Encoding: chunked")
        },
        OriginFault("a length that is nonsense", whole: .failed(.unavailable)) { _ in
            FaultyOrigin.Reply(head: rangeless.head("200 OK", [("Content-Length", "-5")]))
        },
        OriginFault("a length of more than 64 bits", whole: .failed(.unavailable)) { _ in
            FaultyOrigin.Reply(head: rangeless.head("200 OK", [("Content-Length", "99999999999999999999")]))
        },
        OriginFault("a head with too many fields", whole: .failed(.unavailable)) { request in
            var object = OriginObject()
            object.fields = (0..<2000).map { ("X-\($0)", "x") }
            return object.reply(request)
        },
        OriginFault("a head with a field that is too long", whole: .failed(.unavailable)) { request in
            OriginObject().reply(request).adding("X-Long: " + String(repeating: "x", count: 200_000))
        },
        OriginFault("something that is not HTTP", whole: .failed(.unavailable)) { _ in
            FaultyOrigin.Reply(head: "220 mail.example ESMTP\r\n\r\n", ending: .close)
        },
        OriginFault("an answer without an answer", whole: .failed(.unavailable)) { _ in
            FaultyOrigin.Reply(head: "", ending: .close)
        },
        OriginFault("silence", whole: .failed(.timedOut), isSilent: true) { _ in
            FaultyOrigin.Reply(head: "", ending: .stall)
        },
        OriginFault("half a head and then silence", whole: .failed(.timedOut), isSilent: true) { _ in
            FaultyOrigin.Reply(head: "HTTP/1.1 200 OK\r\nContent-Le", ending: .stall)
        },
        OriginFault("interim answers without an end", whole: .failed(.timedOut), isSilent: true) { _ in
            let interim = String(repeating: "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", count: 1000)
            return FaultyOrigin.Reply(head: interim, ending: .stall)
        },
        later("connections that end after the answer, unannounced", whole: .whole) { request, object in
            object.reply(request).ending(.close)
        },
    ]

    private static let statuses = [
        later("a failure, and then the object", whole: .whole) { request, object in
            request.earlier == 1 ? .status("500 Internal Server Error") : object.reply(request)
        },
        OriginFault("a failure before the object is known", whole: .whole) { request in
            request.earlier == 0 ? .status("502 Bad Gateway") : OriginObject().reply(request)
        },
        OriginFault("nothing but failures", whole: .failed(.unavailable)) { _ in .status("500 Internal Server Error") },
        OriginFault("too much to do", whole: .failed(.overloaded)) { _ in .status("503 Service Unavailable") },
        OriginFault("a status without a meaning", whole: .failed(.unavailable)) { _ in .status("299 Odd") },
        later("a part that nobody may have", whole: .failed(.forbidden)) { _, _ in .status("403 Forbidden") },
    ]
}
