package import ChunkCache

/// The code of this process.
package enum ProgramMemory {
    /// Larger areas are tables of Foundation's, of which hardly anything is used.
    private static let largestArea = 32 << 20

    /// Has the kernel keep the code in memory: where that is short it otherwise drops what was not run for a second, and an
    /// event loop waits for the disk in the middle of a request. Blocks.
    ///
    /// What others than root may lock (RLIMIT_MEMLOCK) has to hold all of it.
    static func keepCode() {
        for area in codeAreas where area.addresses.count <= largestArea { area.keep() }
    }

    /// Where the program's files lie, and its libraries'.
    package static var codeAreas: [MappedArea] { MappedArea.all.filter { !$0.isShared } }
}
