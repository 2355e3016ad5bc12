enum ColumnAlignment {
    case left
    case right
}

extension [UInt8] {
    /// Appends a space and what `append` writes, filled up with spaces to `width`.
    mutating func appendColumn(_ width: Int, alignment: ColumnAlignment = .left, _ append: (inout [UInt8]) -> Void) {
        self.append(UInt8(ascii: " "))
        let start = count
        append(&self)
        let missing = start + width - count
        guard missing > 0 else { return }
        let spaces = repeatElement(UInt8(ascii: " "), count: missing)
        switch alignment {
        case .left: self.append(contentsOf: spaces)
        case .right: insert(contentsOf: spaces, at: start)
        }
    }

    /// Appends ` name=value`, escaped; nothing if there is no value.
    mutating func appendPair(_ name: String, _ value: String?, limit: Int = .max) {
        guard let value else { return }
        append(UInt8(ascii: " "))
        EscapedText.append(name, to: &self)
        append(UInt8(ascii: "="))
        EscapedText.appendBare(value, limit: limit, to: &self)
    }
}
