import NIOCore
import SourcePlugins

/// A SubRip file given as WebVTT, the only subtitles that browsers show.
struct ConvertedSubtitle {
    let source: any MediaSource
    /// The SubRip file.
    let path: MediaPath

    /// - Throws: `missing` if there is no SubRip file either.
    func respond(to exchange: Exchange, missing: SourceError) async throws {
        let object: any MediaObject
        do {
            object = try await source.open(path)
        } catch let error as SourceError where error.code == .notFound {
            throw missing
        }
        let (bytes, info) = (try await read(object), object.info)
        guard let converted = SubtitleConverter.webVTT(fromSubRip: bytes) else {
            throw SourceError(.unavailable, "the subtitle file cannot be read as SubRip")
        }
        let body = ByteBuffer(bytes: converted)
        var head = ResponseHead(status: 200, framing: .length(Int64(body.readableBytes)))
        if let revision = info.revision.flatMap({ Revision("\($0)-vtt") }) {
            head.add("ETag", "\"\(revision)\"")
            let fields = exchange.request.head.fields
            let derived = ObjectInfo(
                size: Int64(body.readableBytes),
                revision: revision,
                lastModified: info.lastModified,
                validity: info.validity
            )
            switch fields.preconditions.evaluate(derived) {
            case .proceed:
                break
            case .notModified:
                (head.status, head.framing) = (304, .none)
                return try await exchange.respond(head)
            case .failed:
                (head.status, head.framing) = (412, .length(0))
                return try await exchange.respond(head)
            }
        }
        head.add("Content-Type", "text/vtt; charset=utf-8")
        head.add("Cache-Control", "no-cache")
        head.add("X-Content-Type-Options", "nosniff")
        try await exchange.respond(head, body: body)
    }

    private func read(_ object: any MediaObject) async throws -> [UInt8] {
        let limit = Int64(SubtitleConverter.inputLimit)
        guard let size = object.info.size else {
            throw SourceError(.unavailable, "the size of the subtitle file is not known, so it cannot be converted")
        }
        guard size <= limit else {
            // Nothing failed: such a file is not converted, however often it is asked for.
            throw SourceError(.refused, "the subtitle file is larger than \(limit) bytes, too large to be converted")
        }
        guard size > 0 else { return [] }
        var bytes: [UInt8] = []
        let stream = try await object.read(0..<size)
        while let buffer = try await stream.next() { bytes.append(contentsOf: buffer.readableBytesView) }
        return bytes
    }
}
