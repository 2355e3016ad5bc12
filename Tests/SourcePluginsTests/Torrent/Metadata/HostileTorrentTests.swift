import Foundation
import SourceContract
import SourcePlugins
import Testing

/// What the generator expects of its torrents and links.
private struct Manifest: Decodable {
    struct File: Decodable {
        let index: Int
        let path: String
        let size: Int64
        let offset: Int64
        let pad: Bool
        let link: Bool
    }

    struct Torrent: Decodable {
        let file: String
        let category: String
        let expect: String
        let reason: String?
        let files: [File]?
        let trackers: [String]?
        let piece_length: Int64?
        let pieces: Int?
        let total: Int64?
        let `private`: Bool?
        let v1: String?
        let v2: String?
    }

    struct Magnet: Decodable {
        let link: String
        let expect: String
        let reason: String?
        let v1: String?
        let v2: String?
        let name: String?
        let trackers: [String]?
        let peers: [String]?
    }

    let torrents: [Torrent]
    let magnets: [Magnet]
}

@Suite("hostile torrents", .enabled(if: PythonScript.interpreter != nil, "needs python3"))
struct HostileTorrentTests {
    @Test("hostile torrents are refused, and odd ones are shown exactly")
    func all() async throws {
        try await withTemporaryDirectory { directory in
            let interpreter = try #require(PythonScript.interpreter)
            try await PythonScript.output(
                interpreter,
                ["\(PythonScript.acceptance)/hostile_torrents.py", directory.path]
            )
            let data = try Data(contentsOf: URL(filePath: directory.path("manifest.json")))
            let manifest = try JSONDecoder().decode(Manifest.self, from: data)
            #expect(manifest.torrents.count >= 150)
            #expect(manifest.magnets.count >= 25)
            for torrent in manifest.torrents {
                let bytes = Array(try Data(contentsOf: URL(filePath: directory.path(torrent.file))))
                check(torrent, bytes)
            }
            for magnet in manifest.magnets { check(magnet) }
        }
    }

    private func check(_ expected: Manifest.Torrent, _ bytes: [UInt8]) {
        do {
            let upload = try TorrentUpload(bytes)
            guard expected.expect == "accept" else {
                Issue.record("\(expected.file) was accepted: \(expected.reason ?? "")")
                return
            }
            let torrent = upload.metadata
            #expect(torrent.files.count == expected.files?.count, "\(expected.file)")
            for (file, wanted) in zip(torrent.files, expected.files ?? []) where !isSame(file, wanted) {
                Issue.record("\(expected.file): \(file) is not \(wanted)")
                return
            }
            #expect(upload.trackers.map(\.text) == expected.trackers, "\(expected.file)")
            #expect(torrent.pieceLength == expected.piece_length, "\(expected.file)")
            #expect(torrent.pieceCount == expected.pieces, "\(expected.file)")
            #expect(torrent.totalSize == expected.total, "\(expected.file)")
            #expect(torrent.isPrivate == expected.private, "\(expected.file)")
            #expect(torrent.hashes.v1?.description == expected.v1, "\(expected.file)")
            #expect(torrent.hashes.v2?.description == expected.v2, "\(expected.file)")
        } catch {
            #expect(expected.expect == "reject", "\(expected.file): \(error)")
            #expect((error as? SourceError).map { [.badReference, .refused].contains($0.code) } == true)
        }
    }

    private func isSame(_ file: TorrentFile, _ wanted: Manifest.File) -> Bool {
        file.index == wanted.index && file.mediaPath.percentEncoded == wanted.path && file.size == wanted.size
            && file.offset == wanted.offset && file.isPad == wanted.pad && file.isSymlink == wanted.link
    }

    private func check(_ expected: Manifest.Magnet) {
        do {
            let magnet = try Magnet(expected.link)
            #expect(expected.expect == "accept", "\(expected.link.prefix(100)): \(expected.reason ?? "")")
            #expect(magnet.hashes.v1?.description == expected.v1, "\(expected.link.prefix(100))")
            #expect(magnet.hashes.v2?.description == expected.v2, "\(expected.link.prefix(100))")
            #expect(magnet.name == expected.name, "\(expected.link.prefix(100))")
            #expect(magnet.trackers.map(\.text) == expected.trackers, "\(expected.link.prefix(100))")
            #expect(magnet.peers.map(\.description) == expected.peers, "\(expected.link.prefix(100))")
        } catch {
            #expect(expected.expect == "reject", "\(expected.link.prefix(100)): \(error)")
        }
    }
}
