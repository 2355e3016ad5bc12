/// Where objects are being read just now, as far as it shows in what is asked for.
///
/// A viewer is a place in an object that moves on. Nobody says who asks, so that two who are close together are one, and
/// one who seeks is another. Who reads on asks for the next chunk, or, as hits are noted a little out of order and not
/// all of them, for one nearby. Only who has done so twice is expected to go on: others want a place of the object and
/// no more.
///
/// Time is counted in chunks noted. There are at most twice as many viewers as the ``sweepInterval`` is long, and each
/// takes about 100 bytes. Noting a chunk takes constant time, amortised, and so does asking for one.
struct Viewers: Sendable {
    private struct Viewer {
        /// The chunk furthest on.
        var index: UInt64
        var time: Int
        /// How often it has gone on.
        var steps = 0
    }

    /// How many chunks from where a viewer is to where the same may ask next.
    private static let nearby: UInt64 = 4
    /// Whoever has gone on less often may be somebody who wanted that chunk and no other.
    private static let fewestSteps = 2
    /// A viewer who takes this many times as long as usual for the next chunk has paused or left.
    private static let patience = 8.0
    /// Of one object. Whoever has not asked for longest is the one too many.
    private static let mostViewers = 32

    private var viewers: [UInt64: [Viewer]] = [:]
    private var now = 0
    private var nextSweep = 0
    /// How much time passes while a viewer goes on by one chunk: the mean, in which the last few hundred count.
    private var pace = 64.0

    /// How often those who have left are forgotten, and how long anybody is waited for at most.
    var sweepInterval: Int

    init(sweepInterval: Int) {
        self.sweepInterval = sweepInterval
    }

    var count: Int { viewers.values.reduce(0) { $0 + $1.count } }

    /// Notes that a chunk was asked for.
    mutating func note(_ chunk: ChunkID) {
        now += 1
        if now >= nextSweep { sweep() }
        let step = Self.note(chunk.index, at: now, in: &viewers[chunk.object, default: []])
        if let step { pace += (step - pace) / 256 }
    }

    /// Whether a viewer who reads on will ask for the chunk before so much time has passed.
    func areToRead(_ chunk: ChunkID, within time: Double) -> Bool {
        guard let readers = viewers[chunk.object] else { return false }
        return readers.contains { viewer in
            viewer.index < chunk.index && isReading(viewer) && Double(chunk.index - viewer.index) * pace < time
        }
    }

    /// - Returns: the time that the viewer took for a chunk, if one has gone on.
    private static func note(_ index: UInt64, at now: Int, in viewers: inout [Viewer]) -> Double? {
        let place = viewers.firstIndex { max($0.index, index) - min($0.index, index) <= nearby }
        guard let place else {
            if viewers.count >= mostViewers { removeIdlest(of: &viewers) }
            viewers.append(Viewer(index: index, time: now))
            return nil
        }
        guard index > viewers[place].index else { return nil }
        let step = Double(now - viewers[place].time) / Double(index - viewers[place].index)
        viewers[place] = Viewer(index: index, time: now, steps: viewers[place].steps + 1)
        return step
    }

    private static func removeIdlest(of viewers: inout [Viewer]) {
        let idlest = viewers.indices.min { viewers[$0].time < viewers[$1].time }
        if let idlest { viewers.remove(at: idlest) }
    }

    private func isReading(_ viewer: Viewer) -> Bool {
        viewer.steps >= Self.fewestSteps && isPresent(viewer)
    }

    private func isPresent(_ viewer: Viewer) -> Bool {
        Double(now - viewer.time) < min(Self.patience * pace, Double(sweepInterval))
    }

    private mutating func sweep() {
        nextSweep = now + sweepInterval
        viewers = viewers.compactMapValues { readers in
            let present = readers.filter(isPresent)
            return present.isEmpty ? nil : present
        }
    }
}
