package import NIOCore

/// Bytes of a body that the kernel takes from where they lie, so that this process makes no copy of them.
///
/// Called on the event loop of the connection; nothing here may block.
package protocol DirectBody: Sendable {
    /// Hands `head`, and after it bytes from the start of `range`, to the socket, as far as it takes them at once.
    ///
    /// - Parameter head: what has to go out first; empty in the middle of a body. It is only sent if there are bytes of
    ///   the body to follow it.
    func send(_ range: Range<Int64>, after head: ByteBuffer, to socket: Int32) -> DirectSendResult

    /// What a connection may send before others get their turn, be it of one answer or of several to requests that were
    /// sent ahead. It should take less than a millisecond.
    var bytesPerTurn: Int64 { get }

    /// A copy of the bytes in `range`, with which the connection waits for room in a full socket.
    ///
    /// - Returns: `nil` if they cannot be had at once.
    func copy(_ range: Range<Int64>) -> ByteBuffer?

    /// How many of the bytes that were sent and copied since this was last asked had been read from the source for this
    /// answer, or ahead of it and not been sent before. Not asked of a body that comes from the source as a whole.
    func takeFetchedBytes() -> Int64
}

extension DirectBody {
    package func takeFetchedBytes() -> Int64 { 0 }
}

package enum DirectSendResult: Sendable, Equatable {
    /// The number of bytes that the kernel took, those of the head included.
    case sent(Int)
    /// The same, and the socket has no room for more.
    case full(Int)
    /// The bytes are not, or no longer, to be had without waiting. Nothing was sent.
    case unavailable
    /// The connection failed with this error number.
    case failed(Int32)
}

/// A stretch of a body on its way out by ``DirectBody``.
struct DirectSending {
    /// What is copied to wait for room in the socket: its size does not matter, since it is a small part of what the
    /// socket then takes.
    static let primerBytes: Int64 = 8 << 10

    let body: any DirectBody
    let isFromSource: Bool
    /// What the kernel has not taken.
    var rest: Range<Int64>
    var sent: Int64 = 0
    let completion: Completion

    /// Whether this was the end of an answer, so that nothing follows before the client asks again.
    var isWholeAnswerOut: Bool {
        if case .answer = completion { rest.isEmpty } else { false }
    }

    /// What happens when there is no more to send, or no more to be had.
    enum Completion {
        /// Told how many bytes the kernel took.
        case promise(EventLoopPromise<Int64>)
        /// The answer is over, or goes on with what is left.
        case answer(DirectAnswer)
    }
}
