import Glibc

/// The code of this process.
package enum ProgramMemory {
    /// Larger areas are tables of Foundation's, of which hardly anything is used.
    private static let largestArea = 32 << 20

    /// Has the kernel read the code into memory and keep it there, as far as it lets this process: where memory is short it
    /// otherwise drops what was not run for a second, and an event loop waits for the disk in the middle of a request.
    /// Blocks.
    ///
    /// What others than root may lock (RLIMIT_MEMLOCK) has to hold all of it.
    static func keepCode() {
        for area in codeAreas where area.count <= largestArea {
            // What is refused stays as it was.
            mlock(UnsafeRawPointer(bitPattern: area.lowerBound), area.count)
        }
    }

    /// Where the program's files lie, and its libraries'.
    package static var codeAreas: [Range<UInt>] {
        // The kernel gives it page by page, which Foundation takes for its end.
        guard let file = fopen("/proc/self/maps", "re") else { return [] }
        defer { fclose(file) }
        var areas: [Range<UInt>] = []
        var (line, capacity): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
        defer { free(line) }
        while getline(&line, &capacity, file) >= 0, let text = line {
            if let area = codeArea(String(cString: text)) { areas.append(area) }
        }
        return areas
    }

    /// Where a file lies that a line of proc(5)'s `maps` tells of, if it is part of the program: private.
    package static func codeArea(_ line: some StringProtocol) -> Range<UInt>? {
        let fields = line.split(separator: " ")
        guard fields.count >= 6, fields[1].hasPrefix("r"), fields[1].hasSuffix("p"), fields[5].hasPrefix("/") else {
            return nil
        }
        let ends = fields[0].split(separator: "-").map { UInt($0, radix: 16) }
        guard ends.count == 2, let start = ends[0], let end = ends[1], start < end else { return nil }
        return start..<end
    }
}
