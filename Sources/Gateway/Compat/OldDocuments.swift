import SourcePlugins

// The JSON of the replaced backend, with its keys.

/// One file of `/add` and `/metadata`.
struct OldFile: Encodable {
    let name: String
    let length: Int64

    init(_ file: ItemDescription.File) {
        name = file.path.name?.description ?? ""
        length = file.size
    }
}

/// `/details`.
struct OldDetails: Encodable {
    let name: String
    let length: Int64
    let downloaded: Int64
    let uploaded: Int64
    let downloadSpeed: Int64
    let uploadSpeed: Int64
    /// From 0 to 1.
    let progress: Double
    let ratio: Double
    let numPeers: Int

    init(_ status: ItemStatus) {
        name = status.name
        length = status.size
        downloaded = status.doneBytes
        uploaded = status.uploadedBytes
        downloadSpeed = status.downloadRate
        uploadSpeed = status.uploadRate
        progress = share(status.doneBytes, of: status.size)
        ratio = quotient(status.uploadedBytes, status.downloadedBytes > 0 ? status.downloadedBytes : status.size)
        numPeers = status.peers
    }
}

/// `/detailsepisode`.
struct OldEpisodeDetails: Encodable {
    let name: String
    let length: Int64
    let downloaded: Int64
    /// From 0 to 1.
    let progress: Double
    /// From 0 to 100.
    let percentageWatched: Double

    init(_ file: ItemDescription.File, downloaded: Int64, watched: Int64) {
        name = file.path.name?.description ?? ""
        length = file.size
        self.downloaded = downloaded
        progress = share(downloaded, of: file.size)
        percentageWatched = 100 * share(watched, of: file.size)
    }
}

/// The first element of `/downloadsInfo`; the torrents follow.
struct OldClientInfo: Encodable {
    let clientDownloadSpeed: Int64
    let clientUploadSpeed: Int64

    init(_ statuses: [ItemStatus]) {
        clientDownloadSpeed = sum(statuses.map(\.downloadRate))
        clientUploadSpeed = sum(statuses.map(\.uploadRate))
    }
}

/// `/downloadsInfo`: an array of unlike elements.
struct OldDownloads: Encodable {
    let statuses: [ItemStatus]

    func encode(to encoder: any Encoder) throws {
        var array = encoder.unkeyedContainer()
        try array.encode(OldClientInfo(statuses))
        for status in statuses { try array.encode(OldDetails(status)) }
    }
}

private func share(_ part: Int64, of whole: Int64) -> Double { min(max(quotient(part, whole), 0), 1) }

private func quotient(_ first: Int64, _ second: Int64) -> Double { second > 0 ? Double(first) / Double(second) : 0 }

private func sum(_ values: [Int64]) -> Int64 {
    values.reduce(0) { sum, value in
        let (next, overflow) = sum.addingReportingOverflow(value)
        return overflow ? .max : next
    }
}
