import Glibc

/// A part of a file that is mapped into this process.
package struct MappedArea: Sendable, Equatable {
    package let addresses: Range<UInt>
    package let path: String
    /// Whether what is written there goes to the file.
    package let isShared: Bool

    /// Those that can be read, as `/proc/self/maps` has them. Blocks.
    package static var all: [MappedArea] {
        // The kernel gives it page by page, which Foundation takes for its end.
        guard let file = fopen("/proc/self/maps", "re") else { return [] }
        defer { fclose(file) }
        var areas: [MappedArea] = []
        var (line, capacity): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
        defer { free(line) }
        while getline(&line, &capacity, file) >= 0, let text = line {
            if let area = MappedArea(String(cString: text)) { areas.append(area) }
        }
        return areas
    }

    /// - Parameter line: of `maps`, as proc(5) describes it.
    /// - Returns: `nil` if it tells of no file, or of what cannot be read.
    package init?(_ line: some StringProtocol) {
        let fields = line.split(separator: " ", maxSplits: 5)
        guard fields.count == 6, fields[1].hasPrefix("r") else { return nil }
        let path = fields[5].drop { $0 == " " }
        guard path.hasPrefix("/") else { return nil }
        let ends = fields[0].split(separator: "-").map { UInt($0, radix: 16) }
        guard ends.count == 2, let start = ends[0], let end = ends[1], start < end else { return nil }
        addresses = start..<end
        self.path = String(path.prefix { $0 != "\n" })
        isShared = fields[1].hasSuffix("s")
    }

    /// Has the kernel read it into memory and keep it there. Blocks.
    ///
    /// - Returns: `false` if it does not let this process (RLIMIT_MEMLOCK).
    @discardableResult
    package func keep() -> Bool { Self.keep(addresses) }

    /// The same for a part of an area.
    @discardableResult
    static func keep(_ addresses: Range<UInt>) -> Bool {
        mlock(UnsafeRawPointer(bitPattern: addresses.lowerBound), addresses.count) == 0
    }
}
