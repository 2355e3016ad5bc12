import HTTPTypes
import NIOCore

/// A request whose body is coming in.
struct PendingUpload {
    let upload: Upload
    let request: GatewayRequest
    /// Whether what follows it on the connection is no request.
    let isLast: Bool
    let stages: RequestStages
    var body = ByteBuffer()
}

// Requests with a body that is read before they are answered.
extension ConnectionHandler {
    func receive(_ upload: Upload, of request: GatewayRequest, isLast: Bool, stages: RequestStages) {
        guard let context else { return }
        let pending = PendingUpload(upload: upload, request: request, isLast: isLast, stages: stages)
        if let announced = request.head.httpFields[.contentLength], Int(announced) ?? .max > upload.limit {
            refuseBody(of: pending)
            return
        }
        self.upload = pending
        state = .awaitingHead(headSince: context.eventLoop.now)
        // RFC 9110 §10.1.1; the gate has seen that it is nothing else.
        if request.head.fields[.expect] != nil, request.head.minorVersion >= 1 {
            context.write(wrapOutboundOut(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
        }
    }

    func received(_ bytes: ByteBuffer) {
        // Of a body that nobody reads: the connection is about to end.
        guard var pending = upload else { return }
        guard bytes.readableBytes <= pending.upload.limit - pending.body.readableBytes else {
            upload = nil
            refuseBody(of: pending)
            return
        }
        // So that the buffer is not copied when it grows.
        upload = nil
        pending.body.writeImmutableBuffer(bytes)
        upload = pending
    }

    func bodyReceived() {
        guard let pending = upload.take(), let context else { return }
        (state, stateSince) = (.awaitingHead(headSince: nil), context.eventLoop.now)
        answer(
            pending.upload.decide(pending.body),
            to: pending.request,
            mayContinue: !pending.isLast,
            stages: pending.stages
        )
    }

    private func refuseBody(of pending: PendingUpload) {
        send(
            RequestProblem(413, .contentTooLarge, "the body is longer than \(pending.upload.limit) bytes"),
            to: pending.request,
            route: pending.upload.route,
            source: pending.upload.source,
            isKeepAlive: false,
            stages: pending.stages
        )
    }
}
