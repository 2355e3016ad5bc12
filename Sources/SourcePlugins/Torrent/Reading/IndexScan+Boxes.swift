extension IndexScan {
    /// A walk over the boxes of an ISO media file, from one header to the next (ISO/IEC 14496-12 §4.2).
    struct BoxWalk: Sendable {
        private static let maxBoxes = 64
        private static let longHeader: Int64 = 16
        /// What a file can begin with.
        private static let firstTypes: Set<FourCC> = [
            "ftyp", "styp", "moov", "mdat", "free", "skip", "wide", "pnot", "uuid", "sidx", "moof",
        ]

        private let fileSize: Int64
        private var offset: Int64 = 0
        private var boxes = 0
        private var hasMedia = false

        init(fileSize: Int64) {
            self.fileSize = fileSize
        }

        static func isStart(_ bytes: [UInt8]) -> Bool {
            firstTypes.contains(FourCC(bytes.dropFirst(4)))
        }

        /// The header of the next box.
        var needed: Range<Int64> { offset..<min(offset + Self.longHeader, fileSize) }

        func advanced(by bytes: [UInt8]) -> State {
            guard let box = BoxHeader(bytes, available: fileSize - offset) else { return .done(.unknown) }
            let end = offset + box.size
            switch box.type {
            case "moov":
                guard hasMedia else { return .done(.none) }
                return .done(box.size <= IndexScan.maxIndexBytes ? .ranges([offset..<end]) : .unknown)
            case "mdat":
                return next(at: end, hasMedia: true)
            // A fragment of a file that begins elsewhere.
            case "moof":
                return .done(.unknown)
            default:
                return next(at: end, hasMedia: hasMedia)
            }
        }

        private func next(at end: Int64, hasMedia: Bool) -> State {
            var next = self
            (next.offset, next.hasMedia, next.boxes) = (end, hasMedia, boxes + 1)
            guard next.boxes < Self.maxBoxes, fileSize - end >= BoxHeader.minSize else { return .done(.unknown) }
            return .box(next)
        }
    }

    private struct BoxHeader {
        static let minSize: Int64 = 8

        let type: FourCC
        /// With the header.
        let size: Int64

        /// - Returns: `nil` unless the box fits into the `available` bytes.
        init?(_ bytes: [UInt8], available: Int64) {
            guard bytes.count >= 8 else { return nil }
            type = FourCC(bytes.dropFirst(4))
            let shortSize = bytes.prefix(4).bigEndianNumber
            switch shortSize {
            case 0:
                size = available
            case 1:
                guard bytes.count >= 16, let long = Int64(exactly: bytes[8..<16].bigEndianNumber), long >= 16 else {
                    return nil
                }
                size = long
            default:
                guard shortSize >= 8 else { return nil }
                size = Int64(shortSize)
            }
            guard size <= available else { return nil }
        }
    }
}

/// The type of a box.
private struct FourCC: Hashable, ExpressibleByStringLiteral {
    private let value: UInt64

    init(_ bytes: some Sequence<UInt8>) {
        value = bytes.prefix(4).bigEndianNumber
    }

    init(stringLiteral text: StaticString) {
        self.init(text.withUTF8Buffer { Array($0) })
    }

    static func ~= (pattern: FourCC, type: FourCC) -> Bool { pattern == type }
}

extension Sequence<UInt8> {
    /// Of eight bytes at most; of more, the last eight.
    var bigEndianNumber: UInt64 { reduce(0) { $0 << 8 | UInt64($1) } }
}
