/// What may be pinned of the cache, as configuration writes it: `"25%"` of its size, or `"2GiB"`.
package enum PinBudget: Sendable, Hashable {
    case percent(Int)
    case size(ByteSize)

    /// Some room has to be left for what comes.
    static let mostPercent = 90
    /// What messages say a budget looks like.
    static let expectation = "a part of cache.size from \"0%\" to \"\(mostPercent)%\", or a size such as \"2GiB\""

    /// - Returns: `nil` for anything else, blanks included.
    package init?(_ text: String) {
        if let size = ByteSize(text) {
            self = .size(size)
            return
        }
        guard let (number, rest) = splitNumber(text), rest == "%", (0...Int64(Self.mostPercent)).contains(number) else {
            return nil
        }
        self = .percent(Int(number))
    }

    /// In bytes, for a cache of this size.
    package func bytes(of size: ByteSize) -> Int64 {
        switch self {
        case .percent(let percent): size.bytes / 100 * Int64(percent)
        case .size(let size): size.bytes
        }
    }
}

extension PinBudget: CustomStringConvertible {
    package var description: String {
        switch self {
        case .percent(let percent): "\(percent)%"
        case .size(let size): size.description
        }
    }
}
