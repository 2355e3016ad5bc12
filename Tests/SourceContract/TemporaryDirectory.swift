package import Glibc
package import SourcePlugins

/// Runs `body` with a new empty directory, which is removed afterwards with everything in it.
package func withTemporaryDirectory<Value>(
    _ body: (TemporaryDirectory) async throws -> Value
) async throws -> Value {
    let directory = try TemporaryDirectory()
    defer { directory.remove() }
    return try await body(directory)
}

/// A directory for one test. Paths are relative to it; names may hold any byte that a file system takes.
package struct TemporaryDirectory: Sendable {
    /// Absolute, without a slash at the end.
    package let path: String

    /// For those who cannot use ``withTemporaryDirectory(_:)``; they call ``remove()``.
    package init() throws {
        var template = Array("\(Self.parent)/media-gateway-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileFailure(call: "mkdtemp", number: errno) }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static var parent: String {
        getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    }

    package func remove() {
        removeTree(Array(path.utf8CString))
    }

    package func path(_ name: String) -> String { "\(path)/\(name)" }

    /// Whether there is something of that name.
    package func exists(_ name: String) -> Bool { access(path(name), F_OK) == 0 }

    /// The path of `name` as C takes it.
    package func cPath(_ name: [UInt8]) -> [CChar] {
        Array(path.utf8.map(CChar.init(bitPattern:))) + ([UInt8(ascii: "/")] + name + [0]).map(CChar.init(bitPattern:))
    }

    package func makeDirectory(_ name: String) throws {
        try check("mkdir", mkdir(path(name), 0o755))
    }

    package func link(_ name: String, to target: String) throws {
        try check("symlink", symlink(target, path(name)))
    }

    package func rename(_ name: String, to other: String) throws {
        try check("rename", Glibc.rename(path(name), path(other)))
    }

    package func delete(_ name: String) throws {
        try check("unlink", unlink(path(name)))
    }

    /// Makes a file of `size` bytes of `content`, or replaces what is in it, and gives it a time long past.
    package func write(_ name: String, _ content: PatternBytes, size: Int64, age: Int64 = 3600) throws {
        try write(Array(name.utf8), content, size: size, age: age)
    }

    package func write(_ name: [UInt8], _ content: PatternBytes, size: Int64, age: Int64 = 3600) throws {
        try withFile(name, O_WRONLY | O_CREAT | O_TRUNC) { file in
            try Self.write(file, content, 0..<size)
            try Self.setAge(file, age)
        }
    }

    /// Writes `range` of `content` into an existing file, at the same offset. The file's time becomes the present.
    package func overwrite(_ name: String, _ content: PatternBytes, _ range: Range<Int64>) throws {
        try withFile(Array(name.utf8), O_WRONLY) { try Self.write($0, content, range) }
    }

    /// Makes a file of `size` bytes that has blocks on the disk only where `ranges` of `content` are.
    package func writeSparse(_ name: String, _ content: PatternBytes, size: Int64, _ ranges: [Range<Int64>]) throws {
        try withFile(Array(name.utf8), O_WRONLY | O_CREAT | O_TRUNC) { file in
            try check("ftruncate", ftruncate(file, off_t(size)))
            for range in ranges { try Self.write(file, content, range) }
            try Self.setAge(file, 3600)
        }
    }

    package func truncate(_ name: String, to size: Int64) throws {
        try check("truncate", Glibc.truncate(path(name), off_t(size)))
    }

    /// Sets the modification time to `age` seconds before now.
    package func setAge(_ name: String, _ age: Int64) throws {
        try withFile(Array(name.utf8), O_RDONLY) { try Self.setAge($0, age) }
    }

    package func setModified(_ name: String, _ time: Timestamp) throws {
        let value = timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds - time.seconds * 1_000_000_000))
        try withFile(Array(name.utf8), O_RDONLY) { try check("futimens", futimens($0, [value, value])) }
    }

    package func setMode(_ name: String, _ mode: mode_t) throws {
        try check("chmod", chmod(path(name), mode))
    }

    package func makeFIFO(_ name: String) throws {
        try check("mkfifo", mkfifo(path(name), 0o644))
    }

    package func makeSocket(_ name: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        try check("socket", descriptor)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path(name).utf8.prefix($0.count - 1)) }
        let result = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try check("bind", result)
    }

    /// How many descriptors of this process are of files in here.
    package func openDescriptors() -> Int {
        let prefix = Array(path.utf8.map(CChar.init(bitPattern:)))
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while let entry = readdir(directory) {
            var target = [CChar](repeating: 0, count: prefix.count)
            let length = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    readlinkat(dirfd(directory), name, &target, target.count)
                }
            }
            if length == prefix.count, target == prefix { count += 1 }
        }
        return count
    }

    /// Waits until no descriptor of this process is of a file in here, while `pool` gets on with closing them.
    package func untilNothingIsOpen(_ context: TestContext) async throws {
        for _ in 0..<10_000 {
            if openDescriptors() == 0 { return }
            try await context.drain()
            await Task.yield()
        }
        throw ContractViolation("\(openDescriptors()) files are still open")
    }

    private func withFile(_ name: [UInt8], _ flags: Int32, _ body: (Int32) throws -> Void) throws {
        let file = open(cPath(name), flags | O_CLOEXEC, 0o644)
        try check("open", file)
        defer { close(file) }
        try body(file)
    }

    private static func write(_ file: Int32, _ content: PatternBytes, _ range: Range<Int64>) throws {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let end = min(offset + 1 << 20, range.upperBound)
            let piece = content.bytes(offset..<end)
            let count = pwrite(file, piece, piece.count, off_t(offset))
            try check("pwrite", count)
            offset += Int64(count)
        }
    }

    private static func setAge(_ file: Int32, _ age: Int64) throws {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        now.tv_sec -= Int(age)
        try check("futimens", futimens(file, [now, now]))
    }
}

/// A system call that a test needed and did not get.
package struct FileFailure: Error {
    package let call: String
    package let number: Int32
}

private func check(_ call: String, _ result: some SignedInteger) throws {
    guard result >= 0 else { throw FileFailure(call: call, number: errno) }
}

/// Removes `path` and all below it, as far as it can.
private func removeTree(_ path: [CChar]) {
    if let directory = opendir(path) {
        var names: [[CChar]] = []
        while let entry = readdir(directory) {
            withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    names.append(Array(UnsafeBufferPointer(start: name, count: strlen(name))))
                }
            }
        }
        closedir(directory)
        let dot = CChar(bitPattern: UInt8(ascii: "."))
        for name in names where name != [dot] && name != [dot, dot] {
            removeEntry(path.dropLast() + [CChar(bitPattern: UInt8(ascii: "/"))] + name + [0])
        }
    }
    rmdir(path)
}

/// Links are removed, not followed.
private func removeEntry(_ path: [CChar]) {
    if unlink(path) != 0 { removeTree(path) }
}
