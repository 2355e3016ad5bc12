import NIOCore
import NIOHTTP1

/// One answer, whole and in memory: for what must be known before a load begins.
final class LoadFetch {
    struct Answer: Sendable {
        let body: AnnouncedBody
        var bytes: ByteBuffer
    }

    private let request: LoadRequest
    private let limit: Int
    private let promise: EventLoopPromise<Answer>
    private var connection: LoadConnection?
    private var answer: Answer?
    private var isOver = false

    /// - Parameters:
    ///   - limit: bytes of a body; a longer one is a failure.
    ///   - patience: for all of it.
    /// - Throws: ``LoadFailure``, and `CancellationError` as soon as the task is cancelled.
    static func get(
        _ path: String,
        _ request: LoadRequest,
        accept: String = "*/*",
        from server: LoadServer,
        on eventLoop: any EventLoop,
        limit: Int,
        patience: Duration
    ) async throws -> Answer {
        let fetch = NIOLoopBoundBox.makeEmptyBox(valueType: LoadFetch.self, eventLoop: eventLoop)
        let isCancelled = Flag()
        return try await withTaskCancellationHandler {
            try await eventLoop.flatSubmit {
                let started = LoadFetch(request, limit: limit, eventLoop.makePromise())
                fetch.value = started
                started.start(path, accept, server, eventLoop, patience)
                // Where the handler came before there was anything to end.
                if isCancelled.isSet { started.end(.failure(CancellationError())) }
                return started.promise.futureResult
            }
            .get()
        } onCancel: {
            isCancelled.set()
            eventLoop.execute { fetch.value?.end(.failure(CancellationError())) }
        }
    }

    private init(_ request: LoadRequest, limit: Int, _ promise: EventLoopPromise<Answer>) {
        self.request = request
        self.limit = limit
        self.promise = promise
    }

    private func start(
        _ path: String,
        _ accept: String,
        _ server: LoadServer,
        _ eventLoop: any EventLoop,
        _ patience: Duration
    ) {
        // Held by this closure, until the connection drops it at its end.
        connection = LoadConnection(to: server, on: eventLoop, patience: patience) { event in
            switch event {
            case .opened: self.connection?.ask(path, self.request, accept: accept)
            case .head(let head): self.take(head)
            case .bytes(let bytes): self.take(bytes)
            case .end: self.end(self.answer.map { .success($0) } ?? .failure(LoadFailure(.malformed, "no answer")))
            case .closed: self.end(.failure(LoadFailure(.closed, "the connection ended before the answer")))
            case .failed(let failure): self.end(.failure(failure))
            }
        }
        eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(patience)) { [weak self] in
            self?.end(.failure(LoadFailure(.timeout, "no answer within \(patience.inSeconds) s")))
        }
    }

    private func take(_ head: HTTPResponseHead) {
        do {
            answer = Answer(body: try request.announced(by: head, size: nil), bytes: ByteBuffer())
        } catch {
            end(.failure(error))
        }
    }

    private func take(_ bytes: ByteBuffer) {
        var bytes = bytes
        answer?.bytes.writeBuffer(&bytes)
        guard let count = answer?.bytes.readableBytes, count > limit else { return }
        end(.failure(LoadFailure(.length, "more than \(limit) bytes")))
    }

    private func end(_ result: Result<Answer, any Error>) {
        guard !isOver else { return }
        isOver = true
        connection?.close()
        connection = nil
        promise.completeWith(result)
    }
}
