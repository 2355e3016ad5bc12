#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The bytes of an IPv4 or IPv6 address in network order.
struct IPAddress: Sendable, Hashable {
    /// 4 or 16 bytes.
    let bytes: [UInt8]

    /// The textual forms of RFC 4291 §2.2 and dotted quads; no zone, no brackets.
    init?(_ text: String) {
        // inet_pton(3) stops at a NUL byte, so it must not get to see one.
        guard text.utf8.allSatisfy({ isLetterOrDigit($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") }) else {
            return nil
        }
        let isV6 = text.utf8.contains(UInt8(ascii: ":"))
        var bytes = [UInt8](repeating: 0, count: isV6 ? 16 : 4)
        guard inet_pton(isV6 ? AF_INET6 : AF_INET, text, &bytes) == 1 else { return nil }
        self.bytes = bytes
    }

    /// Without the prefix of an IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2).
    static func unmapped(_ bytes: some Collection<UInt8>) -> [UInt8] {
        let bytes = Array(bytes)
        let prefix = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
        return bytes.count == 16 && bytes.starts(with: prefix) ? Array(bytes.dropFirst(12)) : bytes
    }

    /// Whether it stands for every address of the machine.
    var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }

    /// Whether packets to it stay on this machine.
    var isLoopback: Bool {
        let bytes = Self.unmapped(bytes)
        return bytes.count == 4 ? bytes.first == 127 : bytes == [UInt8](repeating: 0, count: 15) + [1]
    }
}
