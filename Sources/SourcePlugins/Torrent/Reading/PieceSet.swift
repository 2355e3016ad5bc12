/// Which of a torrent's pieces are in a set: one bit a piece.
package struct PieceSet: Sendable, Hashable {
    /// How many pieces the torrent has.
    package let pieceCount: Int
    /// How many of them are in the set.
    package private(set) var count = 0
    private var words: [UInt64]

    /// An empty set.
    package init(pieceCount: Int) {
        self.pieceCount = max(pieceCount, 0)
        words = Array(repeating: 0, count: (self.pieceCount >> 6) + (self.pieceCount & 63 == 0 ? 0 : 1))
    }

    /// The set a BitTorrent bitfield has: the first piece is the highest bit of the first byte.
    ///
    /// Bytes that are missing have no piece; what is behind the last piece means nothing.
    package init(pieceCount: Int, bitfield: some Sequence<UInt8>) {
        self.init(pieceCount: pieceCount)
        for (index, byte) in zip(0..<words.count * 8, bitfield) {
            words[index >> 3] |= UInt64(byte.bitReversed) << UInt64((index & 7) * 8)
        }
        if self.pieceCount & 63 != 0, let last = words.indices.last {
            words[last] &= 1 << UInt64(self.pieceCount & 63) - 1
        }
        count = words.reduce(0) { $0 + $1.nonzeroBitCount }
    }

    package var isComplete: Bool { count == pieceCount }

    /// Whether `piece` is in the set. One that the torrent does not have never is.
    package func contains(_ piece: Int) -> Bool {
        isPiece(piece) && words[piece >> 6] & bit(piece) != 0
    }

    /// - Returns: `false` if it was there, or is no piece of the torrent.
    @discardableResult
    package mutating func insert(_ piece: Int) -> Bool {
        guard isPiece(piece), !contains(piece) else { return false }
        words[piece >> 6] |= bit(piece)
        count += 1
        return true
    }

    /// - Returns: `false` if it was not there.
    @discardableResult
    package mutating func remove(_ piece: Int) -> Bool {
        guard contains(piece) else { return false }
        words[piece >> 6] &= ~bit(piece)
        count -= 1
        return true
    }

    /// The first piece of `pieces` that is not in the set; `nil` if all are. Costs a step for 64 pieces.
    package func firstMissing(in pieces: Range<Int>) -> Int? {
        first(in: pieces) { ~$0 }
    }

    /// The first piece of `pieces` that is in the set.
    package func firstPresent(in pieces: Range<Int>) -> Int? {
        first(in: pieces) { $0 }
    }

    /// Lengths of the runs of pieces that are absent, present, absent, and so on; the first may be 0. They add up to
    /// ``pieceCount``.
    package var runLengths: [Int] {
        var lengths: [Int] = []
        var (start, isPresent) = (0, false)
        while start < pieceCount {
            let rest = start..<pieceCount
            let end = (isPresent ? firstMissing(in: rest) : firstPresent(in: rest)) ?? pieceCount
            lengths.append(end - start)
            (start, isPresent) = (end, !isPresent)
        }
        return lengths
    }

    private func first(in pieces: Range<Int>, _ wanted: (UInt64) -> UInt64) -> Int? {
        let pieces = pieces.clamped(to: 0..<pieceCount)
        guard let last = pieces.last else { return nil }
        var mask = UInt64.max << UInt64(pieces.lowerBound & 63)
        for index in pieces.lowerBound >> 6...last >> 6 {
            let found = wanted(words[index]) & mask
            if found != 0 {
                let piece = index << 6 + found.trailingZeroBitCount
                return piece <= last ? piece : nil
            }
            mask = .max
        }
        return nil
    }

    private func isPiece(_ piece: Int) -> Bool { (0..<pieceCount).contains(piece) }

    private func bit(_ piece: Int) -> UInt64 { 1 << UInt64(piece & 63) }
}

extension UInt8 {
    fileprivate var bitReversed: UInt8 {
        var (reversed, rest) = (UInt8(0), self)
        for _ in 0..<8 { (reversed, rest) = (reversed << 1 | rest & 1, rest >> 1) }
        return reversed
    }
}
