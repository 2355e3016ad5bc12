import Dispatch
import Foundation
import Gateway
import Glibc
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct LineWriterTests {
    init() {
        signal(SIGPIPE, SIG_IGN)
    }

    @Test("a line appears without anything else being appended")
    func lightLoad() throws {
        let pipe = Pipe()
        let writer = try LineWriter(to: .descriptor(pipe.fileHandleForWriting.fileDescriptor))
        for text in ["one\n", "two\n", "three\n"] {
            writer.append(text.utf8)
            #expect(pipe.read(text.utf8.count) == text)
        }
        #expect(writer.close(within: .seconds(10)))
    }

    @Test("a line that ends a quiet spell wakes the thread")
    func wakesFromIdle() throws {
        let pipe = Pipe()
        let writer = try LineWriter(to: .descriptor(pipe.fileHandleForWriting.fileDescriptor))
        // A read that times out several batch times long leaves the thread nothing to collect.
        var waited = pollfd(fd: pipe.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
        #expect(poll(&waited, 1, 350) == 0)
        writer.append("late\n".utf8)
        #expect(pipe.read(5) == "late\n")
    }

    @Test("lines of several threads arrive whole, each thread's in order")
    func concurrency() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory.appending(path: "log")
            let writer = try LineWriter(to: .file(file.path))
            await withTaskGroup(of: Void.self) { group in
                for task in 0..<4 {
                    group.addTask {
                        for number in 0..<5000 { writer.append("\(task) \(number)\n".utf8) }
                    }
                }
            }
            #expect(writer.close(within: .seconds(10)))
            let lines = try lines(of: file)
            for task in 0..<4 {
                #expect(lines.filter { $0.hasPrefix("\(task) ") } == (0..<5000).map { "\(task) \($0)" })
            }
            #expect(lines.count == 20_000)
            #expect(writer.dropped == 0)
        }
    }

    @Test("a full pipe blocks nobody: lines are dropped, counted, and never cut")
    func fullPipe() throws {
        let pipe = Pipe()
        let writer = try LineWriter(to: .descriptor(pipe.fileHandleForWriting.fileDescriptor), capacity: 100_000)
        let filler = String(repeating: "x", count: 90)
        let total = 10_000
        for number in 0..<total { writer.append("\(number) \(filler)\n".utf8) }
        #expect(writer.dropped > 0)

        let reader = PipeReader(pipe)
        #expect(writer.close(within: .seconds(10)))
        try pipe.fileHandleForWriting.close()
        let lines = reader.text().split(separator: "\n")
        #expect(lines.allSatisfy { $0.hasSuffix(" \(filler)") })
        #expect(lines.count + writer.dropped == total)
        #expect(lines.count > 0)
    }

    @Test("closing keeps to its deadline when nobody reads, and counts what is lost")
    func deadline() throws {
        let pipe = Pipe()
        let writer = try LineWriter(to: .descriptor(pipe.fileHandleForWriting.fileDescriptor))
        let line = Array("\(String(repeating: "x", count: 99))\n".utf8)
        for _ in 0..<10_000 { writer.append(line) }
        #expect(!writer.close(within: .milliseconds(50)))
        // The thread notices by itself; then a second call finds it gone.
        #expect(writer.close(within: .seconds(10)))
        try pipe.fileHandleForWriting.close()
        #expect(pipe.readToEnd().split(separator: "\n").count + writer.dropped == 10_000)
    }

    @Test("a pipe whose reader is gone costs the lines and nothing else")
    func brokenPipe() throws {
        let pipe = Pipe()
        try pipe.fileHandleForReading.close()
        let writer = try LineWriter(to: .descriptor(pipe.fileHandleForWriting.fileDescriptor))
        for _ in 0..<100 { writer.append("lost\n".utf8) }
        #expect(writer.close(within: .seconds(10)))
        #expect(writer.dropped == 100)
    }

    @Test("a descriptor that others made non-blocking is waited for")
    func nonBlockingDescriptor() throws {
        let pipe = Pipe()
        let descriptor = pipe.fileHandleForWriting.fileDescriptor
        #expect(fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0)
        let writer = try LineWriter(to: .descriptor(descriptor))
        for number in 0..<20_000 { writer.append("\(number) of many lines\n".utf8) }
        let reader = PipeReader(pipe)
        #expect(writer.close(within: .seconds(10)))
        try pipe.fileHandleForWriting.close()
        #expect(reader.text().split(separator: "\n").count == 20_000)
    }

    @Test("after reopening, new lines go to the new file and older ones to the old")
    func reopen() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory.appending(path: "log")
            let rotated = directory.appending(path: "log.1")
            let writer = try LineWriter(to: .file(file.path))
            writer.append("old\n".utf8)
            try FileManager.default.moveItem(at: file, to: rotated)
            writer.reopen()
            writer.append("new\n".utf8)
            #expect(writer.close(within: .seconds(10)))
            #expect(try lines(of: rotated) == ["old"])
            #expect(try lines(of: file) == ["new"])
        }
    }

    @Test("when the file cannot be opened again, the old one stays in use")
    func reopenFails() async throws {
        try await withTemporaryDirectory { directory in
            let folder = directory.appending(path: "logs")
            let moved = directory.appending(path: "moved")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
            let writer = try LineWriter(to: .file(folder.appending(path: "log").path))
            try FileManager.default.moveItem(at: folder, to: moved)
            writer.reopen()
            writer.append("still here\n".utf8)
            #expect(writer.close(within: .seconds(10)))
            #expect(try lines(of: moved.appending(path: "log")) == ["still here"])
        }
    }

    @Test("a file is appended to, and made for its owner and group alone")
    func file() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory.appending(path: "log")
            for text in ["first\n", "second\n"] {
                let writer = try LineWriter(to: .file(file.path))
                writer.append(text.utf8)
                writer.close(within: .seconds(10))
            }
            #expect(try lines(of: file) == ["first", "second"])
            let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
            #expect(try #require(mode) & 0o137 == 0)
        }
    }

    @Test("a file that cannot be opened is an error that names it")
    func unopenable() {
        let error = #expect(throws: LineSinkError.self) { try LineWriter(to: .file("/nowhere/log")) }
        #expect(error?.description == "/nowhere/log cannot be opened for appending: No such file or directory")
    }

    @Test("a named pipe that nobody reads is an error, not a wait")
    func namedPipe() async throws {
        try await withTemporaryDirectory { directory in
            let path = directory.appending(path: "pipe").path
            #expect(mkfifo(path, 0o600) == 0)
            #expect(throws: LineSinkError.self) { try LineWriter(to: .file(path)) }
        }
    }

    @Test("a disk without space costs the lines and nothing else")
    func fullDisk() throws {
        let writer = try LineWriter(to: .file("/dev/full"))
        for _ in 0..<10 { writer.append("lost\n".utf8) }
        #expect(writer.close(within: .seconds(10)))
        #expect(writer.dropped == 10)
    }

    @Test("a line longer than the room there is, or after the end, is dropped whole")
    func noRoom() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory.appending(path: "log")
            let dropped = PrometheusRegistry.Counter()
            let writer = try LineWriter(to: .file(file.path), capacity: 10, dropped: dropped)
            writer.append { $0.append(contentsOf: "far too long a line\n".utf8) }
            writer.append("fits\n".utf8)
            writer.close(within: .seconds(10))
            writer.append("late\n".utf8)
            #expect(try lines(of: file) == ["fits"])
            #expect(dropped.value == 2)
        }
    }
}

/// Reads a pipe to its end on a thread of its own: the tests block theirs, and there may be no other.
private final class PipeReader: Sendable {
    private let result = Mutex("")
    private let end = DispatchGroup()

    init(_ pipe: Pipe) {
        end.enter()
        Thread.detachNewThread { [self] in
            let text = pipe.readToEnd()
            result.withLock { $0 = text }
            end.leave()
        }
    }

    func text() -> String {
        end.wait()
        return result.withLock { $0 }
    }
}

extension Pipe {
    /// Blocks until that many bytes are there.
    fileprivate func read(_ count: Int) -> String {
        var bytes = Data()
        while bytes.count < count, let more = try? fileHandleForReading.read(upToCount: count - bytes.count),
            !more.isEmpty
        {
            bytes += more
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    fileprivate func readToEnd() -> String {
        String(decoding: (try? fileHandleForReading.readToEnd()) ?? Data(), as: UTF8.self)
    }
}

private func lines(of file: URL) throws -> [String] {
    String(decoding: try Data(contentsOf: file), as: UTF8.self).split(separator: "\n").map(String.init)
}

private func withTemporaryDirectory(_ body: (URL) async throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "media-gateway-\(UUID())")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try await body(directory)
}
