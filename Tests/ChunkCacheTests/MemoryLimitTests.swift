import ChunkCache
import Foundation
import SourceContract
import Testing

struct MemoryLimitTests {
    @Test("the least limit of a group and of those around it counts, in either version")
    func groups() async throws {
        try await withTemporaryDirectory { directory in
            let root = directory.path
            for (file, text) in [
                ("memory.max", "9000"), ("a/memory.max", "max"), ("a/b/memory.max", "7000"),
                ("memory/memory.limit_in_bytes", "9223372036854771712"), ("memory/x/memory.limit_in_bytes", "5000"),
                ("memory/x/y/memory.limit_in_bytes", "6000"),
            ] {
                let place = URL(filePath: root + "/" + file)
                try FileManager.default.createDirectory(
                    at: place.deletingLastPathComponent(),
                    withIntermediateDirectories: true
                )
                try Data((text + "\n").utf8).write(to: place)
            }
            for (groups, limit) in [
                ("0::/a/b\n", 7000), ("0::/a\n", 9000), ("0::/\n", 9000), ("0::/of/the/machine\n", 9000),
                ("9:cpu:/x\n4:memory:/x/y\n0::/none\n", 5000), ("4:cpuset,memory:/\n", 9_223_372_036_854_771_712),
                ("9:cpu:/x\n", nil), ("", nil), ("memory", nil),
            ] as [(String, Int64?)] {
                #expect(MemoryLimit.ofGroups(named: groups, below: root) == limit, "\(groups)")
            }
        }
        #expect(MemoryLimit.bytes > 16 << 20)
    }
}
