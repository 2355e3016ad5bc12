import ChunkCache
import Foundation
import SourceContract
import Testing

/// What tests do with the files of a cache that is not open.
extension TestCache {
    private func withDatabase<Value>(_ body: (LMDBEnvironment, LMDBTable, LMDBTable) throws -> Value) throws -> Value {
        let environment = try LMDBEnvironment(
            LMDBSettings(
                directory: path,
                mapSize: 256 << 20,
                tables: ["chunks", "objects", "about"],
                durability: .relaxed
            )
        )
        defer { environment.close() }
        return try body(
            environment,
            #require(environment.table("chunks")),
            #require(environment.table("objects"))
        )
    }

    /// Changes the database behind the cache's back.
    func change(
        _ body: (inout LMDBWriteTransaction, _ chunks: LMDBTable, _ objects: LMDBTable) throws -> Void
    ) throws {
        try withDatabase { environment, chunks, objects in
            try environment.write { try body(&$0, chunks, objects) }
        }
    }

    /// Has the database say that it is of another format, or nothing of its format.
    func setFormat(_ format: String?) throws {
        try withDatabase { environment, _, _ in
            let about = try #require(environment.table("about"))
            let key = Array("format".utf8)
            try environment.write { transaction in
                if let format {
                    try transaction.put(Array(format.utf8).span.bytes, for: key, in: about)
                } else {
                    try transaction.delete(key, from: about)
                }
            }
        }
    }

    func counts() throws -> (chunks: Int, objects: Int) {
        try withDatabase { environment, chunks, objects in
            try environment.read { (try $0.count(chunks), try $0.count(objects)) }
        }
    }

    /// Turns over a bit of each of these bytes of an object wherever they are in the file, which a cache may have open.
    func flip(of content: PatternBytes, at positions: [Int64]) throws {
        let url = URL(fileURLWithPath: dataFile)
        let data = try Data(contentsOf: url)
        let file = try FileHandle(forWritingTo: url)
        for position in positions {
            // No other block begins like this one.
            let block = position / 4096 * 4096
            let found = try #require(data.range(of: Data(content.bytes(block..<block + 64))))
            let offset = found.lowerBound + Int(position - block)
            try file.seek(toOffset: UInt64(offset))
            try file.write(contentsOf: [data[offset] ^ 1])
        }
        try file.close()
    }
}
