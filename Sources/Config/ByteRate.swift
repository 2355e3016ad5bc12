/// Bytes a second, as configuration writes them: `"1MiB/s"`.
package struct ByteRate: Sendable, Hashable, Comparable {
    package var bytesPerSecond: Int64

    package init(bytesPerSecond: Int64) {
        self.bytesPerSecond = bytesPerSecond
    }

    /// A ``ByteSize`` and `/s`; `nil` for anything else.
    package init?(_ text: String) {
        guard text.hasSuffix("/s"), let size = ByteSize(String(text.dropLast(2))) else { return nil }
        bytesPerSecond = size.bytes
    }

    package static func < (left: ByteRate, right: ByteRate) -> Bool { left.bytesPerSecond < right.bytesPerSecond }
}

extension ByteRate: CustomStringConvertible {
    package var description: String { "\(ByteSize(bytes: bytesPerSecond))/s" }
}
