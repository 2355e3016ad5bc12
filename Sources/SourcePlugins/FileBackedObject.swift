package import NIOCore

/// An object that is a file, of which the kernel may be told to send parts by itself. Nothing here blocks.
package protocol FileBackedObject: MediaObject {
    /// Whether whoever configured the source says that its files never change in place, so that bytes on their way may
    /// be references to the file instead of copies.
    var maySendFile: Bool { get }

    /// Tells this file from others on this machine: hardly ever the same for two.
    var fileNumber: UInt64 { get }

    /// Whether the bytes of `range`, 4 MiB at most, can be read without waiting for a disk.
    func isAtHand(_ range: Range<Int64>) -> Bool

    /// Gives `body` the open file, if it still is what it was when it was opened, at least up to `end`.
    ///
    /// - Returns: `nil` if it is not; `read` says why.
    func withFile<Value>(upTo end: Int64, _ body: (_ descriptor: Int32) -> Value) -> Value?

    /// Reads `range` into the empty `buffer` if that needs no waiting for a disk.
    ///
    /// - Returns: whether `buffer` has all of it; if not, it has what was at hand at the start of `range`.
    /// - Throws: ``SourceError``.
    func readCached(_ range: Range<Int64>, into buffer: inout ByteBuffer) throws -> Bool
}
