import CChecksum
import ChunkCache
import NIOCore
import Testing

struct ObjectRecordTests {
    private static let plain = ObjectRecord(
        number: 7,
        source: "torrent",
        path: Array("a/b.mkv".utf8),
        size: 1 << 40,
        revision: "0123abcd-4",
        isImmutable: true,
        created: 1_700_000_000_000_000_000
    )

    private static let full = ObjectRecord(
        number: .max,
        source: "größe",
        path: [0xFF, 0x00, 0x2F],
        variant: "gzip",
        size: 0,
        revision: "",
        lastModified: .min,
        mediaType: "video/mp4",
        isImmutable: false,
        created: -1,
        attributes: [0, 0xFF, 7]
    )

    private func encode(_ record: ObjectRecord) throws -> [UInt8] {
        Array(try #require(record.encoded()).readableBytesView)
    }

    private func decode(_ bytes: [UInt8]) -> ObjectRecord? {
        ObjectRecord(encoded: bytes.span.bytes)
    }

    private func random(_ random: inout RecordRandom) -> ObjectRecord {
        func text(_ limit: Int) -> String {
            let scalars = (0..<random.number(0..<limit)).compactMap { _ in
                Unicode.Scalar(UInt32(random.number(0..<70_000)))
            }
            return String(String.UnicodeScalarView(scalars))
        }
        return ObjectRecord(
            number: random.next(),
            source: text(20),
            path: random.bytes(random.number(0..<200)),
            variant: text(5),
            size: Int64(bitPattern: random.next() >> 1),
            revision: text(40),
            lastModified: random.next() % 2 == 0 ? nil : Int64(bitPattern: random.next()),
            mediaType: random.next() % 2 == 0 ? nil : text(30),
            isImmutable: random.next() % 2 == 0,
            created: Int64(bitPattern: random.next()),
            attributes: random.bytes(random.number(0..<300))
        )
    }

    @Test("a record comes back as it was", arguments: [plain, full])
    func roundTrip(record: ObjectRecord) throws {
        #expect(try decode(encode(record)) == record)
    }

    @Test("so do thousands of random ones, and none of them with a byte changed, missing or added")
    func randomRoundTrip() throws {
        var random = RecordRandom(state: 8)
        for _ in 0..<3000 {
            let record = self.random(&random)
            let encoded = try encode(record)
            #expect(decode(encoded) == record)
            var changed = encoded
            changed[random.number(0..<changed.count)] ^= UInt8(random.number(1..<256))
            #expect(decode(changed) == nil)
            #expect(decode(Array(encoded.prefix(random.number(0..<encoded.count)))) == nil)
            #expect(decode(encoded + random.bytes(1)) == nil)
        }
    }

    /// With the sum set right, so that the fields are what decides.
    private func summed(_ bytes: [UInt8]) -> [UInt8] {
        let sum = checksum_crc32c(0, bytes, bytes.count)
        return bytes + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: sum >> $0) }
    }

    @Test("what is read from any bytes under a right sum is what would be written, or nothing, and never a trap")
    func fuzz() throws {
        var random = RecordRandom(state: 9)
        var read = 0
        for round in 0..<6000 {
            var bytes = Array(try encode(round % 2 == 0 ? Self.plain : Self.full).dropLast(4))
            for _ in 0..<random.number(1..<4) where !bytes.isEmpty {
                let place = random.number(0..<bytes.count)
                switch random.number(0..<4) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes[place] ^= 1 << UInt8(random.number(0..<8))
                case 2: bytes.removeSubrange(place..<min(place + random.number(1..<9), bytes.count))
                default: bytes.insert(contentsOf: random.bytes(random.number(1..<9)), at: place)
                }
            }
            let value = summed(bytes)
            guard let record = decode(value) else { continue }
            read += 1
            #expect(try encode(record) == value)
        }
        #expect(read > 100)
    }

    @Test("garbage is no record")
    func garbage() {
        var random = RecordRandom(state: 10)
        for _ in 0..<5000 {
            let bytes = random.bytes(random.number(0..<100))
            #expect(decode(bytes) == nil)
            #expect(decode(summed(bytes)) == nil)
        }
    }

    @Test(
        "a record of another format, with an unknown flag, or of a negative size is not read",
        arguments: [
            (4, 2), (5, 9), (14, 0x80),
        ] as [(Int, UInt8)]
    )
    func unreadable(place: Int, byte: UInt8) throws {
        var bytes = Array(try encode(Self.plain).dropLast(4))
        bytes[place] = byte
        #expect(decode(summed(bytes)) == nil)
    }

    @Test("what a record is as long as is known before it is encoded", arguments: [plain, full])
    func size(of record: ObjectRecord) throws {
        #expect(try record.encodedSize == encode(record).count)
        var record = record
        record.attributes = [UInt8](repeating: 1, count: 65_536)
        record.attributes.removeLast(record.encodedSize - ObjectRecord.maxEncodedSize)
        #expect(record.isEncodable)
        #expect(try encode(record).count == ObjectRecord.maxEncodedSize)
        record.attributes.append(1)
        #expect(!record.isEncodable)
        #expect(record.encoded() == nil)
    }

    @Test("what cannot be stored is not encoded")
    func unencodable() {
        var record = Self.plain
        record.size = -1
        #expect(record.encoded() == nil)
        record = Self.plain
        record.path = [UInt8](repeating: 1, count: 65_536)
        #expect(record.encoded() == nil)
        record.path = [UInt8](repeating: 1, count: 65_535)
        #expect(record.encoded() == nil)
        record.path = [UInt8](repeating: 1, count: 60_000)
        #expect(record.encoded() != nil)
    }

    @Test("the key tells sources, paths and variants apart, however their texts meet, and revisions not")
    func keys() {
        let keys: Set<ObjectKey> = [
            ObjectKey(source: "a", path: Array("bc".utf8)),
            ObjectKey(source: "ab", path: Array("c".utf8)),
            ObjectKey(source: "abc", path: []),
            ObjectKey(source: "", path: Array("abc".utf8)),
            ObjectKey(source: "", path: [], variant: "abc"),
            ObjectKey(source: "a", path: Array("b".utf8), variant: "c"),
            ObjectKey(source: "a", path: [0x62, 0, 0x63]),
            ObjectKey(source: "a", path: [0x62, 0], variant: "c"),
        ]
        #expect(keys.count == 8)
        var other = Self.plain
        other.revision = "another"
        other.number = 8
        #expect(other.key == Self.plain.key)
        #expect(Self.plain.key == ObjectKey(source: "torrent", path: Array("a/b.mkv".utf8)))
    }
}
