/// What may be pinned of the cache, as configuration writes it: `"25%"` of its size, or `"2GiB"`.
package enum PinBudget: Sendable, Hashable {
    case percent(Percentage)
    case size(ByteSize)

    /// Some room has to be left for what comes.
    static let largest = Percentage(90)
    /// What messages say a budget looks like.
    static let expectation = "a part of cache.size from \"0%\" to \"\(largest)\", or a size such as \"2GiB\""

    /// - Returns: `nil` for anything else, blanks included.
    package init?(_ text: String) {
        if let size = ByteSize(text) {
            self = .size(size)
            return
        }
        guard let percent = Percentage(text), percent.value <= Self.largest.value else { return nil }
        self = .percent(percent)
    }

    /// In bytes, for a cache of this size.
    package func bytes(of size: ByteSize) -> Int64 {
        switch self {
        case .percent(let percent): percent.of(size)
        case .size(let size): size.bytes
        }
    }
}

extension PinBudget: CustomStringConvertible {
    package var description: String {
        switch self {
        case .percent(let percent): percent.description
        case .size(let size): size.description
        }
    }
}
