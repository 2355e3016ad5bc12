/// How much of the map is in use, in pages.
package struct LMDBUsage: Sendable, Hashable {
    package var pageSize: Int
    /// All that there can be.
    package var mapPages: Int
    /// Holding records or what it takes to find them. The others may still be held back by a read that is not over.
    package var usedPages: Int
    /// Ever used: the file is about this long, and never gets shorter.
    package var filePages: Int

    /// What the file takes of the disk: less than its length if it has holes, where pages were given back.
    package var diskBytes: Int64

    /// What was given back.
    package var holeBytes: Int64 { max(Int64(filePages) &* Int64(pageSize) &- diskBytes, 0) }

    /// What is free and takes something of the disk: as much may be stored before the file takes more, if no holes are in
    /// the way.
    package var freeBytes: Int64 {
        max(Int64(max(filePages &- usedPages, 0)) &* Int64(pageSize) &- holeBytes, 0)
    }
}
