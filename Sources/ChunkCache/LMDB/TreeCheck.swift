import Glibc

/// Walks all pages that hold keys, and sees whether every page of a database has just one use.
///
/// LMDB believes what it finds: a page number that is wrong by a bit makes it write over chunks that are in use, so that
/// what was checked once is something else later, or ends the process. The pages of chunks are not read here, which would
/// be a read of the disk for each: their bytes have checksums, and ``LMDBMap`` looks at how they begin.
///
/// The layout is that of LMDB 0.9 on a 64-bit machine (mdb.c). A page begins with its number (64 bits), 16 bits of no
/// meaning, flags (16), and the ends of its list of nodes and of its free space (16 each), or the number of pages of an
/// overflow run (32). The list holds 16-bit offsets of nodes: low and high half of the data's length (or of a child's
/// number, whose upper 16 bits are the flags), flags, the key's length (16 each), the key, the data.
struct TreeCheck {
    private struct Fault: Error {
        let reason: String
    }

    /// `MDB_db`: one tree.
    private struct Tree {
        let flags: UInt16
        let depth: UInt16
        let branches: UInt64
        let leaves: UInt64
        let overflows: UInt64
        let entries: UInt64
        let root: UInt64

        /// - Precondition: `bytes` has ``size`` bytes.
        init(_ bytes: ArraySlice<UInt8>) {
            flags = bytes.number(at: 4)
            depth = bytes.number(at: 6)
            branches = bytes.number(at: 8)
            leaves = bytes.number(at: 16)
            overflows = bytes.number(at: 24)
            entries = bytes.number(at: 32)
            root = bytes.number(at: 40)
        }

        static let size = 48
    }

    /// What a tree turned out to have.
    private struct Tally {
        var branches: UInt64 = 0
        var leaves: UInt64 = 0
        var overflows: UInt64 = 0
        var entries: UInt64 = 0
    }

    private enum Role {
        /// Lists of pages that can be used again.
        case free
        /// Names of tables.
        case tables
        case table
    }

    private enum PageFlag {
        static let branch: UInt16 = 0x01
        static let leaf: UInt16 = 0x02
        static let overflow: UInt16 = 0x04
    }

    private enum TableFlag {
        static let integerKeys: UInt16 = 0x08
    }

    private enum NodeFlag {
        static let overflow: UInt16 = 0x01
        static let table: UInt16 = 0x02
    }

    private static let noPage = UInt64.max
    private static let headerSize = 16
    private static let nodeSize = 8
    private static let maxDepth = 32
    private static let maxKey = 511

    private let file: Int32
    private let pageSize: Int
    private let pageCount: UInt64
    /// Pages that a use was found for.
    private var used: [UInt64]
    private var usedCount: UInt64 = 0

    /// - Parameter metaPage: the bytes of the meta page that counts, from its start.
    /// - Returns: what is wrong, for the log; `nil` if nothing is.
    static func fault(file: Int32, metaPage: [UInt8], lastPage: UInt64, pageSize: Int) -> String? {
        guard lastPage < UInt64(Int32.max) * 1024, metaPage.count >= MetaPage.size else {
            return "the newest meta page names an impossible last page"
        }
        var check = TreeCheck(file: file, pageSize: pageSize, pageCount: lastPage + 1)
        do {
            try check.run(metaPage)
            return nil
        } catch let fault as Fault {
            return fault.reason
        } catch {
            return "\(error)"
        }
    }

    private init(file: Int32, pageSize: Int, pageCount: UInt64) {
        self.file = file
        self.pageSize = pageSize
        self.pageCount = pageCount
        used = [UInt64](repeating: 0, count: Int(pageCount / 64) + 1)
    }

    private mutating func run(_ meta: [UInt8]) throws {
        try claim(0, 2)
        let (free, main) = (Tree(meta[40..<40 + Tree.size]), Tree(meta[88..<88 + Tree.size]))
        guard free.flags == TableFlag.integerKeys, main.flags == 0 else {
            throw Fault(reason: "the newest meta page has unknown flags")
        }
        try walk(free, .free)
        try walk(main, .tables)
        guard usedCount == pageCount else {
            throw Fault(reason: "\(pageCount - min(usedCount, pageCount)) pages are neither used nor free")
        }
    }

    /// Notes the only use of pages.
    private mutating func claim(_ first: UInt64, _ count: UInt64) throws {
        guard first < pageCount, count > 0, count <= pageCount - first else {
            throw Fault(reason: "a page beyond the end of the file is in use")
        }
        for page in first..<first + count {
            let (word, bit) = (Int(page / 64), UInt64(1) << (page % 64))
            guard used[word] & bit == 0 else { throw Fault(reason: "page \(page) is in use twice") }
            used[word] |= bit
        }
        usedCount += count
    }

