import ChunkCache
import SourcePlugins

/// Bytes of objects, by whatever route they are asked for.
struct MediaRoutes: Sendable {
    let objects: ObjectTable
    /// `nil` if nothing is cached.
    let cache: ChunkStore?
    let response: MediaResponse
    let pages: PageRouter
    let meter: SourceMeter?
    let openings = SingleFlight<MediaDelivery.Opening, any MediaObject>()

    func delivery(
        of path: MediaPath,
        in source: any MediaSource,
        _ entry: SourceTable.Entry,
        isDownload: Bool = false
    ) -> MediaDelivery {
        MediaDelivery(
            entry: entry,
            source: source,
            path: path,
            isDownload: isDownload,
            objects: objects,
            cache: entry.isCached ? cache : nil,
            response: response,
            meter: meter,
            openings: openings
        )
    }

    func dispatch(_ delivery: MediaDelivery) -> Dispatch {
        .run(for: delivery.entry, .media) { exchange in
            // For sources that ask others in turn.
            try await RequestTrace.$current.withValue(exchange.request.trace) { try await run(delivery, exchange) }
        }
    }

    /// Sends the object, or what its path stands for in place of one.
    func run(_ delivery: MediaDelivery, _ exchange: Exchange) async throws {
        do {
            try await delivery.run(exchange)
        } catch let error as SourceError where error.code == .notFound {
            // A directory without its slash, or a subtitle that has to be converted.
            guard delivery.entry.listing != nil, try await !exchange.isStarted else { throw error }
            try await pages.respondInPlaceOfMissing(delivery.path, of: delivery.entry, error: error, to: exchange)
        }
    }

    /// How much of an object is in the chunk cache, as far as whole chunks tell.
    func cachedBytes(of path: MediaPath, _ entry: SourceTable.Entry) -> Int64 {
        guard let cache, entry.isCached,
            let object = cache.find(ObjectKey(source: entry.name, path: path.bytes))
        else { return 0 }
        let (bytes, overflow) = Int64(object.storedChunks).multipliedReportingOverflow(by: object.chunkSize)
        return overflow ? object.size : min(bytes, object.size)
    }
}
