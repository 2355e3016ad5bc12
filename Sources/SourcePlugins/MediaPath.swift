/// A path within one source, decoded and normalised: the bytes between its slashes are the bytes of names.
///
/// A path that exists is safe to walk: no component is empty, `.`, `..`, or holds a slash or a NUL. Names are bytes,
/// not text, since file systems and torrents hold names that are not UTF-8.
package struct MediaPath: Sendable, Hashable, CustomStringConvertible {
    /// The components joined by `/`, without one at either end.
    package let bytes: [UInt8]
    /// Whether the path was written with a slash at its end, or is the root.
    package let isDirectory: Bool

    package static let root = MediaPath(unchecked: [], isDirectory: true)

    private init(unchecked bytes: [UInt8], isDirectory: Bool) {
        self.bytes = bytes
        self.isDirectory = isDirectory
    }

    /// Decodes a percent-encoded path, with or without one slash at its start. A `+` is a plus.
    ///
    /// - Throws: ``SourceError`` `badPath`: a broken escape, an empty component, `.` or `..`, an encoded slash or NUL.
    package init(percentEncoded raw: some Sequence<UInt8>) throws {
        var decoded: [UInt8] = []
        var iterator = raw.makeIterator()
        var isFirst = true
        while let byte = iterator.next() {
            defer { isFirst = false }
            guard byte == UInt8(ascii: "%") else {
                if byte == UInt8(ascii: "/"), isFirst { continue }
                guard byte != 0 else { throw SourceError(.badPath, "the path holds a NUL byte") }
                decoded.append(byte)
                continue
            }
            guard let high = iterator.next().flatMap(PercentEncoding.hexadecimalDigit),
                let low = iterator.next().flatMap(PercentEncoding.hexadecimalDigit)
            else {
                throw SourceError(.badPath, "the path has a % that is not followed by two hexadecimal digits")
            }
            let value = high << 4 | low
            guard value != 0, value != UInt8(ascii: "/") else {
                throw SourceError(.badPath, "the path holds an encoded slash or NUL")
            }
            decoded.append(value)
        }
        try self.init(decoded: decoded)
    }

    /// - Throws: ``SourceError`` `badPath`, as above.
    package init(_ path: String) throws {
        try self.init(decoded: Array(path.utf8))
    }

    private init(decoded: [UInt8]) throws {
        guard !decoded.isEmpty else {
            self = .root
            return
        }
        let isDirectory = decoded.last == UInt8(ascii: "/")
        let bytes = isDirectory ? Array(decoded.dropLast()) : decoded
        for component in bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            try Component.validate(component)
        }
        self.init(unchecked: bytes, isDirectory: isDirectory)
    }

    package var isRoot: Bool { bytes.isEmpty }

    package var components: [Component] {
        bytes.split(separator: UInt8(ascii: "/")).map { Component(unchecked: Array($0)) }
    }

    /// The last component; `nil` for the root.
    package var name: Component? {
        isRoot ? nil : Component(unchecked: Array(bytes[nameStart...]))
    }

    /// The directory that holds this; `nil` for the root.
    package var parent: MediaPath? {
        guard !isRoot else { return nil }
        return MediaPath(unchecked: Array(bytes[..<max(nameStart - 1, 0)]), isDirectory: true)
    }

    package func appending(_ name: Component, isDirectory: Bool = false) -> MediaPath {
        MediaPath(
            unchecked: isRoot ? name.bytes : bytes + [UInt8(ascii: "/")] + name.bytes,
            isDirectory: isDirectory
        )
    }

    private var nameStart: Int {
        bytes.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
    }

    /// The path as it stands in a URL, without a slash in front.
    package var percentEncoded: String {
        components.map(\.percentEncoded).joined(separator: "/") + (isDirectory && !isRoot ? "/" : "")
    }

    /// For people: bytes that are not UTF-8 are replaced.
    package var description: String { String(decoding: bytes, as: UTF8.self) }
}

extension MediaPath {
    /// One name of a path.
    package struct Component: Sendable, Hashable, Comparable, CustomStringConvertible {
        package let bytes: [UInt8]

        /// - Throws: ``SourceError`` `badPath` if `bytes` is empty, `.`, `..`, or holds a slash or a NUL.
        package init(_ bytes: some Collection<UInt8>) throws {
            try Self.validate(bytes)
            self.bytes = Array(bytes)
        }

        /// For bytes that were checked, or were cut out of a path that was.
        fileprivate init(unchecked bytes: [UInt8]) {
            self.bytes = bytes
        }

        fileprivate static func validate(_ bytes: some Collection<UInt8>) throws {
            guard !bytes.isEmpty else { throw SourceError(.badPath, "the path has an empty component") }
            guard !(bytes.count <= 2 && bytes.allSatisfy { $0 == UInt8(ascii: ".") }) else {
                throw SourceError(.badPath, "the path has a component that is . or ..")
            }
            guard !bytes.contains(0), !bytes.contains(UInt8(ascii: "/")) else {
                throw SourceError(.badPath, "the path has a name with a slash or a NUL byte")
            }
        }

        /// The part after the last dot in lower case; empty if there is none or the name starts with its only dot.
        package var fileExtension: String {
            guard let dot = bytes.lastIndex(of: UInt8(ascii: ".")), dot > 0 else { return "" }
            return String(decoding: bytes[(dot + 1)...], as: UTF8.self).lowercased()
        }

        /// The name without its extension and the dot before it.
        package var stem: ArraySlice<UInt8> {
            guard let dot = bytes.lastIndex(of: UInt8(ascii: ".")), dot > 0 else { return bytes[...] }
            return bytes[..<dot]
        }

        package var percentEncoded: String { PercentEncoding.encoded(bytes) }

        package var description: String { String(decoding: bytes, as: UTF8.self) }

        package static func < (left: Component, right: Component) -> Bool {
            left.bytes.lexicographicallyPrecedes(right.bytes)
        }
    }
}