    private mutating func walk(_ tree: Tree, _ role: Role) throws {
        guard tree.root != Self.noPage else {
            guard tree.depth == 0, tree.entries == 0 else { throw Fault(reason: "a table has entries and no pages") }
            return
        }
        guard (1...Self.maxDepth).contains(Int(tree.depth)) else { throw Fault(reason: "a table is too deep") }
        var tally = Tally()
        try walkPage(tree.root, depth: Int(tree.depth), role, &tally)
        guard tally.branches == tree.branches, tally.leaves == tree.leaves, tally.overflows == tree.overflows,
            tally.entries == tree.entries
        else { throw Fault(reason: "a table has not what it counts") }
    }

    /// - Parameter depth: how many levels there are from this page on.
    private mutating func walkPage(_ number: UInt64, depth: Int, _ role: Role, _ tally: inout Tally) throws {
        try claim(number, 1)
        let page = try read(number)
        let isLeaf = depth == 1
        guard page.number == number, page.flags == (isLeaf ? PageFlag.leaf : PageFlag.branch) else {
            throw Fault(reason: "page \(number) is not the page of a table that it should be")
        }
        if isLeaf { tally.leaves += 1 } else { tally.branches += 1 }
        let nodes = try page.nodes(isLeaf: isLeaf)
        guard isLeaf || nodes.count >= 2 else { throw Fault(reason: "page \(number) has no branches") }
        var last: ArraySlice<UInt8>?
        for (index, node) in nodes.enumerated() {
            // The first key of a branch means nothing.
            if isLeaf || index > 0 {
                let key = page.key(of: node)
                if let last, !Self.isOrdered(last, key, role) {
                    throw Fault(reason: "the keys of page \(number) are not in order")
                }
                last = key
            }
            if isLeaf {
                tally.entries += 1
                try checkValue(of: node, in: page, role, &tally)
            } else {
                try walkPage(page.child(of: node), depth: depth - 1, role, &tally)
            }
        }
    }

    private mutating func checkValue(of node: Node, in page: Page, _ role: Role, _ tally: inout Tally) throws {
        switch role {
        case .tables:
            guard node.flags == NodeFlag.table, node.dataSize == Tree.size else {
                throw Fault(reason: "a table's entry is none")
            }
            let tree = Tree(page.data(of: node))
            guard tree.flags == 0 else { throw Fault(reason: "a table is of a kind that is not used here") }
            try walk(tree, .table)
        case .table:
            guard node.flags & ~NodeFlag.overflow == 0 else { throw Fault(reason: "an entry has unknown flags") }
            guard (node.flags == NodeFlag.overflow) == LMDBMap.isLong(node.dataSize, keySize: node.keySize) else {
                throw Fault(reason: "a value of page \(page.number) lies where LMDB puts none of its length")
            }
            if node.flags == NodeFlag.overflow { _ = try overflow(of: node, in: page, &tally) }
        case .free:
            guard node.flags & ~NodeFlag.overflow == 0, node.keySize == 8 else {
                throw Fault(reason: "a list of free pages is none")
            }
            if node.flags == NodeFlag.overflow {
                let first = try overflow(of: node, in: page, &tally)
                try checkBeginning(of: node, at: first)
                try claimFree(try read(first, bytes: Self.headerSize + node.dataSize).dropFirst(Self.headerSize))
            } else {
                try claimFree(page.data(of: node))
            }
        }
    }

    /// Claims the run of pages that holds a node's data.
    ///
    /// - Returns: the first of them.
    private mutating func overflow(of node: Node, in page: Page, _ tally: inout Tally) throws -> UInt64 {
        let first: UInt64 = page.data(of: node).number(at: 0)
        let count = overflowPages(of: node)
        try claim(first, count)
        tally.overflows += count
        return first
    }

    private func overflowPages(of node: Node) -> UInt64 {
        UInt64((Self.headerSize + node.dataSize + pageSize - 1) / pageSize)
    }

    private func checkBeginning(of node: Node, at first: UInt64) throws {
        let header = try read(first, bytes: Self.headerSize)[...]
        guard header.number(at: 0) == first, header.number(at: 10) == PageFlag.overflow,
            UInt64(header.number(at: 12) as UInt32) == overflowPages(of: node)
        else { throw Fault(reason: "page \(first) is not the beginning of a list that it should be") }
    }

