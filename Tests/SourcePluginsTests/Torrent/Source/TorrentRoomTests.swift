import NIOCore
import SourceContract
import SourcePlugins
import Testing

@Suite(.enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .timeLimit(.minutes(2)))
struct TorrentRoomTests {
    @Test("however many are opened at once, no more are loaded than may be; the others are refused in the end")
    func many() async throws {
        var seeders: [Seeder] = []
        for seed in 1...6 { seeders.append(try await Seeder("--file", "film.mp4:300000", "--seed", "\(seed)")) }
        let contents = try seeders.map { try $0.content() }
        let links = seeders.map(\.torrent.magnet)
        try await withTorrents {
            $0.maxActive = 3
            $0.metadataTimeout = .seconds(2)
        } _: { torrents in
            var files: [ItemDescription.File] = []
            for link in links { files.append(try #require(try await torrents.add(link).files.first)) }
            let (door, waits) = (Gate(), Observed((held: Set<Int>(), ended: 0)))
            // Each begins to read, and stays until all have begun or been refused.
            let isRight = try await withThrowingTaskGroup(of: Bool?.self) { [files] tasks in
                for task in 0..<50 {
                    tasks.addTask {
                        let number = task % files.count
                        do {
                            let stream = try await torrents.open(files[number]).read(0..<300_000)
                            waits.update { (waits: inout (held: Set<Int>, ended: Int)) in
                                waits.held.insert(number)
                                waits.ended += 1
                            }
                            try await door.pass()
                            var bytes: [UInt8] = []
                            while let buffer = try await stream.next() { bytes += buffer.readableBytesView }
                            return bytes == contents[number]
                        } catch let error as SourceError where error.code == .overloaded {
                            waits.update { $0.ended += 1 }
                            return nil
                        }
                    }
                }
                let held = try await waits.until { $0.ended == 50 }.held
                #expect(held.count == 3)
                #expect(await torrents.source.statuses().count { $0.state != .stored } == 3)
                door.open()
                return try await tasks.reduce(into: []) { $0.append($1) }
            }
            #expect(isRight.allSatisfy { $0 != false })
            let held = waits.value.held
            let expected = (0..<50).count { held.contains($0 % 6) }
            #expect(isRight.count { $0 == true } == expected)
            // And nothing of that is left in the way.
            for (file, content) in zip(files, contents) {
                #expect(try await torrents.bytes(file).elementsEqual(content))
            }
        }
        withExtendedLifetime(seeders) {}
    }
}
