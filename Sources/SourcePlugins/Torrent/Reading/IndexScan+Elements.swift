extension IndexScan {
    /// A walk over the elements of a Matroska file, from one header to the next (RFC 8794, RFC 9559).
    struct ElementWalk: Sendable {
        private static let maxElements = 64
        private static let stepSize: Int64 = 64
        /// The longest header that this format allows.
        private static let maxHeader: Int64 = 12
        /// A SeekHead has some twenty bytes for each of a few dozen entries.
        private static let maxSeekHead: Int64 = 64 << 10

        private enum ID {
            static let ebml: UInt64 = 0x1A45_DFA3
            static let segment: UInt64 = 0x1853_8067
            static let seekHead: UInt64 = 0x114D_9B74
            static let seek: UInt64 = 0x4DBB
            static let seekID: UInt64 = 0x53AB
            static let seekPosition: UInt64 = 0x53AC
            static let cues: UInt64 = 0x1C53_BB6B
            static let cluster: UInt64 = 0x1F43_B675
        }

        private enum Place {
            /// At the top of the file, before the Segment.
            case top
            /// At a child of the Segment.
            case segment
            /// At an entry of a SeekHead that ends there.
            case seekHead(end: Int64)
            /// Where a SeekHead says that there is another one.
            case otherSeekHead
            /// Where a SeekHead says that the Cues are.
            case cues
        }

        private let fileSize: Int64
        private var place = Place.top
        private var offset: Int64 = 0
        private var elements = 0
        /// Where the Segment's content begins, from which positions count.
        private var segmentStart: Int64 = 0
        private var segmentEnd: Int64
        /// As the SeekHead being read has it.
        private var otherSeekHead: Int64?
        private var hasFollowed = false

        init(fileSize: Int64) {
            self.fileSize = fileSize
            segmentEnd = fileSize
        }

        static func isStart(_ bytes: [UInt8]) -> Bool {
            bytes.prefix(4).bigEndianNumber == ID.ebml
        }

        var needed: Range<Int64> {
            switch place {
            case .top, .segment, .otherSeekHead, .cues: needed(Self.maxHeader, before: segmentEnd)
            case .seekHead(let end): needed(Self.stepSize, before: end)
            }
        }

        private func needed(_ count: Int64, before end: Int64) -> Range<Int64> {
            offset..<max(min(offset + count, end), offset)
        }

        func advanced(by bytes: [UInt8]) -> State {
            guard let header = ElementHeader(bytes) else { return .done(.unknown) }
            let start = offset + header.length
            // Of a size that is not known, or goes on behind the end of the file.
            let end = header.size.flatMap { $0 <= segmentEnd - start ? start + $0 : nil }
            switch place {
            case .top: return afterTop(header, start: start, end: end)
            case .segment: return afterChild(header, start: start, end: end)
            case .otherSeekHead:
                guard header.id == ID.seekHead, let end else { return .done(.unknown) }
                return enterSeekHead(start..<end)
            case .seekHead(let headEnd):
                guard let end, end <= headEnd else { return .done(.unknown) }
                return afterEntry(header, bytes.dropFirst(Int(header.length)), end: end, headEnd: headEnd)
            case .cues:
                guard header.id == ID.cues, let end, end - offset <= IndexScan.maxIndexBytes else {
                    return .done(.unknown)
                }
                return .done(.ranges([offset..<end]))
            }
        }

        private func afterTop(_ header: ElementHeader, start: Int64, end: Int64?) -> State {
            guard header.id == ID.segment else {
                guard let end else { return .done(.unknown) }
                return moved(to: end, .top, orElse: .unknown)
            }
            var inside = self
            inside.segmentStart = start
            // A file that is not whole has a Segment that goes on behind its end.
            inside.segmentEnd = end ?? fileSize
            return inside.moved(to: start, .segment, orElse: .none)
        }

        private func afterChild(_ header: ElementHeader, start: Int64, end: Int64?) -> State {
            switch header.id {
            // Whoever reads from the start has the Cues before the media, or nothing leads to them.
            case ID.cues, ID.cluster: return .done(.none)
            case ID.seekHead:
                guard let end else { return .done(.unknown) }
                return enterSeekHead(start..<end)
            default:
                guard let end else { return .done(.unknown) }
                return moved(to: end, .segment, orElse: .none)
            }
        }

        private func enterSeekHead(_ content: Range<Int64>) -> State {
            guard content.count <= Self.maxSeekHead else { return .done(.unknown) }
            return moved(to: content.lowerBound, .seekHead(end: content.upperBound), orElse: .none)
        }

        private func afterEntry(
            _ header: ElementHeader,
            _ content: ArraySlice<UInt8>,
            end: Int64,
            headEnd: Int64
        ) -> State {
            var next = self
            if header.id == ID.seek, let entry = SeekEntry(content.prefix(Int(clamping: header.size ?? 0))),
                let position = position(entry.position)
            {
                switch entry.id {
                case ID.cues: return moved(to: position, .cues, orElse: .unknown)
                case ID.seekHead: next.otherSeekHead = position
                default: break
                }
            }
            if end < headEnd { return next.moved(to: end, .seekHead(end: headEnd), orElse: .unknown) }
            guard let other = next.otherSeekHead, !hasFollowed else { return .done(.none) }
            next.hasFollowed = true
            return next.moved(to: other, .otherSeekHead, orElse: .unknown)
        }

        /// Where in the file a position in the Segment is; `nil` if there is no room for an element.
        private func position(_ value: UInt64) -> Int64? {
            guard let value = Int64(exactly: value), value < segmentEnd - segmentStart else { return nil }
            return segmentStart + value
        }

        /// - Parameter outcome: if there is nothing any more.
        private func moved(to offset: Int64, _ place: Place, orElse outcome: Outcome) -> State {
            var next = self
            (next.offset, next.place, next.elements) = (offset, place, elements + 1)
            guard next.elements < Self.maxElements else { return .done(.unknown) }
            return next.needed.isEmpty ? .done(outcome) : .element(next)
        }

        /// One entry of a SeekHead.
        private struct SeekEntry {
            let id: UInt64
            let position: UInt64

            /// - Returns: `nil` unless `bytes` hold both, whole.
            init?(_ bytes: ArraySlice<UInt8>) {
                var (rest, id, position) = (bytes, UInt64?.none, UInt64?.none)
                while let header = ElementHeader(Array(rest)), let size = header.size {
                    let content = rest.dropFirst(Int(header.length))
                    guard size <= 8, content.count >= Int(size) else { return nil }
                    let value = content.prefix(Int(size)).bigEndianNumber
                    if header.id == ID.seekID { id = value }
                    if header.id == ID.seekPosition { position = value }
                    rest = content.dropFirst(Int(size))
                }
                guard let id, let position else { return nil }
                (self.id, self.position) = (id, position)
            }
        }
    }

    /// Number and size of an element.
    private struct ElementHeader {
        /// With the bits that give its length.
        let id: UInt64
        /// Of the content; `nil` if it is not known.
        let size: Int64?
        /// Of the header.
        let length: Int64

        /// - Returns: `nil` if `bytes` do not begin with a header of Matroska: a number of up to four bytes and a
        /// size of   up to eight.
        init?(_ bytes: [UInt8]) {
            guard let first = bytes.first, first.leadingZeroBitCount < 4 else { return nil }
            let idLength = first.leadingZeroBitCount + 1
            guard bytes.count > idLength, bytes[idLength] != 0 else { return nil }
            let sizeLength = bytes[idLength].leadingZeroBitCount + 1
            guard bytes.count >= idLength + sizeLength else { return nil }
            id = bytes.prefix(idLength).bigEndianNumber
            let valueBits = UInt64(7 * sizeLength)
            let value = bytes[idLength..<idLength + sizeLength].bigEndianNumber & (1 << valueBits - 1)
            size = value == 1 << valueBits - 1 ? nil : Int64(value)
            length = Int64(idLength + sizeLength)
        }
    }
}
