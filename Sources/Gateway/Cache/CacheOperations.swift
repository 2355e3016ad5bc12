/// What an operator does with a cache: that of the running gateway, or one that no process has open.
package protocol CacheOperations: Sendable {
    func report() async throws -> CacheReport
    func items(_ query: CacheItemQuery) async throws -> CacheItemList
    /// When it returns no new request finds what was purged.
    ///
    /// - Parameter isSoft: whether everything stays, and the source is asked about it before it is used again.
    func purge(_ scope: PurgeScope, isSoft: Bool) async throws -> PurgeReport
    /// What is kept from eviction.
    func pins() async throws -> PinList
    /// Keeps what `scope` names from eviction from now on, over restarts too.
    func pin(_ scope: PinScope) async throws -> PinReport
    /// The end of ``pin(_:)``.
    func unpin(_ scope: PinScope) async throws -> PinReport
    /// Checks every chunk and drops those that are not what was stored. Ends early when the task is cancelled.
    ///
    /// - Parameter progress: called from time to time.
    func verify(progress: @escaping @Sendable (VerifyReport) -> Void) async throws -> VerifyReport
}

extension CacheOperations {
    package func purge(_ scope: PurgeScope) async throws -> PurgeReport { try await purge(scope, isSoft: false) }
}
