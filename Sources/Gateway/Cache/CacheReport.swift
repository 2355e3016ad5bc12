/// The cache as a whole: what `GET /admin/v1/cache` and `media-gateway cache stat --json` say.
package struct CacheReport: Sendable, Hashable, Codable {
    package struct Requests: Sendable, Hashable, Codable {
        package var hit: Int
        package var miss: Int
        package var collapsed: Int
        package var bypass: Int

        var total: Int { hit + miss + collapsed + bypass }

        /// Of all look-ups; 0 if there were none.
        var hitPercent: Double { total > 0 ? 100 * Double(hit) / Double(total) : 0 }
    }

    package struct Rejections: Sendable, Hashable, Codable {
        package var admission: Int
        package var space: Int
        package var queue: Int
        package var error: Int
    }

    package struct Evictions: Sendable, Hashable, Codable {
        package var space: Int
        /// Since their source had more than its limit.
        package var share: Int
        package var age: Int
        package var purge: Int
        /// Of objects of which there is another revision.
        package var replaced: Int
        package var corrupt: Int

        var total: Int { space + share + age + purge + replaced + corrupt }
    }

    /// How long ago, in seconds, the objects that have chunks came into the cache.
    package struct Ages: Sendable, Hashable, Codable {
        package var oldest: Double
        package var median: Double
        package var newest: Double
    }

    /// What of the cache is asked for: objects whose ``CacheItem/heat`` is 1 or more, and what they have.
    package struct Heat: Sendable, Hashable, Codable {
        package var objects: Int
        package var bytes: Int64
    }

    /// What a source has of the cache.
    package struct Source: Sendable, Hashable, Codable {
        package var name: String
        package var bytes: Int64
        /// Of its own; without one it may have all of the cache.
        package var limitBytes: Int64?
        package var chunks: Int
        /// Since the cache was opened.
        package var requests: Requests
    }

    /// The check of all chunks in the background, as far as it is since the cache was opened.
    package struct Scrub: Sendable, Hashable, Codable {
        package var bytesPerSecond: Int64
        package var chunks: Int
        package var bytes: Int64
        /// When it was through all of them the last time, as Unix time in seconds.
        package var completed: Double?
    }

    package var directory: String
    package var isOpen: Bool
    /// Why it is not.
    package var failure: String?
    package var policy: String
    package var chunkSize: Int
    /// What chunks take of the file, in whole pages.
    package var bytes: Int64
    package var limitBytes: Int64
    package var fileBytes: Int64
    /// What the file takes of the disk.
    package var diskBytes: Int64
    package var chunks: Int
    package var objects: Int
    /// `nil` if there are none.
    package var ages: Ages?
    package var heat: Heat
    /// Those that have something, or were asked for something, or have a limit, by name.
    package var sources: [Source]
    /// What is kept from eviction, and what may be.
    package var pinnedBytes: Int64
    package var pinLimitBytes: Int64
    /// Chunks, since the cache was opened; so are the counts below.
    package var requests: Requests
    package var insertions: Int
    package var rejections: Rejections
    package var evictions: Evictions
    package var queuedBytes: Int64
    package var fillBytes: Int64
    package var fillLimitBytes: Int64
    package var oldestReaderSeconds: Double
    /// `nil` if there is to be none.
    package var scrub: Scrub?
}

/// One object in the cache.
package struct CacheItem: Sendable, Hashable, Codable {
    /// The object's number, which is never given to another.
    package var number: UInt64
    package var source: String
    /// Bytes that are not UTF-8 are replaced.
    package var path: String
    /// The same as it stands in a URL.
    package var urlPath: String
    package var variant: String?
    package var size: Int64
    package var revision: String
    package var isImmutable: Bool
    /// Unix time in seconds.
    package var created: Double
    package var chunks: Int
    /// How many there are in the whole object.
    package var chunkCount: Int64
    /// Chunks that were sent from the cache since it was opened, which is about how much the object was asked for.
    package var hits: Int
    /// How much it is asked for lately: as ``hits``, of which each counts half as much after an hour.
    package var heat: Double
    /// Whether a pin keeps it from eviction, as far as there is room for that.
    package var isPinned: Bool
    /// At most: of the last chunk, which is shorter, it is not known whether it is there.
    package var bytes: Int64
}

/// What `GET /admin/v1/cache/items` says.
package struct CacheItemList: Sendable, Hashable, Codable {
    package var items: [CacheItem]
    /// How many there are, those beyond the limit included.
    package var total: Int
}

/// One object and which of its chunks are there.
package struct CacheItemDetail: Sendable, Hashable, Codable {
    /// Chunks that lie side by side.
    package struct Run: Sendable, Hashable, Codable {
        package var first: UInt64
        package var count: UInt64
    }

    package var item: CacheItem
    package var chunkSize: Int64
    /// In order.
    package var stored: [Run]
    /// The same as a map: lengths of runs of chunks, absent ones first.
    package var runs: [UInt64]

    init(_ item: CacheItem, chunkSize: Int64, stored: [Range<UInt64>]) {
        self.item = item
        self.chunkSize = chunkSize
        self.stored = stored.map { Run(first: $0.lowerBound, count: UInt64($0.count)) }
        var (runs, end) = ([UInt64](), UInt64(0))
        for run in stored {
            runs += [run.lowerBound - end, UInt64(run.count)]
            end = run.upperBound
        }
        let count = UInt64(clamping: item.chunkCount)
        self.runs = runs + (end < count ? [count - end] : [])
    }
}

/// What `GET /admin/v1/cache/items/{source}/{path}` says: every representation of the object.
package struct CacheItemDetailList: Sendable, Hashable, Codable {
    package var items: [CacheItemDetail]
}

package struct PurgeReport: Sendable, Hashable, Codable {
    package var objects: Int
    package var chunks: Int
}

/// How far a verification is.
package struct VerifyReport: Sendable, Hashable, Codable {
    package var checked: Int
    package var total: Int
    package var bytes: Int64
    /// Chunks that were not what was stored, and have been dropped.
    package var corrupt: Int

    package init(checked: Int = 0, total: Int = 0, bytes: Int64 = 0, corrupt: Int = 0) {
        self.checked = checked
        self.total = total
        self.bytes = bytes
        self.corrupt = corrupt
    }
}

/// What `media-gateway cache rebuild --json` says.
package struct RebuildReport: Sendable, Hashable, Codable {
    /// In bytes. The same as before if there was nothing to do.
    package var chunkSize: Int
    package var oldChunkSize: Int
    /// What was read.
    package var checked: Int
    package var corrupt: Int
    /// What there is now.
    package var chunks: Int
    package var bytes: Int64
    /// What was read and could not be kept: parts of chunks that are not whole, and what there was no room for.
    package var leftOutBytes: Int64
}

/// What `GET /admin/v1/jobs/{id}` says.
package struct JobReport: Sendable, Hashable, Codable {
    package enum State: String, Sendable, Hashable, Codable {
        case running
        case done
        case cancelled
        case failed
    }

    package var id: Int
    package var kind: String
    package var state: State
    package var progress: VerifyReport
    package var seconds: Double
    /// Why it failed.
    package var error: String?
}
