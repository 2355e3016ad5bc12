/// One visit to a film: what a player asks for, takes and lets lie, and when its picture stands still.
///
/// A value without a clock or a socket: whoever owns it tells what has happened and when, in times that never go back,
/// and carries out what comes of it. What is between two times is worked out exactly, however far they are apart.
///
/// Asks as ffmpeg and mpv do: `bytes=0-`, hung up after the head; the index near the end; then from the beginning
/// on, `bytes=N-`, taking no more once the buffer is full. Each request has a connection of its own.
package struct PlayerModel: Sendable {
    package enum Action: Sendable, Equatable {
        /// Hangs up what is under way, and asks for everything from a byte on.
        case ask(from: Int64)
        /// Goes on taking bytes.
        case read
        /// Lets bytes lie.
        case rest
        case hangUp
        /// The visit is over; nothing is under way.
        case leave
    }

    /// What a viewer noticed.
    package enum Note: Sendable, Equatable {
        /// The film began, so long after it was chosen.
        case started(after: Duration)
        /// The film went on, so long after a jump or a return.
        case sought(after: Duration)
        /// Neither did within that time, and then nobody waited any longer.
        case notBegun(after: Duration)
        /// The picture stood still with an empty buffer.
        case stalled(for: Duration)
        case watched(Duration)
        /// The player's error message.
        case gaveUp
    }

    private enum Phase {
        case head
        case index(left: Int64)
        case film
        case over
    }

    private enum Link {
        case reading
        case resting
        /// Nothing is under way; asks again then.
        case waiting(until: Duration)
        /// Everything up to the end is there.
        case complete
    }

    private enum Wait {
        case start
        case seek
        case stall
    }

    private enum Playback {
        case filling(Wait, since: Duration)
        case playing
        case paused(until: Duration)
        /// Nobody watches.
        case stopped
    }

    private enum Whim {
        case seek
        case pause
        case leave
    }

    /// Where mpv goes on after an index at the end: behind the first box of an MP4 file.
    package static let filmOffset: Int64 = 48
    private static let attempts = 3

    private let habits: PlayerHabits
    private var random: SeededRandom
    private var phase = Phase.head
    private var link = Link.reading
    private var playback: Playback
    private var size: Int64?
    /// Where the picture is, in bytes of the film.
    private var playhead = 0.0
    /// Where the buffer ends.
    private var received: Int64 = 0
    /// What is true of the film is true up to here.
    private var now: Duration
    private var watched = Duration.zero
    /// In a row.
    private var failures = 0
    private var nextWhim: (what: Whim, at: Duration)?
    private var notes: [Note] = []

    /// A viewer chooses a film; the first request is from byte 0.
    package init(_ habits: PlayerHabits, random: SeededRandom, at start: Duration) {
        self.habits = habits
        self.random = random
        now = start
        playback = .filling(.start, since: start)
    }

    /// Whether bytes should come.
    package var expectsBytes: Bool {
        switch (phase, link) {
        case (.over, _): false
        case (_, .reading): true
        case (_, .resting), (_, .waiting), (_, .complete): false
        }
    }

    /// In seconds of the film.
    package var buffered: Double { max(Double(received) - playhead, 0) / bytesPerSecond }

    /// What a viewer noticed since the last look.
    package mutating func takeNotes() -> [Note] {
        defer { notes = [] }
        return notes
    }

    // MARK: - What happens

    /// The head of an answer told the film's size, in bytes.
    package mutating func opened(size: Int64) { self.size = size }

    /// `count` bytes came, from where was asked or where the last ones ended.
    package mutating func receive(_ count: Int64, at time: Duration) -> [Action] {
        advance(to: time)
        guard count > 0, let size else { return [] }
        failures = 0
        switch phase {
        case .over: return []
        case .head:
            received = min(received + count, size)
            return received >= min(habits.headLength, size) ? headRead(size) : []
        case .index(let left):
            if count < left {
                phase = .index(left: left - count)
                return []
            }
            return beginFilm(from: min(Self.filmOffset, size - 1))
        case .film:
            received = min(received + count, size)
            return filmRead(size)
        }
    }

    /// The connection broke, or the answer was wrong.
    package mutating func fail(at time: Duration) -> [Action] {
        advance(to: time)
        switch (phase, link) {
        case (.over, _), (_, .complete), (_, .waiting): return []
        case (_, .reading), (_, .resting): break
        }
        failures += 1
        guard failures < Self.attempts else {
            notes.append(.gaveUp)
            return end()
        }
        // As players do: after one second, then after two.
        link = .waiting(until: now + .seconds(failures))
        return []
    }

    /// Time went by.
    package mutating func tick(at time: Duration) -> [Action] {
        advance(to: time)
        switch link {
        case .waiting(let until) where now >= until: return askAgain()
        default: break
        }
        guard case .film = phase else { return [] }
        if case .complete = link, let size, Int64(playhead) >= size { return end() }
        if let whim = nextWhim, now >= whim.at { return follow(whim.what) }
        if case .resting = link, buffered <= habits.buffer.inSeconds * 0.75 {
            link = .reading
            return [.read]
        }
        return []
    }

    /// The run is over.
    package mutating func stop(at time: Duration) {
        advance(to: time)
        _ = end()
    }

    // MARK: - Reading

    private mutating func headRead(_ size: Int64) -> [Action] {
        guard received < size else { return filmBegins(size) }
        guard habits.indexLength > 0, size > habits.headLength + habits.indexLength else {
            return filmBegins(size)
        }
        phase = .index(left: habits.indexLength)
        return [.ask(from: size - habits.indexLength)]
    }

    /// From what the head's request brings.
    private mutating func filmBegins(_ size: Int64) -> [Action] {
        phase = .film
        return filmRead(size)
    }

    private mutating func beginFilm(from offset: Int64) -> [Action] {
        phase = .film
        return jump(to: offset)
    }

    private mutating func jump(to offset: Int64) -> [Action] {
        (playhead, received) = (Double(offset), offset)
        link = .reading
        return [.ask(from: offset)]
    }

    private mutating func filmRead(_ size: Int64) -> [Action] {
        let isComplete = received >= size
        if isComplete { link = .complete }
        if case .filling(let wait, let since) = playback, isComplete || buffered >= habits.readyAfter.inSeconds {
            note(wait, lasted: now - since)
            play()
        }
        guard case .reading = link, buffered >= habits.buffer.inSeconds else { return [] }
        link = .resting
        return [.rest]
    }

    private mutating func askAgain() -> [Action] {
        if case .stopped = playback { playback = .filling(.seek, since: now) }
        link = .reading
        switch phase {
        case .over: return []
        case .index:
            phase = .index(left: habits.indexLength)
            return [.ask(from: max((size ?? 0) - habits.indexLength, 0))]
        case .head, .film: return [.ask(from: received)]
        }
    }

    // MARK: - Watching

    private var bytesPerSecond: Double { Double(habits.rate.bytesPerSecond) }

    /// Lets the film go on up to `time`, as far as there is any of it.
    private mutating func advance(to time: Duration) {
        while now < time {
            switch playback {
            case .filling, .stopped: now = time
            case .paused(let until):
                now = min(until, time)
                if now == until { play() }
            case .playing:
                let left = max(Double(received) - playhead, 0)
                let empty = now + Duration(clampingSeconds: left / bytesPerSecond)
                guard empty <= time else {
                    playhead += (time - now).inSeconds * bytesPerSecond
                    watched += time - now
                    now = time
                    continue
                }
                watched += max(empty - now, .zero)
                playhead = Double(received)
                now = max(empty, now)
                // At its end a film stops without a stall.
                playback = received >= size ?? .max ? .stopped : .filling(.stall, since: now)
            }
        }
    }

    private mutating func play() {
        playback = .playing
        if nextWhim == nil { nextWhim = drawWhim() }
    }

    private mutating func note(_ wait: Wait, lasted time: Duration) {
        switch wait {
        case .start: notes.append(.started(after: time))
        case .seek: notes.append(.sought(after: time))
        case .stall: notes.append(.stalled(for: time))
        }
    }

    /// A stall that nobody waited for to end was one all the same; of a start or a jump only its least time is known.
    private mutating func breakOff() {
        guard case .filling(let wait, let since) = playback else { return }
        switch wait {
        case .stall: note(.stall, lasted: now - since)
        case .start, .seek: notes.append(.notBegun(after: now - since))
        }
    }

    private mutating func end() -> [Action] {
        if case .over = phase { return [] }
        breakOff()
        notes.append(.watched(watched))
        playback = .stopped
        phase = .over
        return [.hangUp, .leave]
    }

    // MARK: - Whims

    private mutating func drawWhim() -> (what: Whim, at: Duration)? {
        let means: [(Whim, Duration)] = [
            (.seek, habits.seekEvery), (.pause, habits.pauseEvery), (.leave, habits.leaveEvery),
        ]
        return means.filter { $0.1 > .zero }
            .map { (what: $0.0, at: now + random.exponential(mean: $0.1)) }
            .min { $0.at < $1.at }
    }

    private mutating func follow(_ whim: Whim) -> [Action] {
        nextWhim = nil
        guard let size else { return [] }
        switch whim {
        case .seek:
            breakOff()
            playback = .filling(.seek, since: now)
            return jump(to: Int64.random(in: 0..<max(size - habits.rate.bytesPerSecond, 1), using: &random))
        case .pause:
            guard case .playing = playback else {
                nextWhim = drawWhim()
                return []
            }
            playback = .paused(until: now + random.exponential(mean: habits.pauseFor))
            return []
        case .leave:
            guard Bool.random(using: &random) else { return end() }
            breakOff()
            playback = .stopped
            link = .waiting(until: now + random.exponential(mean: habits.awayFor))
            // A player that is closed keeps nothing.
            received = Int64(playhead)
            return [.hangUp]
        }
    }
}
