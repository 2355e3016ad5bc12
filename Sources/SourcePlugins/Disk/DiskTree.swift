import CLinux
import Glibc

/// Where a disk source begins, and how paths below it are followed.
struct DiskRoot: Sendable {
    /// How a path becomes a file.
    enum Resolution: Sendable {
        /// By the kernel in one step, with `openat2(2)`; component by component where that is missing.
        case automatic
        /// One component after the other, as if there were no `openat2(2)`.
        case componentwise
    }

    let path: String
    /// Whether symbolic links are followed. They never lead out of the root.
    let followsLinks: Bool
    let resolution: Resolution
}

/// The opened root of a disk source: opens what lies below it, and nothing else.
///
/// It is opened for each request rather than kept, so that a disk that was unmounted and came back is seen.
struct DiskTree: ~Copyable {
    /// What an opened path is used for.
    enum Purpose: Sendable {
        /// To read a file. Neither blocks on a FIFO nor takes a terminal over.
        case content
        /// To list a directory.
        case listing
        /// To ask what is there, without opening it.
        case status

        fileprivate var flags: Int32 {
            switch self {
            case .content: O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
            case .listing: O_RDONLY | O_DIRECTORY | O_CLOEXEC
            case .status: CLINUX_O_PATH | O_CLOEXEC
            }
        }
    }

    private let descriptor: Descriptor
    private let root: DiskRoot

    /// The root, if the kernel knows the way to it without waiting for a disk or a server.
    init?(cached root: DiskRoot) {
        guard root.resolution == .automatic else { return nil }
        let flags = UInt64(CLINUX_O_PATH | O_DIRECTORY | O_CLOEXEC)
        let result = clinux_openat2(CLINUX_AT_FDCWD, root.path, flags, UInt64(CLINUX_RESOLVE_CACHED))
        guard result >= 0 else { return nil }
        descriptor = Descriptor(result)
        self.root = root
    }

    /// - Throws: ``SourceError`` `unavailable` if the root is not a directory that may be searched.
    init(_ root: DiskRoot) throws {
        do throws(SystemCallFailure) {
            let flags = CLINUX_O_PATH | O_DIRECTORY | O_CLOEXEC
            descriptor = Descriptor(try retryingInterrupts("open") { Glibc.open(root.path, flags) })
        } catch {
            let isMissing = error.number == ENOENT || error.number == ENOTDIR
            throw SourceError(
                .unavailable,
                isMissing ? "the root directory of this source does not exist" : "the root directory cannot be opened",
                cause: error
            )
        }
        self.root = root
    }

    /// Whether opening and reading files here waits for nothing but their own blocks. Blocks.
    borrowing func isLocal() -> Bool {
        (try? FileSystem(of: descriptor.rawValue)) == .local
    }

    /// Opens `path`, links included if the root follows them. The root itself can be listed only.
    ///
    /// - Throws: ``SourceError``.
    borrowing func open(_ path: MediaPath, for purpose: Purpose) throws -> Descriptor {
        // Whatever is hidden in listings is not to be had by those who guess its name either.
        guard path.components.allSatisfy({ !$0.isHidden }) else {
            throw SourceError(.notFound, "there is no such file")
        }
        // Opening a FIFO lets its writer go on, and opening a device may do anything: what is there is asked first. What
        // is opened is looked at again, in case it was swapped in between.
        if purpose == .content, !Self.isRegularFile(try open(path, for: .status)) {
            throw SourceError(.notFound, "there is no such file")
        }
        guard root.resolution == .automatic else { return try openComponentwise(path, purpose) }
        let result = openAtOnce(path, purpose)
        if result == -ENOSYS || result == -EPERM { return try openComponentwise(path, purpose) }
        guard result >= 0 else { throw SourceError(SystemCallFailure(call: "openat2", number: -result)) }
        return Descriptor(result)
    }

    /// Opens the file at `path` for reading if the kernel knows the way to it without waiting, and it lies on the file
    /// system of the root. Does not block if that is a local one.
    ///
    /// - Returns: `nil` if it would have to wait, or if there is anything else to be said about the path.
    borrowing func openCached(_ path: MediaPath) -> Descriptor? {
        guard path.components.allSatisfy({ !$0.isHidden }) else { return nil }
        let cached = CLINUX_RESOLVE_CACHED | CLINUX_RESOLVE_NO_XDEV
        let found = openAtOnce(path, .status, resolve: cached)
        guard found >= 0, Self.isRegularFile(Descriptor(found)) else { return nil }
        let result = openAtOnce(path, .content, resolve: cached)
        return result >= 0 ? Descriptor(result) : nil
    }

    private static func isRegularFile(_ descriptor: consuming Descriptor) -> Bool {
        (try? FileState(of: descriptor.rawValue))?.isRegularFile == true
    }

    /// The number of times an opening is tried again because something was renamed at the same moment.
    private static let renameRetries = 16

    /// - Returns: a descriptor or a negative error number.
    private borrowing func openAtOnce(_ path: MediaPath, _ purpose: Purpose, resolve extra: Int32 = 0) -> Int32 {
        let beneath = CLINUX_RESOLVE_BENEATH | CLINUX_RESOLVE_NO_MAGICLINKS | extra
        let resolve = UInt64(root.followsLinks ? beneath : beneath | CLINUX_RESOLVE_NO_SYMLINKS)
        let flags = UInt64(root.followsLinks ? purpose.flags : purpose.flags | O_NOFOLLOW)
        var result = -EAGAIN
        for _ in 0...(extra == 0 ? Self.renameRetries : 0) where result == -EAGAIN {
            result = withCString(of: path.bytes) { clinux_openat2(descriptor.rawValue, $0, flags, resolve) }
        }
        return result
    }

    /// Without links, a component is a name in the directory before it, and that is held open: nothing that happens
    /// to the path meanwhile leads elsewhere.
    private borrowing func openComponentwise(_ path: MediaPath, _ purpose: Purpose) throws -> Descriptor {
        guard !root.followsLinks else {
            throw SourceError(
                .unavailable,
                "follow_symlinks needs openat2, which this kernel or its system call filter does not have"
            )
        }
        var directory = try openName([], in: descriptor.rawValue, CLINUX_O_PATH | O_DIRECTORY | O_CLOEXEC)
        for component in path.components.dropLast() {
            directory = try openName(component.bytes, in: directory.rawValue, CLINUX_O_PATH | O_DIRECTORY | O_CLOEXEC)
        }
        return try openName(path.name?.bytes ?? [], in: directory.rawValue, purpose.flags)
    }

    private borrowing func openName(_ name: [UInt8], in directory: Int32, _ flags: Int32) throws -> Descriptor {
        do throws(SystemCallFailure) {
            return Descriptor(
                try retryingInterrupts("openat") { withCString(of: name) { openat(directory, $0, flags | O_NOFOLLOW) } }
            )
        } catch {
            throw SourceError(error)
        }
    }
}

/// `path` as C wants it; the empty path is the directory itself.
func withCString<Value>(of path: [UInt8], _ body: (UnsafePointer<CChar>) -> Value) -> Value {
    ((path.isEmpty ? [UInt8(ascii: ".")] : path).map(CChar.init(bitPattern:)) + [0]).withUnsafeBufferPointer {
        $0.withMemoryRebound(to: CChar.self) { characters in
            characters.baseAddress.map(body) ?? "".withCString(body)
        }
    }
}

extension MediaPath.Component {
    /// Whether the name starts with a dot.
    var isHidden: Bool { bytes.first == UInt8(ascii: ".") }
}
