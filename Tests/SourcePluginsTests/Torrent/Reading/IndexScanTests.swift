import Foundation
import SourceContract
import SourcePlugins
import Testing

/// Bytes of media files, as little as a scan looks at.
enum MediaBytes {
    static func number(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    }

    static func box(_ type: String, _ content: [UInt8] = []) -> [UInt8] {
        number(UInt64(content.count + 8), 4) + Array(type.utf8) + content
    }

    static func longBox(_ type: String, size: UInt64) -> [UInt8] {
        number(1, 4) + Array(type.utf8) + number(size, 8)
    }

    static func element(_ id: UInt64, _ content: [UInt8], sizeLength: Int = 8) -> [UInt8] {
        let marker = UInt64(1) << UInt64(7 * sizeLength)
        return self.id(id) + number(marker | UInt64(content.count), sizeLength) + content
    }

    static func id(_ id: UInt64) -> [UInt8] {
        number(id, (71 - id.leadingZeroBitCount) / 8)
    }

    static func seek(_ id: UInt64, _ position: UInt64, bytes: Int = 8) -> [UInt8] {
        element(
            0x4DBB,
            element(0x53AB, self.id(id), sizeLength: 1) + element(0x53AC, number(position, bytes), sizeLength: 1)
        )
    }

    static let ebml = element(0x1A45_DFA3, Array(repeating: 0, count: 31), sizeLength: 1)
    static let cues: UInt64 = 0x1C53_BB6B
    static let seekHead: UInt64 = 0x114D_9B74
    static let cluster = element(0x1F43_B675, Array(repeating: 7, count: 5000))
    static let info = element(0x1549_A966, Array(repeating: 3, count: 50))

    /// A file with a SeekHead that has room for three entries; positions count from its start.
    static func matroska(_ entries: [[UInt8]], then rest: [[UInt8]]) -> [UInt8] {
        let used = entries.reduce(0) { $0 + $1.count }
        let filler = element(0xEC, Array(repeating: 0, count: 100 - used))
        let content = element(seekHead, entries.flatMap { $0 } + filler) + rest.flatMap { $0 }
        return ebml + element(0x1853_8067, content)
    }

    static let seekHeadSize = UInt64(element(seekHead, Array(repeating: 0, count: 109)).count)
}

/// Scans a file, and sees that the scan keeps what it promises.
func scan(_ size: Int64, _ read: (Range<Int64>) -> [UInt8]) -> IndexScan.Outcome {
    var scan = IndexScan(fileSize: size)
    for _ in 0..<70 {
        switch scan.step {
        case .read(let range):
            // Without #expect, which takes longer than everything else here.
            guard range.count <= 64, !range.isEmpty, range.lowerBound >= 0, range.upperBound <= size else {
                Issue.record("bytes \(range) of \(size) were asked for")
                return .unknown
            }
            scan.take(read(range))
        case .done(let outcome):
            if case .ranges(let ranges) = outcome {
                #expect(ranges.allSatisfy { 0 <= $0.lowerBound && $0.upperBound <= size && $0.count <= 64 << 20 })
            }
            return outcome
        }
    }
    Issue.record("the scan does not end")
    return .unknown
}

func scan(_ bytes: [UInt8], size: Int64? = nil) -> IndexScan.Outcome {
    scan(size ?? Int64(bytes.count)) { range in
        Array(bytes[min(Int(range.lowerBound), bytes.count)..<min(Int(range.upperBound), bytes.count)])
    }
}

@Suite("IndexScan")
struct IndexScanTests {
    private typealias Media = MediaBytes

    struct File: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var bytes: [UInt8]
        var outcome: IndexScan.Outcome