    /// Claims the pages of a list: their count, and their numbers.
    private mutating func claimFree(_ list: ArraySlice<UInt8>) throws {
        let numbers = stride(from: 0, to: list.count - list.count % 8, by: 8).map { list.number(at: $0) as UInt64 }
        guard let count = numbers.first, count < numbers.count else {
            throw Fault(reason: "a list of free pages is shorter than it says")
        }
        for number in numbers.dropFirst().prefix(Int(count)) { try claim(number, 1) }
    }

    // MARK: - Pages

    private struct Node {
        let offset: Int
        let flags: UInt16
        let keySize: Int
        /// Of a leaf.
        let dataSize: Int
    }

    private struct Page {
        let bytes: [UInt8]
        let number: UInt64
        let flags: UInt16

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            (number, flags) = (bytes[...].number(at: 0), bytes[...].number(at: 10))
        }

        private func number16(_ offset: Int) -> Int { Int(bytes[...].number(at: offset) as UInt16) }

        /// The nodes in the order of their keys, all of them within the page.
        func nodes(isLeaf: Bool) throws -> [Node] {
            let (lower, upper) = (number16(12), number16(14))
            guard lower >= headerSize, lower % 2 == 0, lower <= upper, upper <= bytes.count else {
                throw Fault(reason: "page \(number) has impossible bounds")
            }
            var total = 0
            let nodes = try stride(from: headerSize, to: lower, by: 2).map { place in
                let offset = number16(place)
                guard offset >= upper, offset % 2 == 0, offset + nodeSize <= bytes.count else {
                    throw Fault(reason: "page \(number) has a node outside of it")
                }
                let node = Node(
                    offset: offset,
                    flags: UInt16(number16(offset + 4)),
                    keySize: number16(offset + 6),
                    dataSize: number16(offset) | number16(offset + 2) << 16
                )
                let inPage = !isLeaf ? 0 : node.flags & NodeFlag.overflow != 0 ? 8 : node.dataSize
                let size = nodeSize + node.keySize + inPage
                guard node.keySize <= maxKey, size <= bytes.count - offset else {
                    throw Fault(reason: "page \(number) has a node that ends outside of it")
                }
                total += size + size % 2
                return node
            }
            guard total == bytes.count - upper else { throw Fault(reason: "page \(number) has gaps between its nodes") }
            return nodes
        }

        func key(of node: Node) -> ArraySlice<UInt8> {
            bytes[(node.offset + nodeSize)...].prefix(node.keySize)
        }

        /// What lies in the page behind the key: the data, or the number of the page where it begins.
        func data(of node: Node) -> ArraySlice<UInt8> {
            let size = node.flags & NodeFlag.overflow != 0 ? 8 : node.dataSize
            return bytes[(node.offset + nodeSize + node.keySize)...].prefix(size)
        }

        func child(of node: Node) -> UInt64 {
            UInt64(node.dataSize) | UInt64(node.flags) << 32
        }
    }

    private func read(_ number: UInt64) throws -> Page { Page(try read(number, bytes: pageSize)) }

    /// The first bytes of a page, and of those behind it.
    private func read(_ number: UInt64, bytes count: Int) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let offset = off_t(number) * off_t(pageSize) + off_t(filled)
                let result = pread(file, buffer.baseAddress.map { $0 + filled }, count - filled, offset)
                guard result != 0 else { throw Fault(reason: "page \(number) lies behind the end of the file") }
                if result > 0 {
                    filled += result
                } else if errno != EINTR {
                    throw Fault(reason: "page \(number) cannot be read: \(String(cString: strerror(errno)))")
                }
            }
        }
    }

    /// Whether one key may come after the other. Numbers are compared as such, all others byte by byte.
    private static func isOrdered(_ first: ArraySlice<UInt8>, _ second: ArraySlice<UInt8>, _ role: Role) -> Bool {
        guard case .free = role, first.count == 8, second.count == 8 else {
            return first.lexicographicallyPrecedes(second)
        }
        let (earlier, later): (UInt64, UInt64) = (first.number(at: 0), second.number(at: 0))
        return earlier < later
    }
}

extension ArraySlice<UInt8> {
    /// The number `offset` bytes behind the start, in this machine's order.
    ///
    /// - Precondition: its bytes are within the slice.
    fileprivate func number<Number: FixedWidthInteger>(at offset: Int) -> Number {
        withUnsafeBytes { bytes in
            precondition(offset >= 0 && offset + MemoryLayout<Number>.size <= bytes.count)
            return bytes.loadUnaligned(fromByteOffset: offset, as: Number.self)
        }
    }
}
