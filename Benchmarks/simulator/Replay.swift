/// A cache without contents: what is in it is what its policy tracks.
struct Replay {
    private var policy: any EvictionPolicy
    private var resident: Set<ChunkID> = []
    private(set) var hits = 0

    init(_ policy: any EvictionPolicy) {
        self.policy = policy
    }

    /// Asks for every chunk of a trace in order, as the store does: a hit is noted, a miss makes room and is stored.
    mutating func run(_ trace: Trace) {
        for chunk in trace.requests { request(chunk) }
    }

    private mutating func request(_ chunk: ChunkID) {
        guard !resident.contains(chunk) else {
            hits += 1
            return policy.touch(chunk)
        }
        while policy.count >= policy.capacity, let victim = policy.evict() { resident.remove(victim) }
        policy.insert(chunk)
        resident.insert(chunk)
    }
}
