/// Finds where a media file keeps the index that players read before anything else, from the headers of its parts
/// alone.
///
/// A value without I/O. While ``step`` is `read`, give those bytes to ``take(_:)``; in the end it is `done`. There are
/// fewer than 70 steps whatever the bytes say, and each reads 64 bytes at most. The kind of file is told by its first
/// bytes. Known are ISO media files (MP4, MOV, 3GP), whose index is the box `moov`, and Matroska and WebM, whose
/// index is the element Cues, to which a SeekHead at the start leads.
package struct IndexScan: Sendable {
    package enum Step: Sendable, Hashable {
        /// These bytes of the file are needed.
        case read(Range<Int64>)
        case done(Outcome)
    }

    package enum Outcome: Sendable, Hashable {
        /// Exactly these bytes of the file are its index.
        case ranges([Range<Int64>])
        /// A player that reads on from the start meets the index before the media, or there is none.
        case none
        /// Not a kind of file that is known, or not a sound one.
        case unknown
    }

    /// Larger ones are taken for damage.
    package static let maxIndexBytes: Int64 = 64 << 20

    enum State: Sendable {
        /// The first bytes of the file are needed.
        case start
        case box(BoxWalk)
        case element(ElementWalk)
        case done(Outcome)
    }

    private let fileSize: Int64
    private var state: State

    /// - Parameter fileSize: in bytes.
    package init(fileSize: Int64) {
        self.fileSize = fileSize
        state = fileSize >= 16 ? .start : .done(.unknown)
    }

    package var step: Step {
        switch state {
        case .start: .read(0..<min(64, fileSize))
        case .box(let walk): .read(walk.needed)
        case .element(let walk): .read(walk.needed)
        case .done(let outcome): .done(outcome)
        }
    }

    /// Goes on with the bytes that ``step`` asked for. Fewer end the scan, and after the end they change nothing.
    package mutating func take(_ bytes: some Sequence<UInt8>) {
        guard case .read(let range) = step else { return }
        let bytes = Array(bytes.prefix(range.count))
        guard bytes.count == range.count else {
            state = .done(.unknown)
            return
        }
        switch state {
        case .start:
            if ElementWalk.isStart(bytes) {
                state = ElementWalk(fileSize: fileSize).advanced(by: bytes)
            } else if BoxWalk.isStart(bytes) {
                state = BoxWalk(fileSize: fileSize).advanced(by: bytes)
            } else {
                state = .done(.unknown)
            }
        case .box(let walk): state = walk.advanced(by: bytes)
        case .element(let walk): state = walk.advanced(by: bytes)
        case .done: break
        }
    }
}
