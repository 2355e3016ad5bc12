import Synchronization

/// What a use of a chunk of the cache is.
package enum ChunkUse: Sendable {
    /// The first one of a chunk that was fetched ahead of a reader: that is a miss.
    case first
    case again
}

/// Which chunks there are, and which are on their way: what decides about a hit, on any thread and without waiting.
final class ChunkTable: Sendable {
    enum State: Sendable {
        case filling(Fill)
        /// In the database. Whether it is what was put there is known only once it has been checked in this process.
        case stored(isVerified: Bool)
    }

    private struct Contents {
        var states: [ChunkID: State] = [:]
        /// Those of them that are on their way.
        var fills: [ChunkID: Fill] = [:]
        /// Chunks that were fetched ahead of a reader, and that nobody has come to since.
        var unread: Set<ChunkID> = []
        /// Hits for the eviction policy, as far as there was room to note them.
        var touches: [ChunkID] = []
    }

    private final class Stripe: Sendable {
        let contents = Mutex(Contents())
    }

    private static let stripeCount = 64
    private static let touchLimit = 512

    private let stripes = (0..<stripeCount).map { _ in Stripe() }

    private func stripe(of id: ChunkID) -> Stripe {
        stripes[Int(truncatingIfNeeded: id.index ^ (id.object &* 31)) & (Self.stripeCount - 1)]
    }

    func state(of id: ChunkID) -> State? {
        stripe(of: id).contents.withLock { $0.states[id] }
    }

    /// Notes a use of the chunk.
    ///
    /// - Returns: `nil` if it cannot be read from the database as it is.
    func use(_ id: ChunkID) -> ChunkUse? {
        stripe(of: id).contents.withLock { contents in
            guard case .stored(true) = contents.states[id] else { return nil }
            if contents.touches.count < Self.touchLimit { contents.touches.append(id) }
            guard !contents.unread.isEmpty, contents.unread.remove(id) != nil else { return .again }
            return .first
        }
    }

    /// Somebody has come to the chunk while it was fetched, which may have ended since.
    func noteRead(_ id: ChunkID) {
        _ = stripe(of: id).contents.withLock { $0.unread.remove(id) }
    }

    /// Whether the chunk is there or on its way.
    func contains(_ id: ChunkID) -> Bool {
        stripe(of: id).contents.withLock { $0.states[id] != nil }
    }

    /// Whether the chunk can be read from the database as it is.
    func isReady(_ id: ChunkID) -> Bool {
        if case .stored(true) = state(of: id) { true } else { false }
    }

    /// Makes `fill` the one that fetches its chunk, if nobody does and it is not there.
    func claim(_ fill: Fill) -> Bool {
        stripe(of: fill.id).contents.withLock { contents in
            guard contents.states[fill.id] == nil else { return false }
            contents.states[fill.id] = .filling(fill)
            contents.fills[fill.id] = fill
            return true
        }
    }

    /// The end of `fill`: its chunk is in the database, or nowhere.
    func end(_ fill: Fill, isStored: Bool) {
        let ended = stripe(of: fill.id).contents.withLock { contents -> State? in
            guard case .filling(let current) = contents.states[fill.id], current === fill else { return nil }
            contents.fills[fill.id] = nil
            defer { contents.states[fill.id] = isStored ? .stored(isVerified: true) : nil }
            if isStored, !fill.wasRead { contents.unread.insert(fill.id) }
            return contents.states[fill.id]
        }
        // With it the source's part in it may go, which is nothing to wait for under the lock.
        withExtendedLifetime(ended) {}
    }

    /// Takes in what the database has; a fill that began before stays.
    ///
    /// - Returns: whether the chunk was taken in.
    func restore(_ id: ChunkID) -> Bool {
        stripe(of: id).contents.withLock { contents in
            guard contents.states[id] == nil else { return false }
            contents.states[id] = .stored(isVerified: false)
            return true
        }
    }

    func markVerified(_ id: ChunkID) {
        stripe(of: id).contents.withLock { contents in
            if case .stored(false) = contents.states[id] { contents.states[id] = .stored(isVerified: true) }
        }
    }

    /// The chunk is no longer in the database.
    func remove(_ id: ChunkID) {
        stripe(of: id).contents.withLock { contents in
            guard case .stored = contents.states[id] else { return }
            contents.states[id] = nil
            contents.unread.remove(id)
        }
    }

    /// The chunk is not what was stored, by a check that may be of a moment ago: one that was right before is checked once
    /// more before it is sent, since it may be another one by now.
    ///
    /// - Parameter body: is called before anybody can claim the chunk anew, under the lock.
    func doubt(_ id: ChunkID, _ body: () -> Void) {
        stripe(of: id).contents.withLock { contents in
            switch contents.states[id] {
            case .stored(isVerified: true): contents.states[id] = .stored(isVerified: false)
            case .stored(isVerified: false):
                contents.states[id] = nil
                contents.unread.remove(id)
            case .filling, nil: break
            }
            body()
        }
    }

    /// The database is another one now. What is being filled goes on.
    func removeAllStored() {
        for stripe in stripes {
            stripe.contents.withLock { contents in
                contents.states = contents.states.filter { if case .filling = $0.value { true } else { false } }
                (contents.unread, contents.touches) = ([], [])
            }
        }
    }

    /// What is on its way.
    var fills: [Fill] {
        stripes.flatMap { stripe in stripe.contents.withLock { Array($0.fills.values) } }
    }

    /// Hands over the hits noted since the last time.
    func takeTouches(_ body: (ChunkID) -> Void) {
        for stripe in stripes {
            let touches = stripe.contents.withLock { contents in
                guard !contents.touches.isEmpty else { return [ChunkID]() }
                defer { contents.touches = [] }
                return contents.touches
            }
            for id in touches { body(id) }
        }
    }
}
