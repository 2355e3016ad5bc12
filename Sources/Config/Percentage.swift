/// A part of a whole, as configuration writes it: `"25%"`.
package struct Percentage: Sendable, Hashable, CustomStringConvertible {
    /// From 0 to 100.
    package let value: Int

    /// - Precondition: `value` is from 0 to 100.
    package init(_ value: Int) {
        precondition((0...100).contains(value), "a percentage is from 0 to 100")
        self.value = value
    }

    /// - Returns: `nil` for anything else than a whole number from 0 to 100 and the sign.
    package init?(_ text: String) {
        guard let (number, rest) = splitNumber(text), rest == "%", (0...100).contains(number) else { return nil }
        value = Int(number)
    }

    /// What that is of `size`, in bytes.
    package func of(_ size: ByteSize) -> Int64 { size.bytes / 100 * Int64(value) }

    package var description: String { "\(value)%" }
}
