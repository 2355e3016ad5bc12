import Foundation
import SourceContract
import SourcePlugins
import Testing

/// Files that ffmpeg writes, where there is one.
@Suite("IndexScan: real files", .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/ffmpeg")))
struct IndexScanFileTests {
    /// - Returns: the file's bytes and what a scan makes of them.
    private func make(_ name: String, _ options: [String]) async throws -> (bytes: [UInt8], outcome: IndexScan.Outcome)
    {
        try await withTemporaryDirectory { directory in
            let source = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=10:duration=12"]
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/ffmpeg")
            process.arguments = ["-v", "error", "-nostdin"] + source + options + [directory.path(name)]
            process.standardInput = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0)
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory.path(name))))
            return (bytes, scan(bytes))
        }
    }

    @Test("an MP4 and a MOV have their moov at the end", arguments: ["a.mp4", "a.mov"])
    func moov(name: String) async throws {
        let file = try await make(name, ["-c:v", "mpeg4"])
        guard case .ranges(let ranges) = file.outcome, let range = ranges.first else {
            Issue.record("nothing was found: \(file.outcome)")
            return
        }
        let index = Array(file.bytes[Int(range.lowerBound)..<Int(range.upperBound)])
        #expect(ranges.count == 1)
        #expect(index.dropFirst(4).prefix(8).elementsEqual(Array("moov".utf8) + index[8..<12]))
        #expect(index[12..<16].elementsEqual("mvhd".utf8))
        #expect(range.upperBound == file.bytes.count)
    }

    @Test(
        "a file that is made for streaming has nothing to be fetched out of order",
        arguments: [
            ("a.mp4", ["-c:v", "mpeg4", "-movflags", "+faststart"]),
            ("a.mp4", ["-c:v", "mpeg4", "-movflags", "+frag_keyframe+empty_moov"]),
            ("a.mkv", ["-c:v", "mpeg4", "-live", "1"]),
        ]
    )
    func streaming(name: String, options: [String]) async throws {
        #expect(try await make(name, options).outcome == .none)
    }

    @Test("a Matroska file has its Cues behind the last Cluster")
    func cues() async throws {
        let file = try await make("a.mkv", ["-c:v", "mpeg4", "-g", "10", "-cluster_time_limit", "1000"])
        guard case .ranges(let ranges) = file.outcome, let range = ranges.first else {
            Issue.record("nothing was found: \(file.outcome)")
            return
        }
        #expect(ranges.count == 1)
        #expect(file.bytes[Int(range.lowerBound)...].prefix(4) == [0x1C, 0x53, 0xBB, 0x6B])
        let rest = file.bytes[Int(range.upperBound)...]
        // Nothing, or the header of another element.
        #expect(rest.isEmpty || rest.starts(with: [0x12, 0x54, 0xC3, 0x67]) || rest.first == 0xEC)
    }
}
