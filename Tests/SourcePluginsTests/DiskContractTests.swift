import SourceContract
import SourcePlugins
import Testing

@Suite("Disk: the contract of sources", .timeLimit(.minutes(2)))
struct DiskContractTests {
    @Test("with openat2", arguments: ContractCheck.all)
    func kernelResolution(_ check: ContractCheck) async throws {
        try await withDisk { try await check.run(fixture($0)) }
    }

    @Test("component by component", arguments: ContractCheck.all)
    func componentwiseResolution(_ check: ContractCheck) async throws {
        try await withDisk(usesOpenat2: false) { try await check.run(fixture($0)) }
    }

    @Test("with every call on the pool", arguments: ContractCheck.all)
    func poolOnly(_ check: ContractCheck) async throws {
        try await withDisk(skipsPool: false) { try await check.run(fixture($0)) }
    }

    @Test("with links followed", arguments: ContractCheck.all)
    func followingLinks(_ check: ContractCheck) async throws {
        try await withDisk(followsLinks: true) { disk in
            let linked = try fixture(disk)
            try disk.directory.rename("root/films/sample.mkv", to: "root/kept.mkv")
            try disk.directory.link("root/films/sample.mkv", to: "../kept.mkv")
            try await check.run(linked)
        }
    }

    private func fixture(_ disk: DiskUnderTest) throws -> ContractFixture {
        let directory = disk.directory
        let size: Int64 = 3 << 20 | 12_345
        try directory.makeDirectory("root/films")
        try directory.write("root/films/sample.mkv", PatternBytes("sample"), size: size)
        try directory.write("root/empty.mp4", PatternBytes("empty"), size: 0)

        let largeSize: Int64 = 1 << 40
        let known: [Range<Int64>] = [
            0..<1, (1 << 32 - 3)..<(1 << 32 + 70_001), (largeSize - 300_000)..<largeSize,
        ]
        try directory.writeSparse("root/large.ts", PatternBytes("large"), size: largeSize, known)

        var fixture = ContractFixture(
            source: disk.source,
            sample: try .init("films/sample.mkv", PatternBytes("sample"), size: size),
            missing: try MediaPath("films/none.mkv")
        )
        fixture.large = try .init("large.ts", PatternBytes("large"), size: largeSize, known: known)
        fixture.empty = try MediaPath("empty.mp4")
        fixture.directory = try MediaPath("films")
        fixture.change = {
            let content = PatternBytes("sample", generation: 1)
            try directory.write("root/films/sample.mkv", content, size: size, age: 1800)
            return content
        }
        fixture.untilIdle = { try await directory.untilNothingIsOpen(disk.context) }
        return fixture
    }
}
