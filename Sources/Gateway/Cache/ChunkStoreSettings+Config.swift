package import ChunkCache
package import Config

extension ChunkStoreSettings {
    /// - Parameter sources: those of which some may have a limit of their own.
    package init(_ config: GatewayConfig.Cache, sources: [SourceConfig]) {
        self.init(
            directory: config.path,
            size: config.size.bytes,
            chunkSize: Int(clamping: config.chunkSize.bytes),
            policy: CachePolicy(config.policy),
            admitsOnSecondHit: config.admission == .secondHit,
            maxAge: config.maxAge,
            minFreeDisk: config.minFreeDisk.bytes,
            durability: LMDBSettings.Durability(config.sync)
        )
        lowMarkPercent = config.lowMark.value
        pinBytes = config.pinBudget.bytes(of: config.size)
        scrubRate = config.scrubRate?.bytesPerSecond ?? 0
        for source in sources { sourceSizes[source.name] = source.cacheSize?.bytes(of: config.size) }
    }
}

extension CachePolicy {
    fileprivate init(_ policy: GatewayConfig.Cache.Policy) {
        self =
            switch policy {
            case .s3FIFO: .s3FIFO
            case .viewers: .viewers
            case .lru: .lru
            }
    }
}

extension LMDBSettings.Durability {
    fileprivate init(_ sync: GatewayConfig.Cache.Sync) {
        self =
            switch sync {
            case .relaxed: .relaxed
            case .strict: .strict
            }
    }
}
