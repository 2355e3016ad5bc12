package import SourcePlugins

/// What is in an item, as requests ask for it.
package struct ItemContents: Sendable {
    package let description: ItemDescription

    package init(_ description: ItemDescription) {
        self.description = description
    }

    /// The path of a file within its item, in its bytes.
    package static func path(of file: ItemDescription.File) -> ArraySlice<UInt8> {
        guard let slash = file.path.bytes.firstIndex(of: UInt8(ascii: "/")) else { return file.path.bytes[...] }
        return file.path.bytes[(slash + 1)...]
    }

    package static func type(of file: ItemDescription.File) -> MediaType? {
        file.path.name.map(MediaType.init(of:))
    }

    /// What a player most likely wants: the largest video, or the largest sound if there is no video.
    package var main: ItemDescription.File? { largest(.video) ?? largest(.audio) }

    package func largest(_ kind: MediaType.Kind) -> ItemDescription.File? {
        description.files.filter { Self.type(of: $0)?.kind == kind }.max { $0.size < $1.size }
    }

    /// - Throws: ``RequestProblem`` if there is no file of that number to be seen.
    package func file(_ index: Int) throws(RequestProblem) -> ItemDescription.File {
        guard let file = description.files.first(where: { $0.index == index }) else {
            throw RequestProblem(404, .notFound, "the item has no file of the number \(index)")
        }
        return file
    }

    /// Where a file is in its source: its path, or its number if another file has the same path.
    package func address(of file: ItemDescription.File) -> MediaPath {
        let isUnique = description.files.count { $0.path == file.path } == 1
        return isUnique ? file.path : numberedPath(of: file)
    }

    /// The number that `path` gives in place of a file's path: `{id}/~3`.
    package static func index(in path: MediaPath) -> Int? {
        let components = path.components
        guard components.count == 2, !path.isDirectory, let name = components.last?.bytes,
            name.first == UInt8(ascii: "~"), name.count > 1, name.dropFirst().allSatisfy(isDigit)
        else { return nil }
        return Int(String(decoding: name.dropFirst(), as: UTF8.self))
    }

    func numberedPath(of file: ItemDescription.File) -> MediaPath {
        guard let item = file.path.components.first, let name = try? MediaPath.Component("~\(file.index)".utf8) else {
            return file.path
        }
        return MediaPath.root.appending(item, isDirectory: true).appending(name)
    }

    /// The subtitles of the item's videos, by the directory they are in.
    func subtitles() -> [MediaPath: SubtitleIndex] {
        var files: [MediaPath: [(name: MediaPath.Component, size: Int64)]] = [:]
        for file in description.files {
            guard let name = file.path.name, let parent = file.path.parent else { continue }
            files[parent, default: []].append((name, file.size))
        }
        return files.mapValues { SubtitleIndex(files: $0) }
    }
}

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
