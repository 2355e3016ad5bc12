import ChunkCache
import Testing

struct MappedAreaTests {
    @Test("a line of maps tells of a part of a file, or of none")
    func lines() {
        let lines: [(String, addresses: Range<UInt>, path: String, isShared: Bool)] = [
            (
                "5e0cbea3000-5e0cd512000 r-xp 00a0 fe:00 98                      /usr/bin/media gateway\n",
                0x5e0_cbea_3000..<0x5e0_cd51_2000, "/usr/bin/media gateway", false
            ),
            (
                "5e0cd71d000-5e0cd725000 rw-p 0187 fe:00 98 /usr/bin/media-gateway",
                0x5e0_cd71_d000..<0x5e0_cd72_5000, "/usr/bin/media-gateway", false
            ),
            (
                "7ff8a5e00000-7ff9d3f48000 r--s 0000 fe:00 98 /var/cache/data.mdb",
                0x7ff8_a5e0_0000..<0x7ff9_d3f4_8000, "/var/cache/data.mdb", true
            ),
            (
                "55e0cd71d000-55e0cd725000 rw-s 0187 fe:00 98 /var/cache/lock.mdb\n",
                0x55e0_cd71_d000..<0x55e0_cd72_5000, "/var/cache/lock.mdb", true
            ),
        ]
        for (line, addresses, path, isShared) in lines {
            let area = MappedArea(line)
            #expect(area?.addresses == addresses)
            #expect(area?.path == path)
            #expect(area?.isShared == isShared)
        }
        for line in [
            "55e0cd71d000-55e0cd725000 rw-p 0000 00:00 0 [heap]\n",
            "7ffd1c1f2000-7ffd1c1f4000 r--p 0000 00:00 0 \n",
            "7ffa1ff71000-7ffa1da00000 r--p 0000 fe:00 98 /usr/lib/libc.so.6",
            "-- r--p 0000 fe:00 98 /usr/lib/libc.so.6",
            "7ffd1c1f2000-7ffd1c1f4000 ---p 0000 fe:00 98 /usr/lib/libc.so.6", "",
        ] {
            #expect(MappedArea(line) == nil)
        }
    }
}
