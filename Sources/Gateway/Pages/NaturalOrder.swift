import SourcePlugins

/// The order people expect of names: without regard to case, and with numbers by their value, so that episode 10 comes
/// after episode 2. Names that are equal in that way are in byte order.
enum NaturalOrder {
    static func precedes(_ left: MediaPath.Component, _ right: MediaPath.Component) -> Bool {
        var (first, second) = (left.bytes[...], right.bytes[...])
        while let one = first.first, let other = second.first {
            if isDigit(one), isDigit(other) {
                let (number, otherNumber) = (takeNumber(&first), takeNumber(&second))
                // Without leading zeros, the longer number is the larger one.
                if number.count != otherNumber.count { return number.count < otherNumber.count }
                if !number.elementsEqual(otherNumber) { return number.lexicographicallyPrecedes(otherNumber) }
            } else {
                let (lower, otherLower) = (lowercased(one), lowercased(other))
                if lower != otherLower { return lower < otherLower }
                first.removeFirst()
                second.removeFirst()
            }
        }
        return first.isEmpty == second.isEmpty ? left < right : first.isEmpty
    }

    private static func takeNumber(_ bytes: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let digits = bytes.prefix(while: isDigit)
        bytes = bytes.dropFirst(digits.count)
        return digits.drop { $0 == UInt8(ascii: "0") }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}
