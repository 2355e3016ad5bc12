/// The figures of ``ReadingPlan``: how far ahead of its readers a torrent is fetched, and how urgently.
///
/// A reader's *window* is what is wanted ahead of it. Its *front* are the first pieces of the window that are missing:
/// they get deadlines. What is out of range is taken as the nearest that is not.
package struct ReadingPolicy: Sendable, Hashable {
    // MARK: The front

    /// Bytes of a reader's front, in whole pieces.
    package var frontBytes: Int64 = 2 << 20
    /// Pieces of a front. With two at least, the next one has its deadline before the one at the cursor is there: one
    /// at a time costs a third of the throughput, as the list of deadlines becomes empty again and again, and each
    /// first deadline cancels what was requested. More than some hundred cost the library much time.
    package var frontPieces = 2...8
    /// Between the deadlines of two pieces of a front.
    package var deadlineSpacing = Duration.milliseconds(250)
    /// For all readers together. Of what does not get one, the front's priority remains.
    package var maxDeadlines = 32
    /// A piece that begins further ahead of its reader, and a piece's length at that, is not urgent, whatever is missing:
    /// deadlines hold up everything that has none.
    package var frontReach: Int64 = 8 << 20
    /// Bytes a second from which on a swarm is *swift*: fronts then have their priority and no deadlines, which would cost
    /// a third of the throughput, and windows their full size.
    package var swiftRate: Int64 = 32 << 20

    // MARK: The window

    /// The first piece of a read is there the sooner the less else is wanted: every peer is free for it. Until it has come
    /// this is the window, or as far as that piece reaches, but in the opening.
    package var firstWindow: Int64 = 256 << 10
    /// From then on, and one byte more for every ``windowGrowth`` that are read in one go: a window that grows fast keeps
    /// the swarm busy, and a seek has to wait behind that.
    package var initialWindow: Int64 = 4 << 20
    package var windowGrowth: Int64 = 2
    package var maxWindow: Int64 = 32 << 20
    /// For all readers together, who share it evenly.
    package var maxTorrentWindow: Int64 = 128 << 20
    /// Pieces a window has however long they are, and however many readers share.
    package var minWindowPieces = 2
    /// Fetched behind the end of a read that ends before its file does.
    package var readAheadPastEnd: Int64 = 1 << 20
    /// Of the window behind the front; 1 to 6.
    package var windowPriority: UInt8 = 4

    // MARK: The opening

    /// For so long after a torrent was loaded a window is this at least, whether or not its reader's first piece is there,
    /// and as much of the start of a new torrent is wanted before anybody reads it.
    package var openingBytes: Int64 = 8 << 20
    package var openingTime = Duration.seconds(1)
    /// Of what is wanted beyond the first piece meanwhile; 1 to 6.
    package var openingPriority: UInt8 = 1

    // MARK: Hints

    /// Of hinted bytes, how many are wanted at a time.
    package var hintWindow: Int64 = 8 << 20
    /// Of all hints together.
    package var maxHintBytes: Int64 = 64 << 20
    /// Of hinted pieces behind those with a deadline; 1 to 6.
    package var hintPriority: UInt8 = 5

    // MARK: Time

    /// Between two updates while there is demand: seeks in quick succession make one update, not many.
    package var debounce = Duration.milliseconds(30)
    /// For this long a new read may continue one that ended.
    package var continuationTime = Duration.seconds(5)
    /// How far from the end of the other one it may begin.
    package var continuationSlack: Int64 = 1 << 20
    /// Nothing is wanted for a reader that has not been pulled for so long, once a newer one of the same client in the
    /// same file waits for a piece.
    package var supersededAfter = Duration.seconds(5)

    package init() {}

    /// Bytes read in one go that make a window as large as it gets.
    var fullGrowth: Int64 { maxWindow * windowGrowth }

    /// The same with every figure in its range, so that sums of them are numbers.
    var bounded: ReadingPolicy {
        var policy = self
        let bytes: [WritableKeyPath<ReadingPolicy, Int64>] = [
            \.frontBytes, \.frontReach, \.swiftRate, \.firstWindow, \.initialWindow, \.maxWindow, \.maxTorrentWindow,
            \.readAheadPastEnd, \.openingBytes, \.hintWindow, \.maxHintBytes, \.continuationSlack,
        ]
        for figure in bytes { policy[keyPath: figure].clamp(to: 0...1 << 50) }
        policy.windowGrowth.clamp(to: 1...1024)
        policy.frontPieces = frontPieces.clamped(to: 1...256)
        policy.minWindowPieces.clamp(to: 1...256)
        policy.maxDeadlines.clamp(to: 1...4096)
        policy.windowPriority.clamp(to: 1...6)
        policy.hintPriority.clamp(to: 1...6)
        policy.openingPriority.clamp(to: 1...6)
        policy.deadlineSpacing.clamp(to: .zero...Duration.seconds(60))
        policy.debounce.clamp(to: .zero...Duration.seconds(60))
        policy.openingTime.clamp(to: .zero...Duration.seconds(60))
        policy.continuationTime.clamp(to: .zero...Duration.seconds(3600))
        policy.supersededAfter.clamp(to: .zero...Duration.seconds(3600))
        return policy
    }
}

extension Comparable {
    fileprivate mutating func clamp(to bounds: ClosedRange<Self>) {
        self = min(max(self, bounds.lowerBound), bounds.upperBound)
    }
}

extension Duration {
    /// Rounded towards zero; of a duration that ``ReadingPolicy/bounded`` has.
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(clamping: seconds.multipliedReportingOverflow(by: 1000).partialValue)
            + Int(attoseconds / 1_000_000_000_000_000)
    }
}
