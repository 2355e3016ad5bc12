package import ChunkCache
import Logging

/// The code of this process.
package enum ProgramMemory {
    /// Larger areas are tables of Foundation's, of which hardly anything is used.
    private static let largestArea = 32 << 20

    /// Has the kernel keep the code in memory: where that is short it otherwise drops what was not run for a second, and an
    /// event loop waits for the disk in the middle of a request. Blocks.
    ///
    /// What others than root may lock (RLIMIT_MEMLOCK) has to hold all of it.
    /// Nothing is kept where it would be more than a sixth of all memory, as that is worse.
    static func keepCode(_ logger: Logger) {
        let areas = codeAreas.filter { $0.addresses.count <= largestArea }
        guard areas.reduce(0, { $0 + $1.addresses.count }) <= MemoryLimit.bytes / 6 else { return }
        let refused = areas.filter { !$0.keep() }.reduce(0) { $0 + $1.addresses.count }
        guard refused > 0 else { return }
        logger.info(
            "not all of the program may be kept in memory: where that gets short, clients may wait for it",
            metadata: ["bytes": "\(refused)", "limit": "RLIMIT_MEMLOCK"]
        )
    }

    /// Where the program's files lie, and its libraries'.
    package static var codeAreas: [MappedArea] { MappedArea.all.filter { !$0.isShared } }
}
