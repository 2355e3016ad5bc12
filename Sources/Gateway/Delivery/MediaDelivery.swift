import NIOCore
import SourcePlugins

/// Opens an object, decides the answer, and sends it: the way of everything that is not in the chunk cache.
package struct MediaDelivery: Sendable {
    let entry: SourceTable.Entry
    let source: any MediaSource
    let path: MediaPath
    let isDownload: Bool
    let objects: ObjectTable
    let response: MediaResponse

    private static let bytesPerTurn = 1 << 20

    /// - Throws: ``SourceError`` before the head; whatever the source throws after it.
    func run(_ exchange: Exchange) async throws {
        // Held to the end of the answer, so that an item with readers is never idle.
        let lease = source.lease(path)
        do {
            try await send(exchange)
        } catch let error as SourceError where error.code == .changed {
            // The object was replaced between opening and its first byte: one more try, with what is there now.
            // After the head the exchange refuses a second one, and the connection is cut.
            objects.remove(ObjectTable.Key(epoch: entry.epoch, path: path))
            guard try await !exchange.isStarted else { throw error }
            try await send(exchange)
        }
        withExtendedLifetime(lease) {}
    }

    private func send(_ exchange: Exchange) async throws {
        let object = try await source.open(path)
        try await exchange.markResolved()
        objects.insert(object.info, for: ObjectTable.Key(epoch: entry.epoch, path: path), now: .now)
        let fields = exchange.request.head.fields
        let plan = DeliveryPlan(
            info: object.info,
            isHead: exchange.request.isHead,
            range: fields[.range],
            preconditions: fields.preconditions
        )
        let head = response.head(plan, of: object.info, name: path.name, isDownload: isDownload)
        switch plan.body {
        case .none: try await exchange.respond(head)
        case .part(let range): try await stream(object, range, head, to: exchange)
        case .unknownLength: try await stream(object, 0..<Int64.max, head, to: exchange)
        }
    }

    private func stream(
        _ object: any MediaObject,
        _ range: Range<Int64>,
        _ head: ResponseHead,
        to exchange: Exchange
    ) async throws {
        let file = FileBody(object)
        var head: ResponseHead? = head
        var position = range.lowerBound
        while position < range.upperBound {
            if let file, file.isAtHand(position..<range.upperBound) {
                if let head = head.take() { try await exchange.start(head) }
                position += try await exchange.sendDirect(file, position..<range.upperBound, fromSource: true)
            }
            // What the kernel cannot send without a wait for the disk is read, and so is all that it must not send.
            let end = file == nil ? range.upperBound : min(range.upperBound, position + Int64(Self.bytesPerTurn))
            guard position < end else { break }
            try await copy(object, position..<end, head.take(), to: exchange)
            position = end
        }
        try await exchange.finish()
    }

    /// - Parameter head: that of the answer, if these are its first bytes.
    private func copy(
        _ object: any MediaObject,
        _ range: Range<Int64>,
        _ head: ResponseHead?,
        to exchange: Exchange
    ) async throws {
        let bytes = try await object.read(range)
        // The first bytes are in hand before the head says that there are any.
        var next = try await bytes.next()
        if let head { try await exchange.start(head) }
        var turn = 0
        while let buffer = next.take() {
            turn += buffer.readableBytes
            // Let go before the next pull, so that the source can fill the same storage again.
            try await exchange.write(consume buffer, fromSource: true)
            // Neither side may ever have to wait: the other connections of the event loop get their turn all the same.
            if turn >= Self.bytesPerTurn {
                turn = 0
                try await exchange.endTurn()
            }
            next = try await bytes.next()
        }
    }
}
