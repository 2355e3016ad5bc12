/// What one of the two meta pages of LMDB 0.9 says, on a 64-bit machine. See ``DataFileCheck``.
struct MetaPage {
    /// Bytes from the start of the page that mean something.
    static let size = 152

    private static let magic: UInt32 = 0xBEEF_C0DE
    private static let version: UInt32 = 1
    private static let metaFlag: UInt16 = 0x08
    private static let noPage = UInt64.max
    /// Twice what the largest possible file needs.
    private static let maxDepth: UInt16 = 32

    let bytes: [UInt8]
    private let flags: UInt16
    private let magic: UInt32
    private let version: UInt32
    private let pageSize: UInt32
    private let trees: [Tree]
    let lastPage: UInt64
    let transaction: UInt64

    private struct Tree {
        let depth: UInt16
        let root: UInt64
    }

    /// - Precondition: `bytes` has ``size`` bytes.
    init(_ bytes: [UInt8]) {
        precondition(bytes.count == Self.size)
        self = bytes.withUnsafeBytes { MetaPage($0, bytes) }
    }

    private init(_ bytes: UnsafeRawBufferPointer, _ copy: [UInt8]) {
        self.bytes = copy
        flags = bytes.loadUnaligned(fromByteOffset: 10, as: UInt16.self)
        magic = bytes.loadUnaligned(fromByteOffset: 16, as: UInt32.self)
        version = bytes.loadUnaligned(fromByteOffset: 20, as: UInt32.self)
        pageSize = bytes.loadUnaligned(fromByteOffset: 40, as: UInt32.self)
        trees = [40, 88].map { start in
            Tree(
                depth: bytes.loadUnaligned(fromByteOffset: start + 6, as: UInt16.self),
                root: bytes.loadUnaligned(fromByteOffset: start + 40, as: UInt64.self)
            )
        }
        lastPage = bytes.loadUnaligned(fromByteOffset: 136, as: UInt64.self)
        transaction = bytes.loadUnaligned(fromByteOffset: 144, as: UInt64.self)
    }

    /// Why LMDB would not open a file with this page, or not as what it is; `nil` if it would. It wants both right.
    func formatFault(pageSize expected: Int) -> String? {
        guard magic == Self.magic, flags & Self.metaFlag != 0 else { return "not a database of LMDB" }
        guard version == Self.version else { return "of another version of LMDB's format" }
        guard UInt64(pageSize) == UInt64(expected) else { return "made with pages of another size" }
        return nil
    }

    /// Whether the trees begin at pages that can hold one.
    var rootsAreWithinFile: Bool {
        trees.allSatisfy { tree in
            if tree.root == Self.noPage { return tree.depth == 0 }
            return tree.root > 1 && tree.root <= lastPage && (1...Self.maxDepth).contains(tree.depth)
        }
    }
}
