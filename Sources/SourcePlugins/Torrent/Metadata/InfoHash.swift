import CLibtorrent

/// The digest of an info dictionary, which names a torrent: SHA-1 for version 1 (BEP 3), SHA-256 for version 2 (BEP 52).
package struct InfoHash: Sendable, Hashable, CustomStringConvertible {
    package enum Version: Sendable, Hashable {
        case v1
        case v2
    }

    /// 20 or 32 bytes, not all of them zero.
    package let bytes: [UInt8]

    package var version: Version { bytes.count == 20 ? .v1 : .v2 }

    /// - Returns: `nil` unless there are 20 or 32 bytes and one of them is not zero.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 20 || bytes.count == 32, bytes.contains(where: { $0 != 0 }) else { return nil }
        self.bytes = Array(bytes)
    }

    /// Reads 40 or 64 hexadecimal digits, or 32 of base32 (RFC 4648 §6), in either case.
    ///
    /// - Returns: `nil` for anything else.
    package init?(_ text: some StringProtocol) {
        self.init(text: Array(text.utf8.prefix(65)))
    }

    init?(text: [UInt8]) {
        let decoded = text.count == 32 ? Self.base32(text) : Self.hexadecimal(text)
        guard let decoded, let hash = Self(bytes: decoded) else { return nil }
        self = hash
    }

    /// The hash of version 1 of the torrent whose info dictionary is `info`, exactly as it is written.
    package static func v1(of info: [UInt8]) -> InfoHash {
        InfoHash(digest: digest(of: info, count: 20, clt_sha1))
    }

    /// The hash of version 2 of the torrent whose info dictionary is `info`, exactly as it is written.
    package static func v2(of info: [UInt8]) -> InfoHash {
        InfoHash(digest: digest(of: info, count: 32, clt_sha256))
    }

    private static func digest(
        of info: [UInt8],
        count: Int,
        _ hash: (UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<UInt8>?) -> Void
    ) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { digest, written in
            digest.initialize(repeating: 0)
            info.withUnsafeBufferPointer { hash($0.baseAddress, $0.count, digest.baseAddress) }
            written = count
        }
    }

    private init(digest: [UInt8]) {
        bytes = digest
    }

    /// Lower-case hexadecimal.
    package var description: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func hexadecimal(_ text: [UInt8]) -> [UInt8]? {
        guard text.count == 40 || text.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: text.count, by: 2) {
            guard let high = PercentEncoding.hexadecimalDigit(text[index]),
                let low = PercentEncoding.hexadecimalDigit(text[index + 1])
            else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    /// 32 digits of 5 bits are 20 bytes without a rest.
    private static func base32(_ text: [UInt8]) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in text {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): bits = bits << 5 | UInt32(byte - UInt8(ascii: "a"))
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): bits = bits << 5 | UInt32(byte - UInt8(ascii: "A"))
            case UInt8(ascii: "2")...UInt8(ascii: "7"): bits = bits << 5 | UInt32(byte - UInt8(ascii: "2") + 26)
            default: return nil
            }
            count += 5
            guard count >= 8 else { continue }
            count -= 8
            bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
        return bytes
    }
}

/// The hashes of one torrent; a hybrid torrent has both. At least one is there.
package struct InfoHashes: Sendable, Hashable {
    package let v1: InfoHash?
    package let v2: InfoHash?

    /// - Returns: `nil` if there is neither, or one is of the other's version.
    package init?(v1: InfoHash?, v2: InfoHash?) {
        guard v1 != nil || v2 != nil, v1?.version != .v2, v2?.version != .v1 else { return nil }
        self.v1 = v1
        self.v2 = v2
    }

    package init(_ hash: InfoHash) {
        v1 = hash.version == .v1 ? hash : nil
        v2 = hash.version == .v2 ? hash : nil
    }

    /// One or two, version 1 first.
    package var all: [InfoHash] { [v1, v2].compactMap(\.self) }

    package func contains(_ hash: InfoHash) -> Bool { v1 == hash || v2 == hash }

    /// The names a torrent may have for these, the one it is known by first.
    var ids: [ItemID] { all.compactMap { ItemID($0.description) } }

    /// Whether both name the same torrent as far as they say: one hash in common, and none that differs.
    package func agree(with other: InfoHashes) -> Bool {
        let isSameV1 = v1 == nil || other.v1 == nil || v1 == other.v1
        let isSameV2 = v2 == nil || other.v2 == nil || v2 == other.v2
        return isSameV1 && isSameV2 && all.contains(where: other.contains)
    }
}
