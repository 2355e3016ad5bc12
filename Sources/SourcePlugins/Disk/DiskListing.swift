import Glibc

/// The names in one directory, as the kernel gives them.
struct DirectoryNames: ~Copyable {
    private let stream: OpaquePointer

    init(_ descriptor: consuming Descriptor) throws(SystemCallFailure) {
        guard let stream = fdopendir(descriptor.rawValue) else { throw SystemCallFailure.last("fdopendir") }
        self.stream = stream
        _ = descriptor.release()
    }

    deinit { closedir(stream) }

    var descriptor: Int32 { dirfd(stream) }

    /// The next name, in no order; `nil` after the last.
    mutating func next() throws(SystemCallFailure) -> [UInt8]? {
        errno = 0
        guard let entry = readdir(stream) else {
            if errno != 0 { throw SystemCallFailure.last("readdir") }
            return nil
        }
        // d_name ends with a NUL; how much of the declared array is really there depends on the name.
        guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return nil }
        let name = UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: UInt8.self)
        return Array(UnsafeBufferPointer(start: name, count: strlen(UnsafePointer(OpaquePointer(name)))))
    }
}

extension DiskTree {
    /// The sub-directories and regular files in the directory at `path`, sorted by name in byte order. Blocks.
    ///
    /// Hidden names are left out, and so is whatever can no longer be found. A link counts as what it leads to.
    ///
    /// - Parameter limit: the number of names, hidden ones included, that are read at most.
    /// - Throws: ``SourceError``: `notFound` if there is no directory there, `forbidden` if it has more names.
    borrowing func list(_ path: MediaPath, limit: Int) throws -> [MediaEntry] {
        let directory = try open(path, for: .listing)
        do {
            var names = try DirectoryNames(directory)
            var entries: [MediaEntry] = []
            var count = 0
            while let name = try names.next() {
                // Also drops `.` and `..`.
                guard let component = try? MediaPath.Component(name) else { continue }
                count += 1
                guard count <= limit else {
                    throw SourceError(.forbidden, "the directory has more than \(limit) entries and is not listed")
                }
                guard !component.isHidden, let entry = entry(component, of: path, in: names.descriptor) else {
                    continue
                }
                entries.append(entry)
            }
            return entries.sorted { $0.name < $1.name }
        } catch let failure as SystemCallFailure {
            throw SourceError(failure)
        }
    }

    private borrowing func entry(
        _ name: MediaPath.Component,
        of path: MediaPath,
        in directory: Int32
    ) -> MediaEntry? {
        var status = stat()
        guard withCString(of: name.bytes, { fstatat(directory, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else {
            return nil
        }
        var state = FileState(status)
        if state.isSymbolicLink {
            // One that leads nowhere, or where it may not lead, is no entry.
            guard let target = self.state(of: path.appending(name)) else { return nil }
            state = target
        }
        if state.isDirectory { return MediaEntry(name: name, kind: .directory, lastModified: state.modified) }
        guard state.isRegularFile else { return nil }
        return MediaEntry(name: name, kind: .file(size: state.size), lastModified: state.modified)
    }

    /// What `path` leads to; `nil` if that is not to be had.
    private borrowing func state(of path: MediaPath) -> FileState? {
        guard let target = try? open(path, for: .status) else { return nil }
        return try? FileState(of: target.rawValue)
    }
}
