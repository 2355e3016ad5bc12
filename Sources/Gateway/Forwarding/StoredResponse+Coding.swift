import NIOCore
package import SourcePlugins

/// The form in which the chunk cache keeps a response's head with the record of its body: a format byte, the numbers, and
/// texts with their lengths in front. Numbers are big-endian.
extension StoredResponse {
    private static let format: UInt8 = 1

    /// - Returns: `nil` if the head is longer than a record may be.
    package func encoded() -> [UInt8]? {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(Self.format, UInt16(clamping: status))
        guard buffer.writePairs(fields.lines.map { ($0.name, $0.value) }) else { return nil }
        buffer.write(freshness.lifetime)
        buffer.write(freshness.initialAge)
        buffer.writeMultipleIntegers(freshness.basis.code, freshness.responseTime.nanoseconds)
        buffer.writeInteger(flags.rawValue)
        if case .allowed(let whileRevalidating, let ifError) = freshness.staleness {
            if let whileRevalidating { buffer.write(whileRevalidating) }
            if let ifError { buffer.write(ifError) }
        }
        guard buffer.writePairs(variant.selectors.map { ($0.name, $0.value) }) else { return nil }
        return buffer.readableBytes <= 48 << 10 ? Array(buffer.readableBytesView) : nil
    }

    /// - Returns: `nil` unless `bytes` are what ``encoded()`` makes of a response.
    package init?(encoded bytes: [UInt8]) {
        var buffer = ByteBuffer(bytes: bytes)
        guard let (format, status) = buffer.readMultipleIntegers(as: (UInt8, UInt16).self), format == Self.format,
            let lines = buffer.readPairs(), let lifetime = buffer.readDuration(),
            let initialAge = buffer.readDuration(),
            let (basisCode, responseTime, rawFlags) = buffer.readMultipleIntegers(as: (UInt8, Int64, UInt8).self),
            let basis = Freshness.Basis(code: basisCode)
        else { return nil }
        let flags = Flags(rawValue: rawFlags)
        var staleness = Freshness.Staleness.forbidden
        if flags.contains(.allowsStale) {
            let (hasWindow, hasErrorWindow) = (flags.contains(.hasWhileRevalidating), flags.contains(.hasIfError))
            let whileRevalidating = hasWindow ? buffer.readDuration() : nil
            let ifError = hasErrorWindow ? buffer.readDuration() : nil
            guard (whileRevalidating != nil) == hasWindow, (ifError != nil) == hasErrorWindow else { return nil }
            staleness = .allowed(whileRevalidating: whileRevalidating, ifError: ifError)
        }
        guard let selectors = buffer.readPairs(), buffer.readableBytes == 0 else { return nil }
        self.init(
            status: Int(status),
            fields: HeaderFields(lines.map { ($0.0, $0.1 ?? "") }),
            freshness: Freshness(
                lifetime: lifetime,
                basis: basis,
                initialAge: initialAge,
                responseTime: Timestamp(nanoseconds: responseTime),
                staleness: staleness,
                needsValidation: flags.contains(.needsValidation),
                isImmutable: flags.contains(.isImmutable)
            ),
            variant: VariantKey(selectors: selectors.map { VariantKey.Selector(name: $0.0, value: $0.1) })
        )
    }

    private struct Flags: OptionSet {
        let rawValue: UInt8

        static let needsValidation = Flags(rawValue: 1)
        static let isImmutable = Flags(rawValue: 2)
        static let allowsStale = Flags(rawValue: 4)
        static let hasWhileRevalidating = Flags(rawValue: 8)
        static let hasIfError = Flags(rawValue: 16)
    }

    private var flags: Flags {
        var flags: Flags = []
        if freshness.needsValidation { flags.insert(.needsValidation) }
        if freshness.isImmutable { flags.insert(.isImmutable) }
        if case .allowed(let whileRevalidating, let ifError) = freshness.staleness {
            flags.insert(.allowsStale)
            if whileRevalidating != nil { flags.insert(.hasWhileRevalidating) }
            if ifError != nil { flags.insert(.hasIfError) }
        }
        return flags
    }
}

extension Freshness.Basis {
    fileprivate var code: UInt8 {
        switch self {
        case .nothing: 0
        case .sharedMaxAge: 1
        case .maxAge: 2
        case .expires: 3
        case .heuristic: 4
        case .negative: 5
        }
    }

    fileprivate init?(code: UInt8) {
        switch code {
        case 0: self = .nothing
        case 1: self = .sharedMaxAge
        case 2: self = .maxAge
        case 3: self = .expires
        case 4: self = .heuristic
        case 5: self = .negative
        default: return nil
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func write(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        writeMultipleIntegers(seconds, attoseconds)
    }

    fileprivate mutating func readDuration() -> Duration? {
        readMultipleIntegers(as: (Int64, Int64).self).map {
            Duration(secondsComponent: $0.0, attosecondsComponent: $0.1)
        }
    }

    /// A value that is `nil` has a length of -1.
    fileprivate mutating func writePairs(_ pairs: [(String, String?)]) -> Bool {
        guard let count = UInt16(exactly: pairs.count) else { return false }
        writeInteger(count)
        for (name, value) in pairs {
            guard let nameLength = UInt16(exactly: name.utf8.count),
                let valueLength = Int32(exactly: value?.utf8.count ?? -1)
            else { return false }
            writeMultipleIntegers(nameLength, valueLength)
            writeString(name)
            if let value { writeString(value) }
        }
        return true
    }

    fileprivate mutating func readPairs() -> [(String, String?)]? {
        guard let count = readInteger(as: UInt16.self) else { return nil }
        var pairs: [(String, String?)] = []
        for _ in 0..<count {
            guard let (nameLength, valueLength) = readMultipleIntegers(as: (UInt16, Int32).self),
                let name = readString(length: Int(nameLength))
            else { return nil }
            guard valueLength >= 0 else {
                pairs.append((name, nil))
                continue
            }
            guard let value = readString(length: Int(valueLength)) else { return nil }
            pairs.append((name, value))
        }
        return pairs
    }
}
