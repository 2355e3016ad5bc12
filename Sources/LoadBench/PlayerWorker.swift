import NIOCore
import NIOHTTP1

/// A viewer: one visit after another, each as its ``PlayerModel`` wants it.
final class PlayerWorker: LoadWorker {
    private struct Asked {
        let request: LoadRequest
        /// When it was wanted; the connection is made after that.
        let at: Duration
        var lastByte: Duration
        var check: BodyCheck?
        var hasBytes = false
    }

    private let context: WorkerContext
    private let habits: PlayerHabits
    private let popularity: ZipfDistribution
    private var random: SeededRandom
    private var model: PlayerModel?
    private var item: LoadItem
    private var size: Int64?
    private var connection: LoadConnection?
    private var asked: Asked?
    private var isStopping = false

    var isDone: Bool { isStopping && asked == nil }

    init(_ context: WorkerContext, _ habits: PlayerHabits, _ popularity: ZipfDistribution, random: SeededRandom) {
        self.context = context
        self.habits = habits
        self.popularity = popularity
        self.random = random
        item = context.plan.items[0]
    }

    func start(at now: Duration) {
        item = context.plan.items[popularity.next(using: &random)]
        size = nil
        model = PlayerModel(habits, random: SeededRandom(seed: random.next()), at: now)
        ask(from: 0)
    }

    func tick(at now: Duration) {
        let expectsBytes = isStopping || model?.expectsBytes == true
        if let asked, expectsBytes, now - asked.lastByte > context.plan.patience {
            fail(LoadFailure(.timeout, "no byte for \(context.plan.patience.inSeconds) s"))
        }
        guard model != nil else {
            if !isStopping { start(at: now) }
            return
        }
        carryOut(model?.tick(at: now) ?? [])
    }

    /// Whoever plays hangs up; where a byte should come, with the next one. A server that has fallen silent is not right
    /// because the run is over.
    func stop(at now: Duration) {
        isStopping = true
        let expectsBytes = model?.expectsBytes == true
        model?.stop(at: now)
        takeNotes()
        model = nil
        if !expectsBytes { hangUp() }
    }

    func cut() { hangUp() }

    // MARK: - What the model wants

    private func carryOut(_ actions: [PlayerModel.Action]) {
        for action in actions {
            switch action {
            case .ask(let first): ask(from: first)
            case .read: setReading(true)
            case .rest: setReading(false)
            case .hangUp: hangUp()
            case .leave:
                takeNotes()
                model = nil
            }
        }
        takeNotes()
    }

    private func takeNotes() {
        guard let notes = model?.takeNotes(), !notes.isEmpty else { return }
        context.recorder.record { for note in notes { $0.noticed(note) } }
    }

    private func ask(from first: Int64) {
        hangUp()
        let request = LoadRequest.range(first: first, last: nil)
        let now = context.now
        asked = Asked(request: request, at: now, lastByte: now)
        connection = LoadConnection(to: context.server, on: context.eventLoop, patience: context.plan.patience) {
            [weak self] in self?.take($0)
        }
    }

    private func setReading(_ isReading: Bool) {
        asked?.lastByte = context.now
        connection?.setReading(isReading)
    }

    private func hangUp() {
        connection?.close()
        connection = nil
        // An answer that was right as far as it was wanted. A head alone is none.
        if asked?.hasBytes == true { context.recorder.record { $0.finished(after: nil) } }
        asked = nil
    }

    // MARK: - The answer

    private func take(_ event: LoadConnection.Event) {
        switch event {
        case .opened:
            if let asked { connection?.ask(item.path, asked.request) }
        case .head(let head): take(head)
        case .bytes(let bytes): take(bytes)
        // The request follows its connection at once, so that none is closed before it was used.
        case .end, .closed: hangUp()
        case .failed(let failure): fail(failure)
        }
    }

    private func take(_ head: HTTPResponseHead) {
        guard var asked else { return }
        let now = context.now
        do {
            let body = try asked.request.announced(by: head, size: size)
            asked.check = BodyCheck(item.reference, position: body.position, size: body.size)
            size = body.size
        } catch {
            return fail(error)
        }
        asked.lastByte = now
        self.asked = asked
        if let size { model?.opened(size: size) }
        context.recorder.record { $0.answered(firstByte: now - asked.at) }
    }

    private func take(_ bytes: ByteBuffer) {
        guard var asked, var check = asked.check else { return }
        let before = check.compared
        do {
            try check.take(bytes)
        } catch {
            return fail(error)
        }
        let now = context.now
        (asked.check, asked.lastByte, asked.hasBytes) = (check, now, true)
        self.asked = asked
        context.recorder.record { $0.received(bytes.readableBytes, compared: check.compared - before) }
        guard !isStopping else { return hangUp() }
        carryOut(model?.receive(Int64(bytes.readableBytes), at: now) ?? [])
    }

    private func fail(_ failure: LoadFailure) {
        let range = asked?.request.rangeField ?? ""
        let failure = LoadFailure(failure.kind, "\(range) of \(item.name): \(failure.detail)")
        context.recorder.record { $0.failed(failure) }
        asked = nil
        hangUp()
        carryOut(model?.fail(at: context.now) ?? [])
    }
}
