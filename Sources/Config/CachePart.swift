/// A part of the cache, as configuration writes it: `"25%"` of its size, or `"2GiB"`.
package enum CachePart: Sendable, Hashable {
    case percent(Percentage)
    case size(ByteSize)

    /// - Returns: `nil` for anything else, blanks included.
    package init?(_ text: String) {
        if let size = ByteSize(text) {
            self = .size(size)
        } else if let percent = Percentage(text) {
            self = .percent(percent)
        } else {
            return nil
        }
    }

    /// In bytes, for a cache of this size.
    package func bytes(of size: ByteSize) -> Int64 {
        switch self {
        case .percent(let percent): percent.of(size)
        case .size(let size): size.bytes
        }
    }
}

extension CachePart: CustomStringConvertible {
    package var description: String {
        switch self {
        case .percent(let percent): percent.description
        case .size(let size): size.description
        }
    }
}
