import Glibc
package import NIOCore

/// The content of a test object: bytes that follow from a name, a generation and an offset.
///
/// Any part can be made or checked by itself, so that an object of 2^53 bytes costs nothing, and a byte from another
/// offset, another object or another generation does not pass. Each block of 4 KiB is a number of its own followed by
/// a cut from a table of random bytes, which is as fast as copying memory, in debug builds too.
package struct PatternBytes: Sendable, Hashable {
    private static let blockSize = 4096
    private static let table: [UInt8] = {
        var random = SplitMix64(seed: 0x6D65_6469_61)
        return (0..<(1 << 16 + blockSize)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }()

    private let seed: UInt64

    package init(_ name: String, generation: Int = 0) {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        seed = SplitMix64.mix(hash ^ SplitMix64.mix(UInt64(bitPattern: Int64(generation)) &+ 1))
    }

    /// Writes the bytes from `offset` on into all of `destination`.
    package func fill(_ destination: UnsafeMutableRawBufferPointer, from offset: Int64) {
        var done = 0
        while done < destination.count {
            let (block, start) = Self.locate(offset + Int64(done))
            let count = min(Self.blockSize - start, destination.count - done)
            write(block, start..<(start + count), to: UnsafeMutableRawBufferPointer(rebasing: destination[done...]))
            done += count
        }
    }

    package func buffer(_ range: Range<Int64>) -> ByteBuffer {
        var buffer = ByteBuffer()
        append(range, to: &buffer)
        return buffer
    }

    package func append(_ range: Range<Int64>, to buffer: inout ByteBuffer) {
        let length = Int(range.upperBound - range.lowerBound)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { bytes in
            fill(UnsafeMutableRawBufferPointer(rebasing: bytes[..<length]), from: range.lowerBound)
            return length
        }
    }

    package func bytes(_ range: Range<Int64>) -> [UInt8] {
        let length = Int(range.upperBound - range.lowerBound)
        return [UInt8](unsafeUninitializedCapacity: length) { bytes, count in
            fill(
                UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(bytes)[..<length]),
                from: range.lowerBound
            )
            count = length
        }
    }

    /// Where `buffer`, taken to begin at `offset` of the object, first holds another byte than it should.
    package func firstDifference(in buffer: ByteBuffer, at offset: Int64) -> Int64? {
        buffer.withUnsafeReadableBytes { firstDifference(in: $0, at: offset) }
    }

    package func firstDifference(in found: UnsafeRawBufferPointer, at offset: Int64) -> Int64? {
        withUnsafeTemporaryAllocation(byteCount: Self.blockSize, alignment: 16) { expected in
            var done = 0
            while done < found.count {
                let (block, start) = Self.locate(offset + Int64(done))
                let count = min(Self.blockSize - start, found.count - done)
                write(block, start..<(start + count), to: expected)
                let piece = found[done..<(done + count)]
                if !isEqual(piece, expected[..<count]) {
                    let index = zip(piece, expected[..<count]).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
                    return offset + Int64(done + index)
                }
                done += count
            }
            return nil
        }
    }

    private static func locate(_ offset: Int64) -> (block: UInt64, start: Int) {
        (UInt64(offset) / UInt64(blockSize), Int(UInt64(offset) % UInt64(blockSize)))
    }

    /// Writes `range` of a block to the beginning of `destination`.
    private func write(_ block: UInt64, _ range: Range<Int>, to destination: UnsafeMutableRawBufferPointer) {
        let number = SplitMix64.mix(seed &+ block &* 0x9E37_79B9_7F4A_7C15)
        let cut = Int(number & 0xFFFF)
        Self.table.withUnsafeBytes { table in
            destination.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: table[(cut + range.lowerBound)..<(cut + range.upperBound)])
            )
        }
        withUnsafeBytes(of: number.littleEndian) { header in
            guard range.lowerBound < header.count else { return }
            let part = header[range.lowerBound..<min(range.upperBound, header.count)]
            destination.copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
        }
    }
}

/// As `elementsEqual`, at the speed of `memcmp` in debug builds too.
private func isEqual(_ left: Slice<UnsafeRawBufferPointer>, _ right: Slice<UnsafeMutableRawBufferPointer>) -> Bool {
    let left = UnsafeRawBufferPointer(rebasing: left)
    let right = UnsafeRawBufferPointer(UnsafeMutableRawBufferPointer(rebasing: right))
    guard left.count == right.count, let first = left.baseAddress, let second = right.baseAddress else {
        return left.count == right.count
    }
    return memcmp(first, second, left.count) == 0
}
