import ChunkCache
import NIOCore
import Testing

struct ChunkRecordTests {
    private static let id = ChunkID(object: 0x0102_0304_0506_0708, index: 9)

    private func encode(_ pieces: [ByteBuffer], id: ChunkID = Self.id) throws -> [UInt8] {
        let chunk = chunk(of: pieces)
        var value = [UInt8](repeating: 0xAA, count: try #require(ChunkRecord.valueSize(of: chunk)))
        value.withUnsafeMutableBytes { bytes in
            var span = bytes.mutableBytes
            ChunkRecord.write(chunk, id: id, into: &span)
        }
        return value
    }

    private func chunk(of pieces: [ByteBuffer]) -> ChunkBytes {
        pieces.reduce(into: ChunkBytes()) { $0.append(ChunkBytes($1)) }
    }

    private func fault(_ value: [UInt8], id: ChunkID = Self.id) -> ChunkRecordFault? {
        do {
            try ChunkRecord.verify(value.span.bytes, id: id)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "a chunk from any number of pieces is verified and has its bytes behind the header",
        arguments: [
            [], [0], [1], [5000], [0, 3, 0, 4000, 1], [4096, 4096],
        ]
    )
    func roundTrip(lengths: [Int]) throws {
        var random = RecordRandom(state: 3)
        let contents = lengths.map { random.bytes($0) }
        // Readable bytes only: each piece has others before and after them.
        let pieces = contents.map { bytes in
            var piece = ByteBuffer(bytes: [1, 2] + bytes + [3])
            piece.moveReaderIndex(forwardBy: 2)
            return piece.readSlice(length: bytes.count) ?? ByteBuffer()
        }
        let value = try encode(pieces)
        #expect(fault(value) == nil)
        #expect(Array(value.dropFirst(ChunkRecord.headerSize)) == contents.flatMap { $0 })
        #expect(try ChunkRecord(header: value.span.bytes).length == lengths.reduce(0, +))
    }

    @Test("bytes that come by the handful become few pieces")
    func smallPieces() throws {
        var random = RecordRandom(state: 5)
        let contents = (0..<2000).map { random.bytes($0 % 50 == 0 ? 20_000 : 700) }
        let chunk = chunk(of: contents.map { ByteBuffer(bytes: $0) })
        #expect(chunk.pieces.count < 200)
        #expect(chunk.pieces.flatMap { Array(buffer: $0) } == contents.flatMap { $0 })
        #expect(chunk.checksum == ChunkBytes(ByteBuffer(bytes: contents.flatMap { $0 })).checksum)
    }

    @Test("the stored form does not change")
    func golden() throws {
        let value = try encode([ByteBuffer(string: "chunk")])
        #expect(Array(value[..<8]) == Array("MGCH".utf8) + [5, 0, 0, 0])
        #expect(Array(value[12...]) == [1, 0, 0, 0] + Array("chunk".utf8))
        #expect(Array(value[8..<12]) == [193, 244, 144, 252])
    }

    @Test("every single flipped bit is found, in the header as well as in the bytes")
    func flippedBits() throws {
        var random = RecordRandom(state: 4)
        let value = try encode([ByteBuffer(bytes: random.bytes(600))])
        for bit in 0..<value.count * 8 {
            var flipped = value
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(fault(flipped) != nil)
        }
    }

    @Test("each kind of fault has its name")
    func faults() throws {
        let value = try encode([ByteBuffer(bytes: [1, 2, 3])])
        #expect(fault([]) == .tooShort)
        #expect(fault(Array(value.prefix(15))) == .tooShort)
        #expect(fault(Array(value.dropLast())) == .wrongLength)
        #expect(fault(value + [0]) == .wrongLength)
        #expect(fault([0] + value.dropFirst()) == .wrongMagic)
        #expect(fault(Array(value[..<12]) + [2] + value[13...]) == .unknownFormat)
        #expect(fault(Array(value[..<14]) + [1] + value[15...]) == .unknownFormat)
        #expect(fault(value.dropLast() + [4]) == .wrongChecksum)
    }

    @Test(
        "a chunk under another one's key is found",
        arguments: [
            ChunkID(object: id.object, index: id.index + 1), ChunkID(object: id.object + 1, index: id.index),
            ChunkID(object: id.index, index: id.object),
        ]
    )
    func otherKey(other: ChunkID) throws {
        let value = try encode([ByteBuffer(bytes: [1, 2, 3])])
        #expect(fault(value, id: other) == .wrongChecksum)
    }

    @Test("what nobody wrote is never a chunk, and never a trap")
    func garbage() {
        var random = RecordRandom(state: 5)
        for _ in 0..<5000 {
            var value = random.bytes(random.number(0..<64))
            if random.next() % 2 == 0, value.count >= 16 {
                value.replaceSubrange(0..<4, with: "MGCH".utf8)
                value.replaceSubrange(12..<16, with: [1, 0, 0, 0])
                if random.next() % 2 == 0 {
                    value.replaceSubrange(4..<8, with: [UInt8(value.count - 16), 0, 0, 0])
                }
            }
            #expect(fault(value) != nil)
        }
    }

    @Test("keys sort as the chunks do, and are read back")
    func keys() {
        var random = RecordRandom(state: 6)
        let numbers: [UInt64] = [0, 1, 255, 256, .max - 1, .max, random.next(), random.next()]
        let ids = numbers.flatMap { object in numbers.map { ChunkID(object: object, index: $0) } }.shuffled(
            using: &random
        )
        let keys = ids.map { id in id.withKeyBytes { [UInt8]($0) } }
        #expect(keys.allSatisfy { $0.count == 16 })
        #expect(keys.map { ChunkID(key: $0.span.bytes) } == ids)
        let sortedKeys = keys.sorted { $0.lexicographicallyPrecedes($1) }
        #expect(sortedKeys == ids.sorted().map { id in id.withKeyBytes { [UInt8]($0) } })
        #expect(ChunkID(key: [UInt8](repeating: 0, count: 15).span.bytes) == nil)
    }

    @Test("a chunk written into the database's own room comes back whole")
    func inDatabase() throws {
        let database = try TemporaryDatabase()
        let environment = try database.open()
        let table = try environment.records
        var random = RecordRandom(state: 7)
        let chunk = chunk(of: (0..<4).map { _ in ByteBuffer(bytes: random.bytes(50_000)) })
        let size = try #require(ChunkRecord.valueSize(of: chunk))
        try environment.write { transaction in
            try transaction.put(size: size, for: Self.id, in: table) { room in
                ChunkRecord.write(chunk, id: Self.id, into: &room)
            }
        }
        let length = try environment.read { transaction in
            try transaction.withValue(for: Self.id, in: table) { value in
                try ChunkRecord.verify(value, id: Self.id).length
            }
        }
        #expect(length == 200_000)
    }
}
