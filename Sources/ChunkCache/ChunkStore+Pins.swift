/// What operators want to stay in the cache, whatever the eviction policy says. A purge, a new revision, the largest age and
/// damage take it away all the same.
extension ChunkStore {
    /// In the order they were made; to be relied on if there is no ``pinFailure``.
    package var pins: [Pin] { directory.pins }

    /// Why it is not known what is pinned. What is may be evicted meanwhile; ``maintain(now:)`` tries again.
    package var pinFailure: String? { writer.pinFailure }

    /// Keeps what `pin` names from being evicted, now and when more of it comes, as far as ``ChunkStoreSettings/pinBytes``
    /// goes, and nine tenths of what its source may have; what is beyond that may be evicted like anything else. It is kept
    /// over a restart when this returns.
    ///
    /// - Returns: `false` if it was pinned already.
    /// - Throws: ``PinError``: `overBudget` or `overShare` if what is there of it does not fit; then nothing has changed.
    package func pin(_ pin: Pin) async throws -> Bool { try await writer.pin(pin) }

    /// The end of ``pin(_:)``. What other pins name stays pinned.
    ///
    /// - Throws: ``PinError``.
    package func unpin(_ pin: Pin) async throws { try await writer.unpin(pin) }
}