        init(_ description: String, _ parts: [[UInt8]], _ outcome: IndexScan.Outcome) {
            testDescription = description
            bytes = parts.flatMap { $0 }
            self.outcome = outcome
        }
    }

    private static let ftyp = Media.box("ftyp", Array("isom0000isom".utf8))
    private static let mdat = Media.box("mdat", Array(repeating: 9, count: 3000))
    private static let moov = Media.box("moov", Array(repeating: 1, count: 500))

    static let boxFiles = [
        File("moov behind the media", [ftyp, mdat, moov], .ranges([3028..<3536])),
        File("moov before the media", [ftyp, moov, mdat], .none),
        File("moov between two parts of the media", [ftyp, mdat, moov, mdat], .ranges([3028..<3536])),
        File(
            "moov behind much else",
            [ftyp, Media.box("free"), mdat, mdat, Media.box("uuid"), moov],
            .ranges([6052..<6560])
        ),
        File("an old file that begins with its media", [Media.box("wide"), mdat, moov], .ranges([3016..<3524])),
        File(
            "a long size",
            [ftyp, Media.longBox("mdat", size: 116), .init(repeating: 0, count: 100), moov],
            .ranges([136..<644])
        ),
        File("media to the end", [ftyp, Media.number(0, 4) + Array("mdat".utf8), moov], .unknown),
        File("moov to the end", [ftyp, mdat, Media.number(0, 4) + Array("moov".utf8), mdat], .ranges([3028..<6044])),
        File("in fragments", [ftyp, moov, Media.box("moof"), mdat, Media.box("mfra")], .none),
        File("a fragment alone", [Media.box("styp"), Media.box("sidx"), Media.box("moof"), mdat], .unknown),
        File("no moov", [ftyp, mdat], .unknown),
        File("a size below that of a header", [ftyp, Media.number(7, 4) + Array("mdat".utf8), moov], .unknown),
        File("a long size below that of a header", [ftyp, Media.longBox("mdat", size: 15), moov], .unknown),
        File("a long size above all numbers", [ftyp, Media.longBox("mdat", size: .max), moov], .unknown),
        File("a size that overflows", [ftyp, Media.longBox("mdat", size: UInt64(Int64.max)), moov], .unknown),
        File("a moov that is cut off", [ftyp, mdat, moov.dropLast()], .unknown),
        File(
            "62 boxes before moov",
            [ftyp, mdat] + .init(repeating: Media.box("free"), count: 60) + [moov],
            .ranges([3508..<4016])
        ),
        File("boxes without end", [ftyp, mdat] + .init(repeating: Media.box("free"), count: 70) + [moov], .unknown),
        File("text", [Array("once upon a time there was".utf8)], .unknown),
        File("nothing", [], .unknown),
        File("zeros", [.init(repeating: 0, count: 1000)], .unknown),
    ]

    private static let head = Media.seekHeadSize
    private static let segment = Int64(Media.ebml.count) + 12
    private static let cues = Media.element(Media.cues, Array(repeating: 5, count: 300))
    private static let afterClusters = head + UInt64(Media.info.count + 2 * Media.cluster.count)
    private static let cuesRange = segment + Int64(afterClusters)..<segment + Int64(afterClusters) + 312
    private static let media = [Media.info, Media.cluster, Media.cluster]

    static let elementFiles = [
        File(
            "cues at the end",
            [Media.matroska([Media.seek(Media.cues, afterClusters)], then: media + [cues])],
            .ranges([cuesRange])
        ),
        File(
            "a short position among others",
            [
                Media.matroska(
                    [Media.seek(0x1549_A966, head, bytes: 2), Media.seek(Media.cues, afterClusters, bytes: 3)],
                    then: media + [cues]
                )
            ],
            .ranges([cuesRange])
        ),
        File(
            "a second list of positions",
            [
                Media.matroska(
                    [Media.seek(Media.seekHead, afterClusters + 312)],
                    then: media + [cues, Media.element(Media.seekHead, Media.seek(Media.cues, afterClusters))]
                )
            ],
            .ranges([cuesRange])
        ),
        File(
            "lists that lead to each other",
            [
                Media.matroska(
                    [Media.seek(Media.seekHead, afterClusters)],
                    then: media + [Media.element(Media.seekHead, Media.seek(Media.seekHead, 0))]
                )
            ],
            .none
        ),
        File("a list that leads to itself", [Media.matroska([Media.seek(Media.seekHead, 0)], then: media)], .none),
        File("no cues", [Media.matroska([Media.seek(0x1549_A966, head)], then: media)], .none),
        File("no list", [Media.ebml, Media.element(0x1853_8067, media.flatMap { $0 } + cues)], .none),
        File(
            "cues before the media",
            [Media.ebml, Media.element(0x1853_8067, Media.info + cues + Media.cluster)],
            .none
        ),
        File(
            "a Segment of unknown size",
            [Media.ebml, unknownSize(0x1853_8067), Media.info, unknownSize(0x1F43_B675)],
            .none
        ),
        File(
            "cues of unknown size",
            [Media.matroska([Media.seek(Media.cues, afterClusters)], then: media + [unknownSize(Media.cues)])],
            .unknown
        ),
        File(
            "a position where something else is",
            [Media.matroska([Media.seek(Media.cues, head)], then: media)],
            .unknown
        ),
        File("a position behind the end", [Media.matroska([Media.seek(Media.cues, 1 << 40)], then: media)], .none),
        File("a position above all numbers", [Media.matroska([Media.seek(Media.cues, .max)], then: media)], .none),
        File(
            "cues that are cut off",
            [Array(Media.matroska([Media.seek(Media.cues, afterClusters)], then: media + [cues]).dropLast(9))],
            .unknown
        ),
        File(
            "a list of unknown size",
            [Media.ebml, unknownSize(0x1853_8067), unknownSize(Media.seekHead), cues],
            .unknown
        ),
        File("no Segment", [Media.ebml, Media.element(0xEC, .init(repeating: 0, count: 30))], .unknown),
        File(
            "elements without end",
            [
                Media.ebml,
                Media.element(0x1853_8067, .init([[UInt8]](repeating: Media.element(0xEC, []), count: 200).joined())),
            ],
            .unknown
        ),
    ]

    private static func unknownSize(_ id: UInt64) -> [UInt8] { Media.id(id) + [1] + .init(repeating: 0xFF, count: 7) }

    @Test("the index of an MP4 is found exactly, wherever it is", arguments: boxFiles)
    func boxes(file: File) {
        #expect(scan(file.bytes) == file.outcome)
    }

    @Test("the index of a Matroska file is found exactly, wherever it is", arguments: elementFiles)
    func elements(file: File) {
        #expect(scan(file.bytes) == file.outcome)
    }

    @Test("files beyond four gibibytes are scanned as others are")
    func large() {
        let mediaSize = UInt64(50) << 30
        let start = Self.ftyp + Media.longBox("mdat", size: mediaSize)
        let moovStart = Int64(Self.ftyp.count) + Int64(mediaSize)
        let size = moovStart + Int64(Self.moov.count)
        let outcome = scan(size) { range in
            if range.lowerBound >= moovStart {
                return Array(Self.moov.dropFirst(Int(range.lowerBound - moovStart)).prefix(range.count))
            }
            return Array((start + Array(repeating: 0, count: 64)).dropFirst(Int(range.lowerBound)).prefix(range.count))
        }
        #expect(outcome == .ranges([moovStart..<size]))
    }

    @Test("an index larger than any real one is not believed")
    func hugeIndex() {
        let start =
            Self.ftyp + Self.mdat + Media.number(65 << 20, 4) + Array("moov".utf8) + Array(repeating: 0, count: 64)
        #expect(scan(start, size: 100 << 20) == .unknown)
    }

    @Test("fewer bytes than asked for end the scan, and bytes after its end change nothing")
    func shortRead() {
        var scan = IndexScan(fileSize: 1000)
        scan.take(Self.ftyp)
        #expect(scan.step == .done(.unknown))
        scan.take(Self.ftyp + Self.moov)
        #expect(scan.step == .done(.unknown))
    }

    @Test("a size that no file has ends the scan", arguments: [Int64.min, -1, 0, 15])
    func badSize(size: Int64) {
        #expect(IndexScan(fileSize: size).step == .done(.unknown))
    }

    @Test("every truncation of a file ends without harm")
    func truncations() {
        for file in Self.boxFiles + Self.elementFiles {
            for length in 0...min(file.bytes.count, 250) {
                let cut = Array(file.bytes.prefix(length))
                // Cut off, and with a size that says otherwise.
                _ = scan(cut)
                _ = scan(cut, size: Int64(file.bytes.count))
                _ = scan(cut + Array(repeating: 0xFF, count: 64), size: .max)
            }
        }
    }

    @Test("any bytes end without harm", arguments: 1...8 as ClosedRange<UInt64>)
    func mutations(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let files = (Self.boxFiles + Self.elementFiles).map(\.bytes).filter { $0.count >= 64 }
        for _ in 0..<400 {
            guard var bytes = files.randomElement(using: &random) else { return }
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let index = Int.random(
                    in: 0..<min(bytes.count, Bool.random(using: &random) ? 160 : bytes.count),
                    using: &random
                )
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: bytes[index] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random) ?? 0
                case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
                default: bytes.remove(at: index)
                }
            }
            let size = [Int64(bytes.count), .max, Int64.random(in: 0...1 << 40, using: &random)]
            for size in size {
                _ = scan(size) { range in
                    let start = Int(clamping: range.lowerBound % Int64(max(bytes.count, 1)))
                    return (start..<start + range.count).map { bytes[$0 % bytes.count] }
                }
            }
        }
    }
}
