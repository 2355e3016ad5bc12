import ChunkCache
import Glibc
import NIOCore
import SourcePlugins
import Synchronization

/// Opens an object, decides the answer, and sends it: the way of everything that is not decided on the event loop.
package final class MediaDelivery: Sendable {
    let entry: SourceTable.Entry
    let source: any MediaSource
    let path: MediaPath
    let isDownload: Bool
    let objects: ObjectTable
    /// `nil` if the source is not cached.
    let cache: ChunkStore?
    let response: MediaResponse
    let meter: SourceMeter?
    /// Objects that are being opened.
    let openings: SingleFlight<Opening, any MediaObject>

    /// Names an opening, which nobody joins who has come after a purge.
    struct Opening: Hashable {
        let key: ObjectTable.Key
        let purges: Int
    }

    private static let bytesPerTurn = 1 << 20

    init(
        entry: SourceTable.Entry,
        source: any MediaSource,
        path: MediaPath,
        isDownload: Bool,
        objects: ObjectTable,
        cache: ChunkStore?,
        response: MediaResponse,
        meter: SourceMeter?,
        openings: SingleFlight<Opening, any MediaObject>
    ) {
        self.entry = entry
        self.source = source
        self.path = path
        self.isDownload = isDownload
        self.objects = objects
        self.cache = cache
        self.response = response
        self.meter = meter
        self.openings = openings
    }

    var key: ObjectTable.Key { ObjectTable.Key(epoch: entry.epoch, path: path) }

    private var opening: Opening { Opening(key: key, purges: objects.purges) }

    /// - Throws: ``SourceError`` before the head; whatever the source throws after it.
    func run(_ exchange: Exchange) async throws {
        do {
            try await send(exchange)
        } catch let error as SourceError where error.code == .changed {
            // The object was replaced between opening and its first byte: one more try, with what is there now.
            // After the head the exchange refuses a second one, and the connection is cut.
            objects.remove(key)
            guard try await !exchange.isStarted else { throw error }
            try await send(exchange)
        }
    }

    /// Goes on with an answer whose head is set and of which the cache had only the beginning, which `direct` has sent.
    func resume(
        _ exchange: Exchange,
        _ cached: CachedObject,
        _ range: Range<Int64>,
        _ direct: CachedBody,
        _ lease: Lease?
    ) async throws {
        var body = Body(range, head: nil, lease: lease, direct: direct)
        do {
            try await send(&body, of: cached, revisionOf(cached), to: exchange)
        } catch let error as SourceError where error.code == .changed || error.code == .notFound {
            // What the head was made of is no longer true: the next request asks the source.
            objects.remove(key)
            throw error
        }
    }

    /// The object, opened when its bytes are needed, if it still is what the cache has parts of.
    private func revisionOf(_ cached: CachedObject) -> LazyObject {
        LazyObject { [self] in
            let object =
                source.isRemote
                ? try await openings.run(opening) { try await source.open(path) } : try await source.open(path)
            guard let record = object.info.cacheRecord(source: entry.name, path), record.isRevision(of: cached.record)
            else { throw SourceError(.changed, "the object changed while it was sent") }
            return object
        }
    }

    func plan(for request: GatewayRequest, _ info: ObjectInfo) -> DeliveryPlan {
        let fields = request.head.fields
        return DeliveryPlan(
            info: info,
            isHead: request.isHead,
            range: fields[.range],
            preconditions: fields.preconditions
        )
    }

    private func send(_ exchange: Exchange) async throws {
        // Here already, so that what is loaded stays loaded while it is opened.
        let lease = source.lease(path)
        if source.isRemote, let known = objects.lookup(key, now: .now), let cached = known.cached, cache?.isOpen == true
        {
            return try await send(known, revisionOf(cached), lease, to: exchange)
        }
        let object = try await open(for: exchange.request)
        try await send(known(of: object.info), LazyObject { object }, lease, to: exchange)
    }

    private func send(
        _ known: ObjectTable.Known,
        _ object: LazyObject,
        _ lease: Lease?,
        to exchange: Exchange
    ) async throws {
        try await exchange.markResolved()
        let plan = plan(for: exchange.request, known.info)
        switch plan.body {
        case .none:
            try await exchange.respond(head(plan, known, .bypass))
        case .part(let range):
            if let cache, let cached = known.cached {
                let outcome = CacheOutcome(range, of: cached, in: cache)
                var body = Body(range, head: head(plan, known, outcome), lease: lease)
                try await send(&body, of: cached, object, to: exchange)
            } else {
                var body = Body(range, head: head(plan, known, .bypass), lease: lease)
                try await send(&body, of: object.open(), to: exchange)
            }
        case .unknownLength:
            var body = Body(0..<Int64.max, head: head(plan, known, .bypass), lease: lease)
            try await copy(&body, upTo: .max, of: object.open(), to: exchange)
            try await exchange.finish()
        }
    }

    private func open(for request: GatewayRequest) async throws -> any MediaObject {
        let opening = opening
        guard source.isRemote else {
            let object = try await source.open(path)
            remember(object.info, opening)
            return object
        }
        // One that came back must not wait for itself.
        try request.trace?.check(RequestTrace.processName)
        return try await openings.run(opening) {
            let object = try await ReadHint.$range.withValue(firstRead(request)) { try await source.open(path) }
            // Before anybody can come who finds neither this nor what it found out.
            remember(object.info, opening)
            return object
        }
    }

    private func remember(_ found: ObjectInfo, _ opening: Opening) {
        var info = found
        // Of the answer that was just given, and of no later one.
        info.caching?.cacheStatus = nil
        objects.insert(known(of: info), for: opening.key, now: .now, knownSince: opening.purges)
    }

    private func known(of info: ObjectInfo) -> ObjectTable.Known {
        let ready = objects.lookup(key, now: .now).flatMap { $0.info.hasFields(of: info) ? $0.fields : nil }
        return ObjectTable.Known(
            info: info,
            cached: cachedObject(info),
            fields: ready ?? response.readyFields(of: info, name: path.name)
        )
    }

    /// The bytes that this request will have read first, as far as it tells; none if the cache has them.
    private func firstRead(_ request: GatewayRequest) -> Range<Int64>? {
        guard !request.isHead, request.head.fields.preconditions == Preconditions() else { return nil }
        let range: Range<Int64>
        switch request.head.fields[.range].map({ ByteRangeRequest(field: $0) }) {
        case nil, .some(nil): range = 0..<Int64.max
        case .from(let first): range = first..<Int64.max
        case .bounded(let first, let last):
            let unit = cache.map { Int64($0.settings.chunkSize) } ?? 1
            let (next, carry) = (last / unit).addingReportingOverflow(1)
            let (end, overflow) = next.multipliedReportingOverflow(by: unit)
            range = first..<(carry || overflow ? .max : end)
        case .suffix: return nil
        }
        guard let cached = cache?.find(ObjectKey(source: entry.name, path: path.bytes)),
            range.lowerBound < cached.size
        else { return range }
        return cache?.isComing(cached.chunk(at: range.lowerBound)) == true ? nil : range
    }

    private func head(_ plan: DeliveryPlan, _ known: ObjectTable.Known, _ outcome: CacheOutcome) -> ResponseHead {
        if !isDownload, plan.status == 200 || plan.status == 206 {
            return response.head(plan, of: known.info, known.fields, outcome)
        }
        return response.head(plan, of: known.info, name: path.name, isDownload: isDownload, cache: outcome)
    }

    /// The object in the cache, if pieces of it may be kept there.
    private func cachedObject(_ info: ObjectInfo) -> CachedObject? {
        guard let cache, cache.isOpen, let record = info.cacheRecord(source: entry.name, path) else { return nil }
        return cache.object(record)
    }

    // MARK: - Bodies

    /// What is still to be sent of an answer.
    private struct Body {
        var position: Int64
        let end: Int64
        private var head: ResponseHead?
        /// Held to the end of the answer, so that an item with readers is never idle.
        private var lease: Lease?
        /// What has sent some of it from the cache.
        let direct: CachedBody?

        init(_ range: Range<Int64>, head: ResponseHead?, lease: Lease?, direct: CachedBody? = nil) {
            position = range.lowerBound
            end = range.upperBound
            self.head = head
            self.lease = lease
            self.direct = direct
        }

        /// Sets the head, once there are bytes to follow it; by then the item they are from is loaded, if it has to be.
        mutating func begin(_ exchange: Exchange, of delivery: MediaDelivery) async throws {
            if lease == nil { lease = delivery.source.lease(delivery.path) }
            if let head = head.take() { try await exchange.start(head) }
        }
    }

    /// Sends a body through the cache.
    private func send(
        _ body: inout Body,
        of cached: CachedObject,
        _ object: LazyObject,
        to exchange: Exchange
    ) async throws {
        guard let cache else { return }
        let sending = CachedSending(
            cache: cache,
            object: cached,
            range: body.position..<body.end,
            readAhead: (source.readsAhead ? 2 : 8) << 20,
            body: body.direct
        ) { [entry, meter, client = exchange.request.readClient] range in
            meter?.countRead(of: entry.name)
            let bytes = try await ReadClient.$current.withValue(client) {
                try await ReadHint.$range.withValue(range) { try await object.open().read(range) }
            }
            return {
                let piece = try await bytes.next()
                if let piece { meter?.countBytes(piece.readableBytes, from: entry.name) }
                return piece
            }
        }
        try await sending.send(to: exchange) { try await body.begin(exchange, of: self) }
        try await exchange.finish()
    }

    /// Sends a body past the cache.
    private func send(_ body: inout Body, of object: any MediaObject, to exchange: Exchange) async throws {
        let file = FileBody(object)
        while body.position < body.end {
            if let file, file.isAtHand(body.position..<body.end) {
                try await body.begin(exchange, of: self)
                meter?.countRead(of: entry.name)
                let sent = try await exchange.sendDirect(file, body.position..<body.end, fromSource: true)
                meter?.countBytes(Int(sent), from: entry.name)
                body.position += sent
            }
            guard body.position < body.end else { break }
            // What the kernel cannot send without a wait for the disk is read, and so is all that it must not send.
            let end = file == nil ? body.end : min(body.end, body.position + Int64(Self.bytesPerTurn))
            try await copy(&body, upTo: end, of: object, to: exchange)
        }
        try await exchange.finish()
    }

    private func copy(
        _ body: inout Body,
        upTo end: Int64,
        of object: any MediaObject,
        to exchange: Exchange
    ) async throws {
        meter?.countRead(of: entry.name)
        let range = body.position..<end
        let bytes = try await ReadClient.$current.withValue(exchange.request.readClient) {
            try await object.read(range)
        }
        // The first bytes are in hand before the head says that there are any.
        var next = try await bytes.next()
        try await body.begin(exchange, of: self)
        var turn = 0
        while let buffer = next.take() {
            turn += buffer.readableBytes
            body.position += Int64(buffer.readableBytes)
            meter?.countBytes(buffer.readableBytes, from: entry.name)
            // Let go before the next pull, so that the source can fill the same storage again.
            try await exchange.write(consume buffer, from: .source)
            // Neither side may ever have to wait: the other connections of the event loop get their turn all the same.
            if turn >= Self.bytesPerTurn {
                turn = 0
                try await exchange.endTurn()
            }
            next = try await bytes.next()
        }
        // A source that ends early has said so; one that goes on beyond is cut by the announced length.
        body.position = end
    }
}

