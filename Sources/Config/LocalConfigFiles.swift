#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The file system of this machine.
package struct LocalConfigFiles: ConfigFiles {
    package let workingDirectory: String

    /// Takes the working directory of the process as it is now.
    package init() {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let isKnown = getcwd(&buffer, buffer.count) != nil
        let bytes = buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
        // A working directory that was removed has no path.
        workingDirectory = isKnown ? String(decoding: bytes, as: UTF8.self) : "/"
    }

    package func read(_ path: String, limit: Int) throws(ConfigFileProblem) -> ConfigFileContent {
        // O_NONBLOCK: a pipe without a writer must not hold the start.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw ConfigFileProblem(errno) }
        defer { close(descriptor) }
        let status = try status(of: descriptor)
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw .isDirectory
        default: throw .isSpecial
        }
        return ConfigFileContent(
            bytes: try readAll(descriptor, limit: limit),
            isWorldReadable: status.st_mode & S_IROTH != 0,
            isWorldWritable: status.st_mode & S_IWOTH != 0
        )
    }

    package func problem(ofDirectory path: String) -> ConfigFileProblem? {
        var status = stat()
        guard stat(path, &status) == 0 else { return ConfigFileProblem(errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { return .notADirectory }
        // What cannot be listed can be served all the same.
        return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? nil : ConfigFileProblem(errno)
    }

    package func fileSystemSize(_ path: String) -> Int64? {
        var path = path
        var status = statvfs()
        while statvfs(path.isEmpty ? "/" : path, &status) != 0 {
            guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
            path = String(path[..<slash])
        }
        let (bytes, overflow) = Int64(clamping: status.f_blocks)
            .multipliedReportingOverflow(by: Int64(clamping: status.f_frsize))
        // Some have no end, and say 0.
        return overflow || bytes == 0 ? nil : bytes
    }

    package func list(_ path: String) throws(ConfigFileProblem) -> ConfigDirectoryContent {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
        guard descriptor >= 0 else { throw ConfigFileProblem(errno) }
        guard let directory = fdopendir(descriptor) else {
            let number = errno
            close(descriptor)
            throw ConfigFileProblem(number)
        }
        // Closes the descriptor too.
        defer { closedir(directory) }
        let status = try status(of: descriptor)
        var names: [String] = []
        errno = 0
        while let entry = readdir(directory) {
            names.append(name(of: entry))
            errno = 0
        }
        guard errno == 0 else { throw ConfigFileProblem(errno) }
        return ConfigDirectoryContent(
            names: names.filter { $0 != "." && $0 != ".." },
            isWorldWritable: status.st_mode & S_IWOTH != 0
        )
    }

    private func status(of descriptor: CInt) throws(ConfigFileProblem) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw ConfigFileProblem(errno) }
        return status
    }

    private func readAll(_ descriptor: CInt, limit: Int) throws(ConfigFileProblem) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = readOnce(descriptor, &buffer)
            if count == 0 { return bytes }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw ConfigFileProblem(errno)
            }
            bytes += buffer.prefix(count)
            guard bytes.count <= limit else { throw .tooLarge }
        }
    }
}

/// read(2), which the method of the same name hides.
private func readOnce(_ descriptor: CInt, _ buffer: inout [UInt8]) -> Int {
    buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
}

private func name(of entry: UnsafeMutablePointer<dirent>) -> String {
    withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}

extension ConfigFileProblem {
    fileprivate init(_ number: Int32) {
        self =
            switch number {
            case ENOENT: .missing
            case EACCES, EPERM: .notPermitted
            case EISDIR: .isDirectory
            case ENOTDIR: .notADirectory
            default: .system(number)
            }
    }
}
