import Gateway
import Glibc
import Testing

struct ProgramMemoryTests {
    @Test("the code of the program and of its libraries is found")
    func own() throws {
        let areas = ProgramMemory.codeAreas
        // A function of the C library, which is among the last.
        let function = try #require(dlsym(nil, "getline"))
        #expect(areas.contains { $0.contains(UInt(bitPattern: function)) })
        #expect(areas.allSatisfy { $0.lowerBound % 4096 == 0 && !$0.isEmpty })
        #expect(areas.count > 10)
    }

    @Test("the program and its libraries are kept, and nothing else")
    func areas() {
        let lines: [(String, Range<UInt>?)] = [
            ("5e0cbea3000-5e0cd512000 r-xp 00a0 fe:00 98 /usr/bin/media gateway", 0x5e0_cbea_3000..<0x5e0_cd51_2000),
            ("7ffa1da000-7ffa1ff710 r--p 0000 fe:00 98    /usr/lib/libc.so.6", 0x7f_fa1d_a000..<0x7f_fa1f_f710),
            ("7ff8a5e00000-7ff9d3f48000 r--s 0000 fe:00 98 /var/cache/data.mdb", nil),
            ("55e0cd71d000-55e0cd725000 rw-s 0187 fe:00 98 /var/cache/lock.mdb", nil),
            ("55e0cd71d000-55e0cd725000 rw-p 0000 00:00 0 [heap]", nil),
            ("5e0cd71d000-5e0cd725000 rw-p 0187 fe:00 98 /usr/bin/media-gateway", 0x5e0_cd71_d000..<0x5e0_cd72_5000),
            ("7ffd1c1f2000-7ffd1c1f4000 r-xp 0000 00:00 0 [vdso]", nil),
            ("7ffd1c1f2000-7ffd1c1f4000 r--p 0000 00:00 0", nil),
            ("7ffa1ff71000-7ffa1da00000 r--p 0000 fe:00 98 /usr/lib/libc.so.6", nil),
            ("-- r--p 0000 fe:00 98 /usr/lib/libc.so.6", nil), ("", nil),
        ]
        for (line, area) in lines { #expect(ProgramMemory.codeArea(line) == area) }
    }
}
