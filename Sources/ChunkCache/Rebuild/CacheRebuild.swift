import Glibc
import NIOCore

/// What a rebuild has done.
package struct CacheRebuildResult: Sendable, Hashable {
    /// Size of the chunks before, in bytes; what it is now, if nothing had to be done.
    package var oldChunkSize: Int
    package var chunkSize: Int
    /// What was read of the old database.
    package var read = CacheVerification()
    /// Chunks in the new one, and their bytes.
    package var chunks = 0
    package var bytes: Int64 = 0

    /// Bytes that were read and are not in the new database: parts of chunks that are not whole, and what there was no
    /// room for.
    package var leftOutBytes: Int64 { max(read.bytes - bytes, 0) }
}

/// Why a cache was not rebuilt. It is what it was.
package enum CacheRebuildError: Error, Sendable, Hashable {
    /// There is none.
    case missing
    case unusable(String)
    /// There is not enough for both databases beside each other. All in bytes; `kept` is what must stay free.
    case noSpace(needed: Int64, free: Int64, kept: Int64)
}

/// Gives a cache chunks of another size, or a file no longer than its size wants, and keeps what is in it.
///
/// A new database is written beside the old one, which is only read, and takes its place in one step once it is whole and
/// on the disk. Whatever happens before that, the old one is still there.
package struct CacheRebuild {
    private let settings: ChunkStoreSettings
    private let place: CacheDirectory
    private let old: StoreWriter.Database
    private let new: StoreWriter.Database
    private var result: CacheRebuildResult
    /// What the new database takes of the file, as ``CacheUsage/bytes`` has it.
    private var storedBytes: Int64 = 0

    /// Rebuilds the cache in `settings.directory` with chunks of `settings.chunkSize`, unless it has those and its file is
    /// as short as `settings.size` wants. Blocks for as long as it takes to read and to write all of it.
    ///
    /// - Parameter progress: called after each chunk that was read; what it throws ends the rebuild.
    /// - Throws: ``CacheInUse``, ``CacheRebuildError``, or what `progress` throws.
    package static func run(
        _ settings: ChunkStoreSettings,
        progress: (CacheVerification) throws -> Void = { _ in }
    ) throws -> CacheRebuildResult {
        // To open one makes one.
        guard access(settings.directory + "/data.mdb", F_OK) == 0 else { throw CacheRebuildError.missing }
        do {
            let place = try CacheDirectory(settings.directory)
            defer { place.leave() }
            return try run(settings, place, progress)
        } catch let error as LMDBError {
            throw CacheRebuildError.unusable("\(error)")
        } catch let error as CacheDirectoryError {
            throw CacheRebuildError.unusable("\(error)")
        }
    }

    private static func run(
        _ settings: ChunkStoreSettings,
        _ place: CacheDirectory,
        _ progress: (CacheVerification) throws -> Void
    ) throws -> CacheRebuildResult {
        guard !place.hasCrashed else {
            throw CacheRebuildError.unusable("the gateway that had the cache crashed soon after it was started")
        }
        guard !place.wasCutOff else {
            throw CacheRebuildError.unusable("the machine stopped while the cache was open, and cache.sync was relaxed")
        }
        // One wait for the disk, at the end, is enough.
        var opening = settings
        opening.durability = .relaxed
        let old = try StoreWriter.Database(in: place.path, opening)
        defer { old.environment.close() }
        let oldChunkSize = try chunkSize(of: old)
        var result = CacheRebuildResult(oldChunkSize: oldChunkSize, chunkSize: settings.chunkSize)
        let isTooLong = place.fileBytes > Int64(StoreWriter.mapSize(settings))
        guard oldChunkSize != settings.chunkSize || isTooLong else { return result }
        result.read.total = try old.environment.read { try $0.count(old.chunks) }
        try checkSpace(for: old, settings, place)

        try place.makeRebuild()
        defer { place.removeRebuild() }
        let new = try StoreWriter.Database(in: place.rebuild, opening)
        defer { new.environment.close() }
        var rebuild = CacheRebuild(settings: settings, place: place, old: old, new: new, result: result)
        do {
            try rebuild.copyAll(progress)
        } catch let error as LMDBError where [.system(ENOSPC), .system(EDQUOT)].contains(error.kind) {
            let needed = try neededBytes(for: old, settings)
            throw CacheRebuildError.noSpace(needed: needed, free: place.freeBytes ?? 0, kept: settings.minFreeDisk)
        }
        try new.environment.sync()
        new.environment.close()
        old.environment.close()
        try place.takeRebuild()
        return rebuild.result
    }

    /// - Throws: ``CacheRebuildError`` if the database is of a format of which nothing is known.
    private static func chunkSize(of database: StoreWriter.Database) throws -> Int {
        let format = try database.format()
        let parts = (format ?? "").split(separator: " ")
        guard parts.count == 2, parts[0] == StoreWriter.format, let size = Int(parts[1]),
            (1...ChunkRecord.maxLength).contains(size)
        else { throw CacheRebuildError.unusable("its format is unknown: \(format ?? "none")") }
        return size
    }

    // MARK: - Space

    private static func checkSpace(
        for old: StoreWriter.Database,
        _ settings: ChunkStoreSettings,
        _ place: CacheDirectory
    ) throws {
        guard let free = place.freeBytes else { return }
        let needed = try neededBytes(for: old, settings)
        guard max(free, 0) - max(settings.minFreeDisk, 0) >= needed else {
            throw CacheRebuildError.noSpace(needed: needed, free: free, kept: settings.minFreeDisk)
        }
    }

    /// What the new database takes of the disk at most, in bytes.
    private static func neededBytes(for old: StoreWriter.Database, _ settings: ChunkStoreSettings) throws -> Int64 {
        var chunks: Int64 = 0
        try old.environment.read { transaction in
            // Of values only the lengths, which lie beside the keys.
            try transaction.walk(old.chunks) { _, value in
                let (whole, rest) = max(value.byteCount - ChunkRecord.headerSize, 0)
                    .quotientAndRemainder(dividingBy: settings.chunkSize)
                chunks += Int64(whole) * StoreWriter.storedBytes(settings.chunkSize)
                if rest > 0 { chunks += StoreWriter.storedBytes(rest) }
                return .next
            }
            try transaction.walk(old.objects) { _, value in
                chunks += StoreWriter.pageBytes(value.byteCount)
                return .next
            }
        }
        // Besides, the pages that hold keys.
        return min(chunks, settings.size) / 64 * 65 + (1 << 20)
    }

    // MARK: - Copying

    private mutating func copyAll(_ progress: (CacheVerification) throws -> Void) throws {
        try new.setFormat(settings)
        for record in try records() { try copyObject(record, progress) }
    }

    /// Those of which chunks are worth having: what is pinned first, then the newest, for the case that there is no room
    /// for all.
    private func records() throws -> [ObjectRecord] {
        var newest: [ObjectKey: ObjectRecord] = [:]
        try old.environment.read { transaction in
            try transaction.walk(old.objects) { key, value in
                guard let number = ObjectNumber(key: key)?.value, let record = ObjectRecord(encoded: value),
                    record.number == number, number < ObjectDirectory.numberLimit
                else { return .next }
                // They come in the order of their numbers.
                newest[record.key] = record
                return .next
            }
        }
        // Without them the order is another one.
        let pins = (try? PinRecords(place).load().pins) ?? []
        let all = newest.values.sorted { $0.number > $1.number }
        let pinned = all.filter { record in pins.contains { $0.contains(record) } }
        let first = Set(pinned.map(\.number))
        return pinned + all.filter { !first.contains($0.number) }
    }

    private mutating func copyObject(_ record: ObjectRecord, _ progress: (CacheVerification) throws -> Void) throws {
        var grid = GridChange(
            size: record.size,
            from: Int64(result.oldChunkSize),
            to: Int64(settings.chunkSize)
        )
        var isStored = false
        var next: ChunkID? = ChunkID(object: record.number, index: 0)
        while let start = next, let (id, bytes) = try readChunk(of: record.number, from: start) {
            next = id.next
            result.read.checked += 1
            if let bytes {
                result.read.bytes += Int64(bytes.readableBytes)
                for chunk in grid.add(bytes, at: id.index) ?? [] {
                    if try write(chunk, of: record, isFirst: !isStored) { isStored = true }
                }
            } else {
                result.read.corrupt += 1
            }
            result.read.total = max(result.read.total, result.read.checked)
            try progress(result.read)
        }
    }

    /// The first chunk of the object with this number that is not before `start`, without bytes if they are not what was
    /// stored.
    private func readChunk(of number: UInt64, from start: ChunkID) throws -> (id: ChunkID, bytes: ByteBuffer?)? {
        var found: (id: ChunkID, bytes: ByteBuffer?)?
        try old.environment.read { transaction in
            try transaction.walk(old.chunks, from: start) { key, value in
                guard let id = ChunkID(key: key) else { return .next }
                guard id.object == number else { return .stop }
                let isRight = ChunkRecord.fault(of: value, id: id) == nil
                found = (id, isRight ? value.withUnsafeBytes { Self.chunk(in: $0) } : nil)
                return .stop
            }
        }
        return found
    }

    private static func chunk(in value: UnsafeRawBufferPointer) -> ByteBuffer {
        ByteBuffer(bytes: UnsafeRawBufferPointer(rebasing: value.dropFirst(ChunkRecord.headerSize)))
    }

    /// - Parameter isFirst: whether the object's record has to be written too.
    /// - Returns: `false` if there is no room for it in a cache of that size.
    private mutating func write(_ chunk: GridChange.Chunk, of record: ObjectRecord, isFirst: Bool) throws -> Bool {
        let id = ChunkID(object: record.number, index: chunk.index)
        let chunkBytes = ChunkBytes(chunk.bytes)
        guard let size = ChunkRecord.valueSize(of: chunkBytes), let encoded = record.encoded() else { return false }
        let recordBytes = isFirst && !record.attributes.isEmpty ? StoreWriter.pageBytes(encoded.readableBytes) : 0
        let bytes = StoreWriter.pageBytes(size) + recordBytes
        guard storedBytes + bytes <= settings.size else { return false }
        try new.environment.write { transaction in
            if isFirst {
                try encoded.withUnsafeReadableBytes { bytes in
                    let key = ObjectNumber(value: record.number)
                    try transaction.put(bytes.bytes, for: key, in: new.objects)
                }
            }
            try transaction.put(size: size, for: id, in: new.chunks) { value in
                ChunkRecord.write(chunkBytes, id: id, into: &value)
            }
        }
        storedBytes += bytes
        result.chunks += 1
        result.bytes += Int64(chunk.bytes.readableBytes)
        return true
    }
}
