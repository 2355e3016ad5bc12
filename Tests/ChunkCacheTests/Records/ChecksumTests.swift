import CChecksum
import Testing

struct ChecksumTests {
    @Test(
        "the examples of RFC 3720 B.4 have the sums it gives",
        arguments: [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
            ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            ((0..<32).map { UInt8($0) }, 0x46DD_794E),
            ((0..<32).reversed().map { UInt8($0) }, 0x113F_DB5C),
            (readCommand, 0xD996_3A56),
            ([UInt8]("123456789".utf8), 0xE306_9283),
            ([], 0),
        ] as [([UInt8], UInt32)]
    )
    func examples(bytes: [UInt8], sum: UInt32) {
        #expect(checksum_crc32c(0, bytes, bytes.count) == sum)
        #expect(checksum_crc32c_portable(0, bytes, bytes.count) == sum)
    }

    /// An iSCSI read command, as in the RFC.
    private static let readCommand: [UInt8] =
        [0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0]
        + [0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0]

    @Test("the processor's instructions and the portable way agree, for every length, alignment and beginning")
    func agreement() {
        var random = RecordRandom(state: 1)
        let bytes = random.bytes(20_000)
        let lengths =
            Array(0...70) + [3071, 3072, 3073, 3079, 6144, 9216, 9217]
            + (0..<300).map { _ in random.number(0..<19_000) }
        bytes.withUnsafeBytes { bytes in
            for length in lengths {
                let start = random.number(0..<min(64, bytes.count - length) + 1)
                let part = UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])
                let begun = UInt32(truncatingIfNeeded: random.next())
                let expected = checksum_crc32c_portable(begun, part.baseAddress, length)
                #expect(checksum_crc32c(begun, part.baseAddress, length) == expected)
            }
        }
    }

    @Test("a message in two parts has the sum of the whole, summed up one after the other or each for itself")
    func parts() {
        var random = RecordRandom(state: 2)
        let bytes = random.bytes(10_000)
        let whole = checksum_crc32c(0, bytes, bytes.count)
        for cut in [0, 1, 7, 8, 3071, 3072, 5000, 9999, 10_000] {
            let rest = Array(bytes[cut...])
            let first = checksum_crc32c(0, bytes, cut)
            #expect(checksum_crc32c(first, rest, rest.count) == whole)
            #expect(checksum_crc32c_combine(first, checksum_crc32c(0, rest, rest.count), UInt64(rest.count)) == whole)
        }
    }

    @Test("a part may be longer than 32 bits can tell")
    func longParts() {
        // 5 GiB of zeros behind a byte, in the steps that 32 bits do not hold.
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        let mebibyte = checksum_crc32c(0, zeros, zeros.count)
        let gibibyte = (0..<10).reduce((sum: mebibyte, count: UInt64(1) << 20)) { part, _ in
            (checksum_crc32c_combine(part.sum, part.sum, part.count), part.count * 2)
        }
        let byte = checksum_crc32c(0, [1], 1)
        let inSteps = (0..<5).reduce(byte) { sum, _ in
            checksum_crc32c_combine(sum, gibibyte.sum, gibibyte.count)
        }
        let behind = (0..<5).reduce(UInt32(0)) { sum, _ in
            checksum_crc32c_combine(sum, gibibyte.sum, gibibyte.count)
        }
        #expect(checksum_crc32c_combine(byte, behind, 5 << 30) == inSteps)
    }
}
