/// One line of SubRip text as WebVTT cue text.
///
/// `<b>`, `<i>` and `<u>` mean the same in both. What only styles, `<font …>` and `{\an8}`, is dropped; every other
/// piece of markup is text, and so is an arrow, which would end the cue.
func cueText(_ line: ArraySlice<UInt8>) -> [UInt8] {
    var output: [UInt8] = []
    // Known once, so that a line full of opening brackets does not cost a search each.
    let lastBrace = line.lastIndex(of: UInt8(ascii: "}")) ?? line.startIndex
    let lastAngle = line.lastIndex(of: UInt8(ascii: ">")) ?? line.startIndex
    var rest = line
    while let byte = rest.first {
        switch byte {
        case UInt8(ascii: "{") where rest.startIndex < lastBrace && rest.dropFirst().first == UInt8(ascii: "\\"):
            rest = rest.drop { $0 != UInt8(ascii: "}") }.dropFirst()
            continue
        case UInt8(ascii: "<") where rest.startIndex < lastAngle:
            if let tag = sharedTag(rest) {
                output += tag
                rest = rest.dropFirst(tag.count)
                continue
            }
            if isFontTag(rest) {
                rest = rest.drop { $0 != UInt8(ascii: ">") }.dropFirst()
                continue
            }
            output += "&lt;".utf8
        case UInt8(ascii: "<"): output += "&lt;".utf8
        case UInt8(ascii: ">"): output += "&gt;".utf8
        case UInt8(ascii: "&"): output += "&amp;".utf8
        case 0: output += "\u{FFFD}".utf8
        default: output.append(byte)
        }
        rest = rest.dropFirst()
    }
    return output
}

private let sharedTags = ["<b>", "<i>", "<u>", "</b>", "</i>", "</u>"].map { Array($0.utf8) }

/// The tag at the start of `text` in lower case, if it is one that WebVTT has as well.
private func sharedTag(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    let start = text.prefix(4).map(lowercased)
    return sharedTags.first { start.starts(with: $0) }
}

private func isFontTag(_ text: ArraySlice<UInt8>) -> Bool {
    let start = text.prefix(6).map(lowercased)
    return start.starts(with: "<font".utf8) || start.starts(with: "</font".utf8)
}

private func lowercased(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}
