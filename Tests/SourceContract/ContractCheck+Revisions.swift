import SourcePlugins

extension ContractCheck {
    static let revisions: [ContractCheck] = [
        ContractCheck("the size is the size") { fixture in
            let size = try await fixture.source.open(fixture.sample.path).info.size
            try expect(size == fixture.sample.size, "the size is \(String(describing: size))")
        },
        ContractCheck("opening twice finds the same") { fixture in
            let first = try await fixture.source.open(fixture.sample.path)
            let second = try await fixture.source.open(fixture.sample.path)
            try expect(first.info.ofTheObject == second.info.ofTheObject, "\(first.info) became \(second.info)")
        },
        ContractCheck("reading changes nothing of what is known") { fixture in
            let object = try await fixture.source.open(fixture.sample.path)
            let before = object.info
            try await expectBytes(fixture.sample.content, 0..<fixture.sample.size, of: object)
            let after = try await fixture.source.open(fixture.sample.path).info
            try expect(object.info == before && after.ofTheObject == before.ofTheObject, "\(before) became \(after)")
        },
        ContractCheck("other bytes have another revision") { fixture in
            guard let change = fixture.change else { return }
            let before = try await fixture.source.open(fixture.sample.path).info
            let content = try await change()
            let object = try await fixture.source.open(fixture.sample.path)
            try expect(
                object.info.revision == nil || object.info.revision != before.revision,
                "the revision is still \(String(describing: before.revision))"
            )
            try await expectBytes(content, 0..<fixture.sample.size, of: object)
        },
        ContractCheck("a read under way never gives the bytes of another revision") { fixture in
            guard let change = fixture.change else { return }
            let object = try await fixture.source.open(fixture.sample.path)
            let stream = try await object.read(0..<fixture.sample.size)
            _ = try await change()
            do {
                try await expectBytes(fixture.sample.content, 0..<fixture.sample.size, from: stream)
            } catch let error as SourceError {
                try expect(error.code == .changed, "the read ends with \(error)")
            }
        },
    ]
}

extension ObjectInfo {
    /// Without what an answer says of itself.
    fileprivate var ofTheObject: ObjectInfo {
        var info = self
        info.caching = nil
        return info
    }
}
