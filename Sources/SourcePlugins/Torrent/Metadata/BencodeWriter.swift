/// Writes bencoded data (BEP 3). Who writes a dictionary writes its keys in ascending order.
package struct BencodeWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func string(_ content: some Collection<UInt8>) {
        bytes += Array("\(content.count):".utf8)
        bytes += content
    }

    package mutating func string(_ content: String) {
        string(content.utf8)
    }

    package mutating func integer(_ value: Int64) {
        bytes += Array("i\(value)e".utf8)
    }

    package mutating func list(_ body: (inout BencodeWriter) throws -> Void) rethrows {
        try enclose(UInt8(ascii: "l"), body)
    }

    package mutating func dictionary(_ body: (inout BencodeWriter) throws -> Void) rethrows {
        try enclose(UInt8(ascii: "d"), body)
    }

    /// Adds a value that is bencoded already.
    package mutating func encoded(_ value: some Collection<UInt8>) {
        bytes += value
    }

    private mutating func enclose(_ opening: UInt8, _ body: (inout BencodeWriter) throws -> Void) rethrows {
        bytes.append(opening)
        try body(&self)
        bytes.append(UInt8(ascii: "e"))
    }
}
