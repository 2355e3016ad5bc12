import Glibc

/// A log file could not be opened.
package struct LineSinkError: Error, Sendable, CustomStringConvertible {
    package let path: String
    package let errno: Int32

    package var description: String {
        "\(path) cannot be opened for appending: \(String(cString: strerror(errno)))"
    }
}

/// The descriptor behind a ``LineWriter``, used by its thread alone.
struct LineSink: Sendable {
    /// What a pipe takes at once or not at all, and takes without blocking when poll says that it is writable.
    private static let pipePiece = Int(PIPE_BUF)
    private static let pollMilliseconds: Int32 = 100

    private var descriptor: Int32
    private let path: String?
    /// Regular files are always ready, and get whole batches.
    private var isRegularFile: Bool
    /// The sink failed after a part of a line.
    private var isMidLine = false

    init(_ sink: LineWriter.Sink) throws {
        switch sink {
        case .descriptor(let descriptor):
            self.path = nil
            self.descriptor = descriptor
        case .file(let path):
            self.path = path
            self.descriptor = try Self.open(path)
        }
        self.isRegularFile = Self.isRegularFile(descriptor)
    }

    /// - Throws: ``LineSinkError``; the old file is then still in use.
    mutating func reopen() throws {
        guard let path else { return }
        let opened = try Self.open(path)
        close()
        descriptor = opened
        isRegularFile = Self.isRegularFile(opened)
        isMidLine = false
    }

    func close() {
        if path != nil { _ = Glibc.close(descriptor) }
    }

    /// Writes `lines`, waiting for the sink as long as it takes.
    ///
    /// - Parameter givesUp: asked before each piece, and every 100 ms while the sink is not ready.
    /// - Returns: the number of lines that were lost because the sink failed or the writer gave up.
    mutating func write(_ lines: ArraySlice<UInt8>, givesUp: () -> Bool) -> Int {
        var rest = lines
        if isMidLine, !rest.isEmpty {
            guard writePiece([UInt8(ascii: "\n")]) == 1 else { return lineCount(rest) }
            isMidLine = false
        }
        while !rest.isEmpty {
            // A descriptor that others made non-blocking answers EAGAIN, and is waited for here like any other.
            guard isRegularFile || waitUntilWritable(givesUp: givesUp) else { break }
            let written = writePiece(isRegularFile ? rest : piece(of: rest))
            if written > 0 {
                rest = rest.dropFirst(written)
                isMidLine = lines[rest.startIndex - 1] != UInt8(ascii: "\n")
            } else if written == 0 || (errno != EINTR && errno != EAGAIN) {
                break
            }
        }
        return lineCount(rest)
    }

    /// Whole lines as far as they fit, since another process, or our other log, may write to the same pipe.
    private func piece(of lines: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let piece = lines.prefix(Self.pipePiece)
        guard piece.count < lines.count, let end = piece.lastIndex(of: UInt8(ascii: "\n")) else { return piece }
        return piece[...end]
    }

    private func writePiece(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }

    /// - Returns: `false` if the writer gives up. A sink that failed counts as writable: writing tells how.
    private func waitUntilWritable(givesUp: () -> Bool) -> Bool {
        while !givesUp() {
            var waitedFor = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            if poll(&waitedFor, 1, Self.pollMilliseconds) > 0 { return true }
        }
        return false
    }

    private func lineCount(_ lines: ArraySlice<UInt8>) -> Int {
        lines.count { $0 == UInt8(ascii: "\n") }
    }

    /// A named pipe that nobody reads is an error: opening it would wait for a reader.
    private static func open(_ path: String) throws -> Int32 {
        let flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
        let descriptor = Glibc.open(path, flags, 0o640)
        guard descriptor >= 0 else { throw LineSinkError(path: path, errno: errno) }
        return descriptor
    }

    private static func isRegularFile(_ descriptor: Int32) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }
}
