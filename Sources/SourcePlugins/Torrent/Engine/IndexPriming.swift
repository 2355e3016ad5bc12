import NIOCore
import NIOPosix

/// Fetches the index of a media file early, wherever in the file it is: players read it before anything else.
///
/// Only headers are read to find it.
struct IndexPriming: Sendable {
    let torrent: LoadedTorrent
    let file: TorrentFile
    let pieceLength: Int64
    let lease: Lease
    let pool: NIOThreadPool

    /// Looks for the index as the pieces come, and asks for it. Ends when it is found, or with the task.
    func run() async throws {
        var scan = IndexScan(fileSize: file.size)
        while true {
            switch scan.step {
            case .read(let range):
                scan.take(try await bytes(range))
            case .done(.ranges(let ranges)):
                torrent.hint(ranges.map { file.offset + $0.lowerBound..<file.offset + $0.upperBound })
                return
            case .done:
                return
            }
        }
    }

    private func bytes(_ range: Range<Int64>) async throws -> [UInt8] {
        // For no client: that an index is looked for does not mean that somebody plays there now.
        let read = TorrentRead(
            of: file,
            range,
            in: torrent,
            pieceLength: pieceLength,
            client: nil,
            lease: lease,
            pool: pool
        )
        var bytes: [UInt8] = []
        while let buffer = try await read.next() { bytes += buffer.readableBytesView }
        return bytes
    }
}
