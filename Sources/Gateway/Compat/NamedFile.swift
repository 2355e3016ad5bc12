package import SourcePlugins

/// What a name means in an item: the file of that path, else the only file whose path ends in it.
package enum NamedFile: Sendable {
    case found(ItemDescription.File)
    case ambiguous([ItemDescription.File])
    case missing

    package init(_ name: [UInt8], in item: ItemDescription) {
        let exact = item.files.filter { ItemContents.path(of: $0).elementsEqual(name) }
        let files = exact.isEmpty ? item.files.filter { Self.ends(ItemContents.path(of: $0), in: name) } : exact
        switch (files.count, files.first) {
        case (1, let file?): self = .found(file)
        case (0, _): self = .missing
        default: self = .ambiguous(files)
        }
    }

    /// Whether the last names of `path` are `name`.
    private static func ends(_ path: ArraySlice<UInt8>, in name: [UInt8]) -> Bool {
        guard !name.isEmpty, path.count > name.count, path.suffix(name.count).elementsEqual(name) else { return false }
        return path.dropLast(name.count).last == UInt8(ascii: "/")
    }
}
