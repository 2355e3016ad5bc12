import SourcePlugins

extension ContractCheck {
    static let namespace: [ContractCheck] = [
        ContractCheck("a path without an object is not found") { fixture in
            try await expect(.notFound, "opening it") { try await fixture.source.open(fixture.missing) }
        },
        ContractCheck("there is nothing below an object") { fixture in
            let below = try fixture.sample.path.appending(MediaPath.Component("x".utf8))
            try await expect(.notFound, "opening it") { try await fixture.source.open(below) }
        },
        ContractCheck("a directory is not an object, however it is written") { fixture in
            try await expect(.notFound, "opening the root") { try await fixture.source.open(.root) }
            guard let directory = fixture.directory else { return }
            let bare = try MediaPath(String(decoding: directory.bytes, as: UTF8.self))
            let slashed = try MediaPath(String(decoding: directory.bytes, as: UTF8.self) + "/")
            try await expect(.notFound, "opening \(bare)") { try await fixture.source.open(bare) }
            try await expect(.notFound, "opening \(slashed)/") { try await fixture.source.open(slashed) }
        },
        ContractCheck("no lease is given for what is not there") { fixture in
            try expect(fixture.source.lease(fixture.missing) == nil, "there is a lease")
            try await fixture.untilIdle?()
        },
        ContractCheck("whatever is listed can be opened and has the size it is listed with") { fixture in
            guard let source = fixture.source as? any ListingSource else { return }
            var directories = [MediaPath.root]
            var files: Set<MediaPath> = []
            while let directory = directories.popLast() {
                let entries = try await source.list(directory)
                try expect(entries.map(\.name) == entries.map(\.name).sorted(), "\(directory) is not sorted")
                for entry in entries {
                    switch entry.kind {
                    case .directory:
                        directories.append(directory.appending(entry.name, isDirectory: true))
                    case .file(let size):
                        let path = directory.appending(entry.name)
                        let info = try await source.open(path).info
                        try expect(info.size ?? size == size, "\(path) is listed with \(size)")
                        try expect(info.lastModified == entry.lastModified, "\(path) has two times")
                        files.insert(path)
                    }
                }
            }
            try expect(files.contains(fixture.sample.path), "\(fixture.sample.path) is not listed")
        },
        ContractCheck("what is not a directory cannot be listed") { fixture in
            guard let source = fixture.source as? any ListingSource else { return }
            try await expect(.notFound, "listing it") { try await source.list(fixture.missing) }
            try await expect(.notFound, "listing it") { try await source.list(fixture.sample.path) }
        },
    ]
}
