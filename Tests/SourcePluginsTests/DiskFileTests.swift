import Glibc
import NIOCore
import NIOPosix
import SourceContract
import SourcePlugins
import Testing

/// Changes the user for file access of the calling thread alone. The C library's header is not part of what Swift
/// imports; the function takes and returns integers, for which the calling conventions agree.
@_silgen_name("setfsuid")
private func setfsuid(_ user: UInt32) -> Int32

@Suite("Disk: files", .timeLimit(.minutes(2)))
struct DiskFileTests {
    @Test("FIFOs, sockets and devices do not exist, and opening them does not wait", arguments: [true, false])
    func specialFiles(_ usesOpenat2: Bool) async throws {
        try await withDisk(usesOpenat2: usesOpenat2) { disk in
            try disk.directory.makeFIFO("root/fifo")
            try disk.directory.makeSocket("root/socket")
            // Only root may make one; for others the name is simply missing.
            _ = mknod(disk.directory.path("root/zero"), S_IFCHR | 0o644, 1 << 8 | 5)
            for name in ["fifo", "socket", "zero"] {
                #expect(try await code { try await disk.open(name) } == .notFound, "\(name)")
            }
            #expect(try await disk.names("").isEmpty)
        }
    }

    @Test("a FIFO is not opened at all, which would let its writer go on", arguments: [true, false])
    func untouchedFIFO(_ usesOpenat2: Bool) async throws {
        try await withDisk(usesOpenat2: usesOpenat2) { disk in
            try disk.directory.makeFIFO("root/fifo")
            let watch = inotify_init1(Int32(IN_NONBLOCK))
            defer { close(watch) }
            try #require(inotify_add_watch(watch, disk.directory.path("root/fifo"), UInt32(IN_OPEN)) >= 0)
            // On the pool, and without it once the root is known.
            for _ in 0..<2 { #expect(try await code { try await disk.open("fifo") } == .notFound) }
            var event = [UInt8](repeating: 0, count: 256)
            #expect(read(watch, &event, event.count) == -1 && errno == EAGAIN)
        }
    }

    @Test(
        "the kernel's own file systems hold no media",
        arguments: ["version", "self/environ", "self/exe", "sys/kernel/ostype"]
    )
    func procfs(_ path: String) async throws {
        try await TestContext.with { context in
            let source = DiskSource(root: "/proc", followsLinks: true, context: context.source)
            let outcome = try await code { try await source.open(MediaPath(path)) }
            #expect(outcome == .notFound)
        }
    }

    @Test("a file that may not be read is forbidden", arguments: [true, false])
    func unreadable(_ usesOpenat2: Bool) async throws {
        try await withDisk(usesOpenat2: usesOpenat2) { disk in
            try disk.directory.write("root/film", PatternBytes("film"), size: 10)
            try disk.directory.setMode("root/film", 0)
            // The pool has one thread; for root it must lose its privileges, which touches no other thread.
            let isPrivileged = geteuid() == 0
            if isPrivileged {
                try disk.directory.setMode("", 0o755)
                try await disk.context.pool.runIfActive { _ = setfsuid(65534) }
            }
            #expect(try await code { try await disk.open("film") } == .forbidden)
            if isPrivileged { try await disk.context.pool.runIfActive { _ = setfsuid(0) } }
        }
    }

    @Test("names that start with a dot exist neither in listings nor to be opened", arguments: [true, false])
    func hidden(_ usesOpenat2: Bool) async throws {
        try await withDisk(usesOpenat2: usesOpenat2) { disk in
            try disk.directory.makeDirectory("root/.private")
            try disk.directory.write("root/.private/film", PatternBytes("film"), size: 10)
            try disk.directory.write("root/.htpasswd", PatternBytes("film"), size: 10)
            #expect(try await disk.names("").isEmpty)
            for path in [".private/film", ".htpasswd"] {
                #expect(try await code { try await disk.open(path) } == .notFound, "\(path)")
            }
            #expect(try await code { try await disk.names(".private") } == .notFound)
        }
    }

    @Test("any byte can be in a name", arguments: [true, false])
    func anyByte(_ usesOpenat2: Bool) async throws {
        try await withDisk(usesOpenat2: usesOpenat2) { disk in
            let bytes = (UInt8(1)...255).filter { $0 != UInt8(ascii: "/") }
            for byte in bytes {
                let content = PatternBytes("\(byte)")
                try disk.directory.write(Array("root/n".utf8) + [byte], content, size: 20)
            }
            let listed = try await disk.source.list(.root)
            #expect(listed.map(\.name.bytes) == bytes.map { [UInt8(ascii: "n"), $0] })
            for byte in bytes {
                let name = try MediaPath.Component([UInt8(ascii: "n"), byte])
                let object = try await disk.source.open(.root.appending(name))
                let found = try await disk.rest(of: object.read(0..<20))
                #expect(found == PatternBytes("\(byte)").bytes(0..<20), "\(byte)")
            }
        }
    }

    @Test(
        "names and paths that are too long are not found",
        arguments: [String(repeating: "n", count: 256), String(repeating: "n/", count: 3000) + "n"],
        [true, false]
    )
    func tooLong(_ path: String, _ usesOpenat2: Bool) async throws {
        try await withDisk(usesOpenat2: usesOpenat2) { disk in
            let outcome = try await code { try await disk.open(path) }
            #expect(outcome == .notFound)
        }
    }

    @Test("a name of 255 bytes is a name")
    func longName() async throws {
        try await withDisk { disk in
            let name = String(repeating: "n", count: 255)
            try disk.directory.write("root/\(name)", PatternBytes("film"), size: 10)
            #expect(try await disk.contents(name) == PatternBytes("film").bytes(0..<10))
            #expect(try await disk.names("") == [name])
        }
    }

    @Test("a root that is missing is unavailable until it is there, and is not named to clients")
    func missingRoot() async throws {
        try await withDisk { disk in
            try disk.directory.rename("root", to: "unmounted")
            for attempt in [{ _ = try await disk.open("film") }, { _ = try await disk.source.list(.root) }] {
                let error = await #expect(throws: SourceError.self) { try await attempt() }
                #expect(error?.code == .unavailable)
                #expect(error?.message.contains("root directory") == true)
                #expect(error?.message.contains(disk.directory.path) == false)
            }
            try disk.directory.rename("unmounted", to: "root")
            try disk.directory.write("root/film", PatternBytes("film"), size: 10)
            #expect(try await disk.contents("film") == PatternBytes("film").bytes(0..<10))
        }
    }

    @Test("pieces are 256 KiB, the last one shorter, and keep their bytes while others are read")
    func pieces() async throws {
        try await withDisk { disk in
            let size: Int64 = 9 << 20 | 5
            try disk.directory.write("root/film", PatternBytes("film"), size: size)
            let stream = try await disk.open("film").read(0..<size)
            var buffers: [ByteBuffer] = []
            while let buffer = try await stream.next() { buffers.append(buffer) }
            #expect(buffers.dropLast().allSatisfy { $0.readableBytes == 256 << 10 })
            #expect(buffers.last?.readableBytes == 5)
            var offset: Int64 = 0
            for buffer in buffers {
                #expect(PatternBytes("film").firstDifference(in: buffer, at: offset) == nil)
                offset += Int64(buffer.readableBytes)
            }
            #expect(offset == size)
        }
    }

    @Test("buffers that are let go are used again, those that are held are not")
    func recycling() async throws {
        try await withDisk { disk in
            let size: Int64 = 16 << 20
            try disk.directory.write("root/film", PatternBytes("film"), size: size)
            let object = try await disk.open("film")
            // Two readers in turn share what they give back; one of them holds on to every fourth buffer.
            var held: [(Int64, ByteBuffer)] = []
            for _ in 0..<2 {
                let stream = try await object.read(0..<size)
                var offset: Int64 = 0
                while let buffer = try await stream.next() {
                    try #require(PatternBytes("film").firstDifference(in: buffer, at: offset) == nil)
                    if offset % (1 << 20) == 0 { held.append((offset, buffer)) }
                    offset += Int64(buffer.readableBytes)
                }
            }
            for (offset, buffer) in held {
                #expect(PatternBytes("film").firstDifference(in: buffer, at: offset) == nil)
            }
        }
    }

    @Test("a wait for the pool ends with cancellation, though the pool is stuck")
    func stuckPool() async throws {
        try await withDisk(skipsPool: false) { disk in
            try disk.directory.write("root/film", PatternBytes("film"), size: 1 << 20)
            let stream = try await disk.open("film").read(0..<1 << 20)
            _ = try await stream.next()
            let isStuck = Observed(false)
            let (reading, writing) = try makePipe()
            disk.context.pool.submit { _ in
                isStuck.update { $0 = true }
                var byte: UInt8 = 0
                _ = read(reading, &byte, 1)
            }
            try await isStuck.until { $0 }
            let opening = Task { _ = try await disk.open("film") }
            let pulling = Task { _ = try await stream.next() }
            opening.cancel()
            pulling.cancel()
            await #expect(throws: CancellationError.self) { try await opening.value }
            await #expect(throws: CancellationError.self) { try await pulling.value }
            close(writing)
            try await disk.context.drain()
            close(reading)
        }
    }

    @Test("once the pool has stopped everything is unavailable, and nothing is left open")
    func stoppedPool() async throws {
        try await withTemporaryDirectory { directory in
            try directory.write("film", PatternBytes("film"), size: 1 << 20)
            var source: DiskSource?
            var object: (any MediaObject)?
            try await TestContext.with { context in
                let made = DiskSource(root: directory.path, skipsPool: false, context: context.source)
                source = made
                object = try await made.open(MediaPath("film"))
            }
            #expect(try await code { try await source?.open(MediaPath("film")) } == .unavailable)
            #expect(try await code { try await object?.read(0..<1) } == .unavailable)
            #expect(directory.openDescriptors() == 1)
            object = nil
            #expect(directory.openDescriptors() == 0)
        }
    }

    private func makePipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        return (ends[0], ends[1])
    }
}
