import Glibc
import SourceContract
import SourcePlugins

/// A port at which every connection is refused: nobody listens there, and nobody else can.
final class DeadPort: Sendable {
    private let socket: (descriptor: Int32, port: Int)

    init() throws { socket = try boundSocket() }

    deinit { close(socket.descriptor) }

    var url: OriginURL {
        get throws {
            guard let url = OriginURL(base: "http://127.0.0.1:\(socket.port)/") else { throw UnusableURL() }
            return url
        }
    }
}

/// A port at which connecting takes as long as it is open: nobody accepts, and there is no more room to wait.
final class FullListener: Sendable {
    let port: Int
    private let descriptors: Observed<[Int32]>

    init() throws {
        let listener = try boundSocket()
        guard listen(listener.descriptor, 0) == 0 else { throw SocketFailure(call: "listen") }
        port = listener.port
        // Takes the one place there is.
        let filler = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopbackAddress(port: port)
        guard withAddress(&address, { connect(filler, $0, addressLength) }) == 0 else {
            throw SocketFailure(call: "connect")
        }
        descriptors = Observed([listener.descriptor, filler])
    }

    deinit { close() }

    func close() {
        for descriptor in descriptors.update({ open in
            defer { open = [] }
            return open
        }) { Glibc.close(descriptor) }
    }

    /// Waits until `count` connections are being made, and no more.
    func untilConnecting(_ count: Int) async throws {
        while try connecting() != count {
            try Task.checkCancellation()
            await Task.yield()
        }
    }

    /// By the kernel's table: the address of the other end is the third column, the state the fourth.
    private func connecting() throws -> Int {
        guard let file = fopen("/proc/net/tcp", "re") else { throw SocketFailure(call: "fopen") }
        defer { fclose(file) }
        let peer =
            "0100007F:" + String(repeating: "0", count: 4 - String(port, radix: 16).count)
            + String(port, radix: 16, uppercase: true)
        var line = [CChar](repeating: 0, count: 512)
        var count = 0
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            let columns = text.split(separator: " ")
            if columns.count > 3, columns[2] == peer, columns[3] == "02" { count += 1 }
        }
        return count
    }
}

private let addressLength = socklen_t(MemoryLayout<sockaddr_in>.size)

private func loopbackAddress(port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    address.sin_port = UInt16(clamping: port).bigEndian
    return address
}

/// A socket at a port of its own.
private func boundSocket() throws -> (descriptor: Int32, port: Int) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var (reuse, length) = (Int32(1), addressLength)
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
    var address = loopbackAddress(port: 0)
    guard withAddress(&address, { bind(descriptor, $0, length) }) == 0,
        withAddress(&address, { getsockname(descriptor, $0, &length) }) == 0
    else { throw SocketFailure(call: "bind") }
    return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
}

private struct SocketFailure: Error {
    let call: String
    let number = errno
}

private func withAddress<Value>(
    _ address: inout sockaddr_in,
    _ body: (UnsafeMutablePointer<sockaddr>) -> Value
) -> Value {
    withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1, body)
    }
}
