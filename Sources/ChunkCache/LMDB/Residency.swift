import Glibc

/// Whether bytes of a mapped file are in memory, and how to get them there, and away.
///
/// For one mebibyte, with a processor that was busy with other things as well: to ask takes about 2 µs; to load what is
/// there 40 to 60 µs the first time after the file was mapped, 20 to 30 µs later. To load what is not there takes as long
/// as the disk, so it is done off the event loops, and in few requests: page fault by page fault, a disk reads less than
/// a tenth as fast.
///
/// The answer may be out of date as soon as it is given. The kernel drops pages that nobody used for long, and not
/// those that were just loaded, unless memory is very short.
package enum Residency {
    private static let pageSize = max(sysconf(Int32(_SC_PAGESIZE)), 1)
    /// Pages that are asked about in one call, so that the answer fits on the stack: 4 MiB.
    private static let pagesAtOnce = 1024

    /// Whether a read of `bytes` would wait for no disk.
    ///
    /// Of a file that the process neither owns nor may write, the kernel says yes to everything.
    package static func isResident(_ bytes: UnsafeRawBufferPointer) -> Bool {
        allPages(of: bytes) { answers in answers.reduce(1, &) & 1 == 1 }
    }

    /// Whether the first and the last page of `bytes`, which is not empty, are in memory: the others are most likely, too.
    static func hasEnds(_ bytes: UnsafeRawBufferPointer) -> Bool {
        isResident(UnsafeRawBufferPointer(rebasing: bytes.prefix(1)))
            && isResident(UnsafeRawBufferPointer(rebasing: bytes.suffix(1)))
    }

    /// Whether a read of `bytes` would wait for the disk at every page of them.
    static func isAbsent(_ bytes: UnsafeRawBufferPointer) -> Bool {
        allPages(of: bytes) { answers in answers.reduce(0, |) & 1 == 0 }
    }

    /// Whether `condition` holds for what the kernel says of the pages, part by part: a page is in memory if the lowest
    /// bit is set.
    private static func allPages(
        of bytes: UnsafeRawBufferPointer,
        _ condition: (Slice<UnsafeMutableBufferPointer<UInt8>>) -> Bool
    ) -> Bool {
        guard let pages = pages(of: bytes) else { return true }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: pagesAtOnce) { answers in
            var (next, left) = pages
            while left > 0 {
                let count = min(left, pagesAtOnce)
                guard mincore(next, count * pageSize, answers.baseAddress) == 0 else { return false }
                guard condition(answers.prefix(count)) else { return false }
                next += count * pageSize
                left -= count
            }
            return true
        }
    }

    /// Reads `bytes` into memory, so that the next read of them meets neither the disk nor a page fault.
    ///
    /// - Returns: `false` if a read of them would be a bus error. Kernels before 5.14 cannot tell.
    @discardableResult
    package static func load(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let (start, count) = pages(of: bytes) else { return true }
        request(bytes)
        if madvise(start, count * pageSize, MADV_POPULATE_READ) == 0 { return true }
        guard errno == EINVAL else { return errno != EFAULT && errno != EHWPOISON }
        touch(bytes)
        return true
    }

    /// Has the kernel begin to read what is missing of `bytes`, in few and large requests.
    static func request(_ bytes: UnsafeRawBufferPointer) {
        guard let (start, count) = pages(of: bytes) else { return }
        // Advice that the kernel does not take costs speed and nothing else.
        _ = madvise(start, count * pageSize, MADV_WILLNEED)
    }

    /// Has the kernel drop `bytes` from memory, where they were read and are not to stay.
    ///
    /// What other processes have mapped stays, what was never loaded here, and what is not yet written to the disk.
    package static func drop(_ bytes: UnsafeRawBufferPointer) {
        guard let (start, count) = pages(of: bytes) else { return }
        // MADV_DONTNEED would take the pages from this process and leave them in memory. A kernel before 5.4 knows only
        // that, and whoever neither owns the file nor may write it is refused: then they leave when others want the room.
        _ = madvise(start, count * pageSize, MADV_PAGEOUT)
    }

    /// Reads a byte of each page.
    private static func touch(_ bytes: UnsafeRawBufferPointer) {
        var sum: UInt8 = 0
        for offset in stride(from: 0, to: bytes.count, by: pageSize) { sum ^= bytes[offset] }
        if let last = bytes.last { sum ^= last }
        keep(sum)
    }

    /// Takes a value so that the compiler does not leave out how it came about.
    @inline(never)
    @_optimize(none)
    private static func keep(_ value: UInt8) {}

    /// The whole pages that `bytes` lies in; `nil` if it is empty.
    private static func pages(of bytes: UnsafeRawBufferPointer) -> (start: UnsafeMutableRawPointer, count: Int)? {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return nil }
        let offset = Int(bitPattern: UInt(bitPattern: base) % UInt(pageSize))
        let count = (offset + bytes.count + pageSize - 1) / pageSize
        return (UnsafeMutableRawPointer(mutating: base - offset), count)
    }
}
