import Dispatch
import Foundation

/// A listening socket on 127.0.0.`last` that takes no connection by itself.
final class LoopbackListener: Sendable {
    let port: UInt16
    private let descriptor: Int32

    init(last: UInt8 = 1) throws {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        descriptor = socket
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = (0x7F00_0000 | UInt32(last)).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) == 0 && listen(socket, 16) == 0
                    && getsockname(socket, $0, &length) == 0
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        guard isListening else { throw POSIXError(POSIXError.Code(rawValue: errno) ?? .EIO) }
    }

    deinit { close(descriptor) }

    /// Whether a connection waits to be taken.
    var hasConnection: Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) == 1
    }

    /// A magnet link to a torrent that nobody describes, with this as its peer.
    var magnet: String { "magnet:?xt=urn:btih:\(String(repeating: "5a", count: 20))&x.pe=127.0.0.1:\(port)" }

    /// As a tracker.
    var announceURL: String { "http://127.0.0.1:\(port)/announce" }

    /// Waits until a connection waits to be taken.
    func untilConnected() async throws {
        // Goes with the last reference to the source, or before that when the task is cancelled.
        let connected = AsyncStream<Void> { continuation in
            // Dispatch's objects may be used on any thread.
            nonisolated(unsafe) let source = DispatchSource.makeReadSource(fileDescriptor: descriptor)
            source.setEventHandler {
                continuation.yield()
                continuation.finish()
            }
            continuation.onTermination = { _ in source.cancel() }
            source.resume()
        }
        for await _ in connected { return }
        try Task.checkCancellation()
    }

    /// Answers one question to a tracker with a peer of this machine.
    func announce(_ peer: UInt16) async throws {
        let body =
            Array("d8:intervali1800e5:peers6:".utf8)
            + [127, 0, 0, 1, UInt8(peer >> 8), UInt8(truncatingIfNeeded: peer)] + [UInt8(ascii: "e")]
        try await answerOnce(Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body)
    }

    /// Takes a connection, reads what comes first, answers and ends it.
    func answerOnce(_ answer: [UInt8]) async throws {
        let listener = descriptor
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let connection = accept(listener, nil, nil)
                var request = [UInt8](repeating: 0, count: 4096)
                _ = recv(connection, &request, request.count, 0)
                _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
                close(connection)
                continuation.resume()
            }
        }
    }
}
