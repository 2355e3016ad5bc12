import ChunkCache
import Foundation
import SourceContract
import Testing

/// A file as another program would map it.
final class MappedFile {
    let bytes: UnsafeRawBufferPointer
    private let path: String

    init(_ path: String) throws {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        try #require(file >= 0)
        defer { close(file) }
        self.path = path
        let size = Int(lseek(file, 0, SEEK_END))
        let start = try #require(mmap(nil, size, PROT_READ, MAP_SHARED, file, 0))
        try #require(start != MAP_FAILED)
        bytes = UnsafeRawBufferPointer(start: start, count: size)
        // A page that is touched brings no others.
        _ = madvise(start, size, MADV_RANDOM)
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }

    var pages: Int { bytes.count / DataFileCheck.pageSize }

    var residentPages: Int {
        stride(from: 0, to: bytes.count, by: DataFileCheck.pageSize).count {
            Residency.isResident(UnsafeRawBufferPointer(rebasing: bytes[$0..<$0 + 1]))
        }
    }

    /// Has all of it leave memory, as if that were short, whoever has it mapped: what is written past the page cache is
    /// dropped there. The bytes stay what they are; nobody else may write them meanwhile.
    func leaveMemory() throws {
        let file = open(path, O_RDWR | O_CLOEXEC | Self.direct)
        try #require(file >= 0)
        defer { close(file) }
        // Only what is on the disk can be dropped.
        try #require(fsync(file) == 0)
        let whole = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: DataFileCheck.pageSize)
        defer { whole.deallocate() }
        try #require(pread(file, whole.baseAddress, whole.count, 0) == whole.count)
        try #require(pwrite(file, whole.baseAddress, whole.count, 0) == whole.count)
        try #require(residentPages < pages / 4)
    }

    /// O_DIRECT of open(2), which Swift does not see.
    #if arch(arm64)
    private static let direct: Int32 = 0o200000
    #else
    private static let direct: Int32 = 0o40000
    #endif

    /// These bytes of an object, which lie side by side in the file.
    func part(of content: PatternBytes, _ range: Range<Int64>) throws -> UnsafeRawBufferPointer {
        let found = try #require(Data(bytes).range(of: Data(content.bytes(range.lowerBound..<range.lowerBound + 64))))
        return UnsafeRawBufferPointer(rebasing: bytes[found.lowerBound..<found.lowerBound + range.count])
    }

    /// Whether files in the directory for temporary ones have a disk to be read from again.
    static var canLeaveMemory: Bool {
        let directory = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path + "/"
        let mounts = FileManager.default.contents(atPath: "/proc/self/mounts") ?? Data()
        var (longest, kind) = (0, "")
        for mount in String(decoding: mounts, as: UTF8.self).split(separator: "\n") {
            let fields = mount.split(separator: " ").map(String.init)
            guard fields.count > 2 else { continue }
            let place = fields[1].hasSuffix("/") ? fields[1] : fields[1] + "/"
            if directory.hasPrefix(place), place.count >= longest { (longest, kind) = (place.count, fields[2]) }
        }
        return kind != "tmpfs"
    }
}
