import CLinux
import Foundation

/// The code of this process.
package enum ProgramMemory {
    /// Has the kernel keep the code that was run once in memory, as far as it lets this process: where memory is short it
    /// otherwise drops what was not run for a second, and an event loop waits for the disk in the middle of a request.
    ///
    /// What others than root may lock (RLIMIT_MEMLOCK) has to hold all of the program's address space, of which what was
    /// never run takes no memory.
    static func keepCode() { _ = isCodeKept }

    private static let isCodeKept: Void = {
        guard let maps = try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8) else { return }
        for line in maps.split(separator: "\n") {
            guard let area = codeArea(line) else { continue }
            // What is refused stays as it was.
            _ = clinux_keep_in_memory(UnsafeRawPointer(bitPattern: area.lowerBound), UInt64(area.count))
        }
    }()

    /// Where a file lies that a line of proc(5)'s `maps` tells of, if it is code or constants: private, and not to be
    /// written.
    package static func codeArea(_ line: some StringProtocol) -> Range<UInt>? {
        let fields = line.split(separator: " ")
        guard fields.count >= 6, ["r-xp", "r--p"].contains(fields[1]), fields[5].hasPrefix("/") else { return nil }
        let ends = fields[0].split(separator: "-").map { UInt($0, radix: 16) }
        guard ends.count == 2, let start = ends[0], let end = ends[1], start < end else { return nil }
        return start..<end
    }
}
