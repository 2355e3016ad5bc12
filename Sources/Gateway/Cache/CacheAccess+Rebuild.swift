import ChunkCache
package import Config

extension CacheAccess {
    /// Gives the cache that `config` names chunks of the size that it names, and keeps what is in it. No gateway may have
    /// it meanwhile.
    ///
    /// - Parameter progress: called after each chunk that was read.
    /// - Throws: ``CacheAccessError``, or `CancellationError` if the task is cancelled; the cache then is what it was.
    package static func rebuild(
        _ config: GatewayConfig,
        progress: @escaping @Sendable (VerifyReport) -> Void
    ) async throws -> RebuildReport {
        let settings = ChunkStoreSettings(config.cache, sources: config.sources)
        do {
            return try await withTaskExecutorPreference(globalConcurrentExecutor) {
                let result = try CacheRebuild.run(settings) { verification in
                    try Task.checkCancellation()
                    progress(VerifyReport(verification))
                }
                return RebuildReport(result)
            }
        } catch let error as CacheInUse {
            throw CacheAccessError(.inUse, "\(error); stop the gateway first")
        } catch let error as CacheRebuildError {
            throw CacheAccessError(error == .missing ? .missing : .unavailable, error.text(config.cache.path))
        }
    }
}

extension RebuildReport {
    fileprivate init(_ result: CacheRebuildResult) {
        self.init(
            chunkSize: result.chunkSize,
            oldChunkSize: result.oldChunkSize,
            checked: result.read.checked,
            corrupt: result.read.corrupt,
            chunks: result.chunks,
            bytes: result.bytes,
            leftOutBytes: result.leftOutBytes
        )
    }
}

extension CacheRebuildError {
    /// For people.
    fileprivate func text(_ directory: String) -> String {
        switch self {
        case .missing: "there is no cache in \(directory)"
        case .unusable(let reason): "the cache in \(directory) cannot be rebuilt: \(reason)"
        case .noSpace(let needed, let free, let kept):
            "the new database needs up to \(humanSize(needed)) beside the old one in \(directory), where "
                + "\(humanSize(free)) are free and cache.min_free_disk keeps \(humanSize(kept))"
        }
    }
}
