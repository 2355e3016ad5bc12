import HTTPTypes
import Hummingbird
import NIOCore
import SourcePlugins

/// What the admin listener answers about items: torrents.
package struct ItemAdministration: Sendable {
    /// Longer than a source asks the world for an item.
    static let patience = Duration.seconds(120)

    private let sources: [(name: String, mount: MountAddress, items: any ItemSource)]

    package init(_ table: SourceTable) {
        sources = table.entries.compactMap { entry in
            entry.items.map { (entry.name, MountAddress(entry.mount), $0) }
        }.sorted { $0.name < $1.name }
    }

    /// The methods of a path that has others than GET and HEAD.
    static func methods(of path: Substring) -> [String]? {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false)
        guard segments.starts(with: ["", "admin", "v1", "torrents"]) else { return nil }
        switch segments.count {
        case 4: return ["GET", "HEAD", "POST"]
        case 5: return ["GET", "HEAD", "DELETE"]
        default: return nil
        }
    }

    func add(to router: Router<GatewayRequestContext>) {
        router.get("/admin/v1/torrents") { _, context -> Response in
            try QueryParameters(context.request.query).allowOnly([])
            return json(await list())
        }
        router.post("/admin/v1/torrents") { _, context -> Response in
            let query = try QueryParameters(context.request.query)
            try query.allowOnly(["uri", "source"])
            let (found, isNew) = try await add(query.text("uri") ?? "", to: query.text("source"))
            return json(found, status: isNew ? .created : .ok)
        }
        router.get("/admin/v1/torrents/:hash") { _, context -> Response in
            let (source, id) = try find(context)
            guard let status = await source.items.status(id) else { throw RequestProblem.noItem }
            return json(TorrentDocument(status, source: source.name, mount: source.mount))
        }
        router.get("/admin/v1/torrents/:hash/pieces") { _, context -> Response in
            let (source, id) = try find(context)
            guard let pieces = await source.items.pieces(id) else {
                throw RequestProblem(404, .notFound, "the torrent is not loaded, so its pieces are not known")
            }
            return json(PiecesDocument(pieceLength: pieces.pieceLength, runs: pieces.runs))
        }
        router.delete("/admin/v1/torrents/:hash") { _, context -> Response in
            let query = try QueryParameters(context.request.query)
            try query.allowOnly(["force"])
            let (source, id) = try find(context)
            do {
                try await source.items.remove(id, force: query.number("force", in: 0...1) == 1)
            } catch let error as SourceError {
                throw RequestProblem(error)
            }
            return json(RemovedDocument(hash: id.description, source: source.name))
        }
    }

    // MARK: - Items

    private func list() async -> TorrentListDocument {
        var torrents: [TorrentDocument] = []
        for source in sources {
            for status in await source.items.statuses() {
                torrents.append(TorrentDocument(status, source: source.name, mount: source.mount))
            }
        }
        return TorrentListDocument(torrents: torrents)
    }

    private func add(_ uri: String, to name: String?) async throws -> (TorrentDocument, isNew: Bool) {
        guard let source = sources.first(where: { name == nil || $0.name == name }) else {
            throw RequestProblem(404, .notFound, "there is no such source that holds torrents")
        }
        do {
            let reference = try source.items.reference(uri.trimmingWhitespace)
            let isNew = !source.items.isKnown(reference.id)
            let item = try await source.items.resolve(reference)
            guard let status = await source.items.status(item.id) else { throw RequestProblem.noItem }
            return (TorrentDocument(status, source: source.name, mount: source.mount), isNew)
        } catch let error as SourceError {
            throw RequestProblem(error)
        }
    }

    /// The source that has the item; the first one if none knows it.
    private func find(
        _ context: GatewayRequestContext
    ) throws -> (source: (name: String, mount: MountAddress, items: any ItemSource), ItemID) {
        guard let id = context.parameters.get("hash").flatMap({ ItemID($0) }),
            let source = sources.first(where: { $0.items.isKnown(id) }) ?? sources.first
        else { throw RequestProblem.noItem }
        return (source, id)
    }

    private func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        let headers: HTTPFields = [
            .contentType: JSONBody.mediaType, .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
        ]
        let body = ResponseBody(byteBuffer: ByteBuffer(bytes: JSONBody.encode(value)))
        return Response(status: status, headers: headers, body: body)
    }
}

extension RequestProblem {
    fileprivate static let noItem = RequestProblem(404, .notFound, "no torrent of this hash is known")
}

/// How a torrent is doing. Bytes are of payload, rates in bytes a second.
private struct TorrentDocument: Encodable {
    let source: String
    let hash: String
    let name: String
    let state: String
    /// Where it is on the data listener.
    let url: String
    let length: Int64
    let doneBytes: Int64
    let downloadedBytes: Int64
    let uploadedBytes: Int64
    let downloadRate: Int64
    let uploadRate: Int64
    let peers: Int
    let seeds: Int
    let readers: Int
    let failure: String?

    init(_ status: ItemStatus, source: String, mount: MountAddress) {
        self.source = source
        hash = status.id.description
        name = status.name
        state = status.state.rawValue
        url = mount.url(status.id)
        length = status.size
        doneBytes = status.doneBytes
        downloadedBytes = status.downloadedBytes
        uploadedBytes = status.uploadedBytes
        downloadRate = status.downloadRate
        uploadRate = status.uploadRate
        peers = status.peers
        seeds = status.seeds
        readers = status.readers
        failure = status.failure
    }
}

private struct TorrentListDocument: Encodable {
    let torrents: [TorrentDocument]
}

/// Lengths of runs of pieces, absent ones first.
private struct PiecesDocument: Encodable {
    let pieceLength: Int
    let runs: [Int]
}

private struct RemovedDocument: Encodable {
    let hash: String
    let source: String
}
