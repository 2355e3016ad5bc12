import SourceContract
import SourcePlugins
import Testing

@Suite("TorrentMetadata")
struct TorrentMetadataTests {
    private func path(_ file: TorrentFile) -> String { file.mediaPath.description }

    @Test("a version 1 torrent lists its files in order, below its name")
    func version1() throws {
        let info = TorrentBuilder.v1()
        let torrent = try TorrentMetadata(info: info)
        #expect(torrent.hashes.all == [.v1(of: info)])
        #expect(torrent.files.map(path) == ["T/a.mkv", "T/b/x.srt", "T/c.txt", "T/d.mp4"])
        #expect(torrent.files.map(\.offset) == [0, 40_000, 40_005, 40_005])
        #expect(torrent.files.map(\.index) == [0, 1, 2, 3])
        #expect(torrent.totalSize == 140_005)
        #expect(torrent.pieceCount == 9)
        #expect(torrent.pieceSize(8) == Int64(140_005 - 8 * 16_384))
        #expect(torrent.pieceSize(9) == nil)
        #expect(torrent.pieceSize(-1) == nil)
        #expect(!torrent.isPrivate)
    }

    @Test("in version 2 every file starts a piece, and padding takes numbers")
    func version2() throws {
        let info = TorrentBuilder.v2()
        let torrent = try TorrentMetadata(info: info)
        #expect(torrent.hashes.all == [.v2(of: info)])
        #expect(
            torrent.files.map(path) == [
                "T/a.mkv", "T/.pad/9152", "T/b/x.srt", "T/.pad/16379", "T/c.txt", "T/d.mp4", "T/.pad/14688",
            ]
        )
        #expect(torrent.files.map(\.offset) == [0, 40_000, 49_152, 49_157, 65_536, 65_536, 165_536])
        #expect(torrent.files.map(\.isPad) == [false, true, false, true, false, false, true])
        #expect(torrent.pieceCount == 11)
        #expect(torrent.file(at: 1) == nil)
        #expect(torrent.file(at: 4)?.isEmpty == true)
    }

    @Test("a hybrid torrent has both hashes and the files of both")
    func hybrid() throws {
        let info = TorrentBuilder.hybrid()
        let torrent = try TorrentMetadata(info: info)
        #expect(torrent.hashes.all == [.v1(of: info), .v2(of: info)])
        #expect(torrent.files == (try TorrentMetadata(info: TorrentBuilder.v2())).files)
    }

    @Test("a file is found by its exact path; the first of two, and never a pad file or a link")
    func lookup() throws {
        let files = [
            TorrentBuilder.File(path: ["e\u{301}.mkv"], size: 1), TorrentBuilder.File(path: ["\u{e9}.mkv"], size: 2),
            TorrentBuilder.File(path: ["twin"], size: 3, attributes: "p"), TorrentBuilder.File(path: ["twin"], size: 4),
            TorrentBuilder.File(path: ["twin"], size: 5), TorrentBuilder.File(path: ["l"], size: 0, attributes: "l"),
        ]
        let torrent = try TorrentMetadata(info: TorrentBuilder.v1(files))
        #expect(torrent.file(at: try MediaPath("T/e\u{301}.mkv"))?.index == 0)
        #expect(torrent.file(at: try MediaPath("T/\u{e9}.mkv"))?.index == 1)
        #expect(torrent.file(at: try MediaPath("T/twin"))?.index == 3)
        #expect(torrent.file(at: try MediaPath("T/l")) == nil)
        #expect(torrent.file(at: try MediaPath("twin")) == nil)
        #expect(torrent.file(at: .root) == nil)
        #expect(torrent.file(at: 4)?.size == 5)
        #expect(torrent.file(at: 5) == nil)
        #expect(torrent.file(at: 6) == nil)
        #expect(torrent.file(at: -1) == nil)
    }

    @Test("a range of a file lies in the pieces that hold its first and last byte")
    func spans() throws {
        let torrent = try TorrentMetadata(info: TorrentBuilder.v1())
        let film = torrent.files[3]
        #expect(torrent.pieces(of: film, 0..<1) == PieceSpan(pieces: 2..<3, offset: 40_005 - 32_768, length: 1))
        #expect(torrent.pieces(of: film, 0..<100_000)?.pieces == 2..<9)
        let boundary = 3 * TorrentBuilder.pieceLength - film.offset
        #expect(torrent.pieces(of: film, boundary - 1..<boundary)?.pieces == 2..<3)
        #expect(torrent.pieces(of: film, boundary..<boundary + 1) == PieceSpan(pieces: 3..<4, offset: 0, length: 1))
        #expect(torrent.pieces(of: film, 5..<5) == nil)
        #expect(torrent.pieces(of: film, 0..<100_001) == nil)
        #expect(torrent.pieces(of: film, -1..<5) == nil)
        #expect(torrent.pieces(of: film, 0..<Int64.max) == nil)
        #expect(torrent.pieces(of: torrent.files[2], 0..<1) == nil)
        let stranger = try TorrentMetadata(info: TorrentBuilder.v2()).files[5]
        #expect(torrent.pieces(of: stranger, 0..<1) == nil)
    }

    @Test(
        "what the pieces hold of a file adds up to the file",
        arguments: [TorrentBuilder.v1(), TorrentBuilder.hybrid()]
    )
    func piecesAddUp(info: [UInt8]) throws {
        let torrent = try TorrentMetadata(info: info)
        #expect((0..<torrent.pieceCount).compactMap(torrent.pieceSize).reduce(0, +) == torrent.totalSize)
        for file in torrent.files {
            var next: Int64 = 0
            for piece in 0..<torrent.pieceCount {
                guard let range = torrent.range(of: file, in: piece) else { continue }
                #expect(range.lowerBound == next)
                #expect(torrent.pieces(of: file, range)?.pieces == piece..<piece + 1)
                next = range.upperBound
            }
            #expect(next == file.size)
        }
    }

    /// The smallest values that ``TorrentBuilder/v1(_:name:)`` fits in: its paths are at most 9 bytes long.
    private static let fitting: [LimitCase] = [
        LimitCase(value: 4) { $0.files = $1 }, LimitCase(value: 9) { $0.pieces = $1 },
        LimitCase(value: 3) { $0.pathDepth = $1 },
        LimitCase(value: 9) { $0.pathBytes = $1 }, LimitCase(value: 5) { $0.nameBytes = $1 },
        LimitCase(value: TorrentBuilder.v1().count) { $0.infoBytes = $1 },
        LimitCase(value: 140_005) { $0.totalSize = Int64($1) },
    ]

    struct LimitCase: Sendable {
        let value: Int
        let set: @Sendable (inout TorrentLimits, Int) -> Void
    }

    @Test("limits are those that are given", arguments: fitting)
    func limits(limit: LimitCase) throws {
        var limits = TorrentLimits()
        limit.set(&limits, limit.value)
        #expect(try TorrentMetadata(info: TorrentBuilder.v1(), limits: limits).files.count == 4)
        limit.set(&limits, limit.value - 1)
        #expect(throws: SourceError.self) { try TorrentMetadata(info: TorrentBuilder.v1(), limits: limits) }
    }
}