/// An object that is opened when its bytes are first needed, once for all who need them.
private final class LazyObject: Sendable {
    private let task: @Sendable () async throws -> any MediaObject
    private let opened = Mutex<(any MediaObject)?>(nil)

    init(_ open: @escaping @Sendable () async throws -> any MediaObject) {
        task = open
    }

    func open() async throws -> any MediaObject {
        if let object = opened.withLock({ $0 }) { return object }
        let object = try await task()
        return opened.withLock { opened in
            // Somebody may have been quicker; both are the same revision.
            if let first = opened { return first }
            opened = object
            return object
        }
    }
}

extension ObjectInfo {
    /// Whether answers with bytes have the same fields as those of `other`, but for the ones of the moment.
    fileprivate func hasFields(of other: ObjectInfo) -> Bool {
        revision == other.revision && lastModified == other.lastModified && mediaType == other.mediaType
            && (size == nil) == (other.size == nil) && validity == other.validity
            && caching?.cacheControl == other.caching?.cacheControl && caching?.expires == other.caching?.expires
    }

    /// What the cache shall know of the object; `nil` if pieces of two reads of it may not be joined.
    func cacheRecord(source: String, _ path: MediaPath) -> ObjectRecord? {
        guard let revision, let size, size > 0 else { return nil }
        return ObjectRecord(
            number: 0,
            source: source,
            path: path.bytes,
            size: size,
            revision: localRevision.isEmpty ? revision.opaque : "\(revision.opaque) \(localRevision)",
            lastModified: lastModified?.nanoseconds,
            mediaType: mediaType,
            isImmutable: validity == .immutable,
            created: SteadyTime.now
        )
    }
}

extension ObjectRecord {
    /// Whether both are of the same bytes.
    fileprivate func isRevision(of other: ObjectRecord) -> Bool {
        revision == other.revision && size == other.size
    }
}
