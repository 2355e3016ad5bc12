import SourcePlugins

extension ContractCheck {
    private static func ranges(
        _ description: String,
        _ ranges: @escaping @Sendable (Int64) -> [Range<Int64>]
    ) -> ContractCheck {
        ContractCheck(description) { fixture in
            let object = try await fixture.source.open(fixture.sample.path)
            for range in ranges(fixture.sample.size) {
                try await expectBytes(fixture.sample.content, range, of: object)
            }
        }
    }

    static let reading: [ContractCheck] = [
        ranges("the first byte can be read alone") { _ in [0..<1] },
        ranges("the last byte can be read alone") { [($0 - 1)..<$0] },
        ranges("a byte in the middle can be read alone") { [($0 / 2)..<($0 / 2 + 1)] },
        ranges("reads cross every border of a mebibyte") { size in
            stride(from: Int64(1 << 20), to: size, by: 1 << 20).flatMap { (border: Int64) -> [Range<Int64>] in
                [(border - 1)..<(border + 1), (border - 1)..<border, border..<(border + 1)]
            }
        },
        ranges("the whole object can be read") { [0..<$0] },
        ranges("the end of the object can be read from anywhere") { size in
            [1, 4095, 4097, 65_537, 1_048_577].map { (size - $0)..<size }
        },
        ranges("any range gives the bytes at its offsets") { size in
            var random = SplitMix64(seed: 1)
            return (0..<48).map { _ -> Range<Int64> in
                let start = Int64.random(in: 0..<size, using: &random)
                let last = Int64.random(in: start..<size, using: &random)
                return start..<(last + 1)
            }
        },
        ContractCheck("an empty range has no bytes") { fixture in
            let object = try await fixture.source.open(fixture.sample.path)
            for offset in [0, fixture.sample.size / 2, fixture.sample.size] {
                try await expectBytes(fixture.sample.content, offset..<offset, of: object)
            }
        },
        ContractCheck("an object without bytes has size 0 and reads as nothing") { fixture in
            guard let path = fixture.empty else { return }
            let object = try await fixture.source.open(path)
            try expect(object.info.size == 0, "the size is \(String(describing: object.info.size))")
            try await expectBytes(fixture.sample.content, 0..<0, of: object)
        },
        ContractCheck("offsets past 4 GiB are exact") { fixture in
            guard let large = fixture.large else { return }
            let object = try await fixture.source.open(large.path)
            try expect(object.info.size == large.size, "the size is \(String(describing: object.info.size))")
            for range in large.known ?? [(large.size - 70_000)..<large.size] {
                try await expectBytes(large.content, range, of: object)
            }
        },
        ContractCheck("one object has many readers at once") { fixture in
            let object = try await fixture.source.open(fixture.sample.path)
            try await readInParallel(fixture.sample) { object }
        },
        ContractCheck("many readers open the object each for itself") { fixture in
            try await readInParallel(fixture.sample) { try await fixture.source.open(fixture.sample.path) }
        },
    ]

    private static func readInParallel(
        _ sample: ContractFixture.Sample,
        _ open: @escaping @Sendable () async throws -> any MediaObject
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for reader in 0..<8 {
                let start = sample.size / 16 * Int64(reader)
                group.addTask {
                    try await expectBytes(sample.content, start..<sample.size, of: open())
                }
            }
            try await group.waitForAll()
        }
    }
}