@Suite("TorrentUpload")
struct TorrentUploadTests {
    @Test("the vetted file has the same info, the trackers that were kept, and nothing else")
    func vetted() throws {
        let info = TorrentBuilder.hybrid()
        let trackers = ["http://127.0.0.1/", "udp://9.9.9.9:80", "https://t.example.com/a", "udp://9.9.9.9:80"]
        let upload = try TorrentUpload(TorrentBuilder.upload(info, trackers: trackers))
        #expect(upload.info == info)
        #expect(upload.trackers.map(\.text) == ["udp://9.9.9.9:80", "https://t.example.com/a"])
        let vetted = try Bencode(upload.vetted, limits: Bencode.Limits(bytes: 1 << 20, tokens: 1000, depth: 64))
        let keys = vetted.root.dictionary?.map { String(decoding: $0.key, as: UTF8.self) }
        #expect(keys == ["announce", "announce-list", "info"])
        #expect(vetted.isCanonical)
        let again = try TorrentUpload(upload.vetted)
        #expect(again.metadata.hashes == upload.metadata.hashes)
        #expect(again.trackers == upload.trackers)
    }

    @Test("any mutation of a torrent is a torrent that adds up, or an error", arguments: 0..<4)
    func fuzz(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        let corpus = [
            TorrentBuilder.v1(), TorrentBuilder.v2(), TorrentBuilder.hybrid(),
            TorrentBuilder.v1([.init(path: ["é"], size: 9)]),
        ]
        .map { TorrentBuilder.upload($0, trackers: ["udp://9.9.9.9:80"]) }
        var accepted = 0
        for _ in 0..<1500 {
            guard var bytes = corpus.randomElement(using: &random) else { continue }
            for _ in 0..<Int.random(in: 1...3, using: &random) { mutate(&bytes, &random) }
            guard let upload = try? TorrentUpload(bytes) else { continue }
            accepted += 1
            try checkSound(upload)
        }
        #expect(accepted > 0)
    }

    private func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
        guard !bytes.isEmpty else { return }
        let place = Int.random(in: 0..<bytes.count, using: &random)
        let end = min(place + Int.random(in: 1...20, using: &random), bytes.count)
        switch Int.random(in: 0..<7, using: &random) {
        case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2: bytes.removeSubrange(place..<end)
        case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
        case 4: bytes.insert(contentsOf: Array("i9223372036854775807e".utf8), at: place)
        case 5: bytes[place] = Array("0123456789dlie:-".utf8).randomElement(using: &random) ?? 0
        default: changeDigit(&bytes, from: place, &random)
        }
    }

    /// Keeps the document whole more often than the others do.
    private func changeDigit(_ bytes: inout [UInt8], from place: Int, _ random: inout SplitMix64) {
        guard let digit = bytes[place...].firstIndex(where: { (0x30...0x39).contains($0) }) else { return }
        bytes[digit] = UInt8.random(in: 0x30...0x39, using: &random)
    }

    private func checkSound(_ upload: TorrentUpload) throws {
        let torrent = upload.metadata
        var offset: Int64 = 0
        for (index, file) in torrent.files.enumerated() {
            #expect(file.index == index)
            #expect(file.offset == offset)
            #expect(file.size >= 0)
            #expect(!file.path.isEmpty)
            offset += file.size
        }
        #expect(offset == torrent.totalSize)
        #expect((0..<torrent.pieceCount).compactMap(torrent.pieceSize).reduce(0, +) == offset)
        let again = try TorrentUpload(upload.vetted)
        #expect(again.metadata.files == torrent.files)
        #expect(again.metadata.hashes == torrent.hashes)
    }
}
