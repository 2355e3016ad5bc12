import CLinux
import Glibc
import NIOCore

/// What is in memory of the map, and its bytes by way of the file, which never waits for a page of the map.
extension LMDBEnvironment {
    /// Keeps in memory what every transaction reads: the two meta pages, and the table of readers. They are few, but after
    /// an idle night the first of an event loop's transactions would wait for the disk at each.
    func keepEntrance() {
        MappedArea.keep(map.metaPages)
        // Opened once more, the file would lose LMDB's lock on it when it is closed.
        guard let directory = realpath(settings.directory, nil) else { return }
        defer { free(directory) }
        let table = String(cString: directory) + "/lock.mdb"
        for area in MappedArea.all where area.path == table { area.keep() }
    }

    /// Copies `bytes`, which lie in the map, as far as they are in memory: without a wait for the disk, even if they leave
    /// memory at this moment.
    func copyResident(_ bytes: UnsafeRawBufferPointer, to buffer: inout ByteBuffer) {
        // What is missing the kernel would begin to read.
        guard Residency.hasEnds(bytes), let file = try? descriptor(), let offset = map.offset(of: bytes) else { return }
        let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: bytes.count) { room in
            max(Int(clinux_pread_cached(file, room.baseAddress, UInt64(bytes.count), offset)), 0)
        }
        // Or the file system cannot tell what is in memory.
        if count == 0, Residency.isResident(bytes) { buffer.writeBytes(bytes) }
    }

    /// Reads `bytes`, which lie in the map, into memory, and leaves them out of the map: what is there leaves memory again
    /// at less cost. Blocks.
    ///
    /// - Returns: `false` if a read of them would be a bus error.
    func load(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let file = try? descriptor(), let start = map.offset(of: bytes), Self.nowhere >= 0 else {
            return Residency.load(bytes)
        }
        Residency.request(bytes)
        // Moves references to pages, and no bytes.
        var offset = off_t(start)
        let end = offset + off_t(bytes.count)
        while offset < end {
            let count = sendfile(Self.nowhere, file, &offset, Int(end - offset))
            if count > 0 || (count < 0 && errno == EINTR) { continue }
            return count < 0 && errno == EIO ? false : Residency.load(bytes)
        }
        // Or the file system keeps what is read elsewhere than what is mapped.
        return Residency.hasEnds(bytes) || Residency.load(bytes)
    }

    /// Where bytes go that only have to be read.
    private static let nowhere = Glibc.open("/dev/null", O_WRONLY | O_CLOEXEC)
}
