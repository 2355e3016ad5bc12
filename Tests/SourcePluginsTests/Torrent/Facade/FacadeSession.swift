import CLibtorrent
import Dispatch
import Foundation
import Synchronization

/// A session of libtorrent with a thread that takes its events. Closed with this value at the latest.
final class FacadeSession: Sendable {
    struct Event: Sendable {
        let kind: clt_event_kind
        let torrent: UInt64
        let piece: Int32
        let error: Int32
        let isStalled: Bool
        let message: String
        let bytes: [UInt8]
        let port: UInt16
        let status: clt_status

        /// Whether #CLT_EVENT_CHECKED says that a piece is there.
        func has(_ piece: Int32) -> Bool {
            bytes[Int(piece / 8)] & (0x80 >> UInt8(piece % 8)) != 0
        }
    }

    private struct State {
        var events: [Event] = []
        var waiters:
            [(id: UUID, matches: @Sendable (Event) -> Bool, continuation: CheckedContinuation<Event, any Error>)] =
                []
        var isEnding = false
        var isClosed = false
    }

    /// What libtorrent's threads and the polling thread refer to.
    private final class Shared: Sendable {
        let state = Mutex(State())
        let wake = DispatchSemaphore(value: 0)
        let ended = DispatchSemaphore(value: 0)

        func deliver(_ event: Event) {
            let waiter = state.withLock { state -> CheckedContinuation<Event, any Error>? in
                guard let index = state.waiters.firstIndex(where: { $0.matches(event) }) else {
                    state.events.append(event)
                    return nil
                }
                return state.waiters.remove(at: index).continuation
            }
            waiter?.resume(returning: event)
        }
    }

    /// Every function of the façade may be called from any thread.
    nonisolated(unsafe) let pointer: OpaquePointer
    private let shared = Shared()

    init(
        blocked: [clt_address_range] = [],
        settings configure: (OpaquePointer) -> Void = { _ in }
    ) throws {
        var settings: OpaquePointer?
        try check(clt_settings_new(&settings))
        guard let settings else { throw FacadeFailure(code: CLT_INTERNAL) }
        defer { clt_settings_free(settings) }
        clt_settings_set_string(settings, "listen_interfaces", "127.0.0.1:0")
        clt_settings_set_bool(settings, "allow_multiple_connections_per_ip", 1)
        configure(settings)
        var session: OpaquePointer?
        let notify: @convention(c) (UnsafeMutableRawPointer?) -> Void = { context in
            guard let context else { return }
            Unmanaged<Shared>.fromOpaque(context).takeUnretainedValue().wake.signal()
        }
        let context = Unmanaged.passUnretained(shared).toOpaque()
        try check(clt_session_new(settings, blocked, blocked.count, notify, context, &session))
        guard let session else { throw FacadeFailure(code: CLT_INTERNAL) }
        pointer = session
        startPolling()
    }

    deinit { close() }

    /// Ends the polling, then the session.
    func close() {
        let isFirst = shared.state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return }
        shared.state.withLock { $0.isEnding = true }
        shared.wake.signal()
        shared.ended.wait()
        clt_session_free(pointer)
    }

    private func startPolling() {
        let session = UInt(bitPattern: pointer)
        Thread.detachNewThread { [shared] in
            let context = Unmanaged.passUnretained(shared).toOpaque()
            while !shared.state.withLock(\.isEnding) {
                shared.wake.wait()
                let handler: @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<clt_event>?) -> Void = {
                    guard let context = $0, let event = $1?.pointee else { return }
                    Unmanaged<Shared>.fromOpaque(context).takeUnretainedValue().deliver(Event(event))
                    if let owner = event.owner { clt_buffer_release(owner) }
                }
                _ = clt_session_poll(OpaquePointer(bitPattern: session), handler, context)
            }
            shared.ended.signal()
        }
    }

    /// The first event of this kind that nobody has taken yet, now or when it comes.
    @discardableResult
    func event(
        _ kind: clt_event_kind,
        _ torrent: UInt64? = nil,
        where condition: @escaping @Sendable (Event) -> Bool = { _ in true }
    ) async throws -> Event {
        try await event { $0.kind == kind && (torrent == nil || $0.torrent == torrent) && condition($0) }
    }

    /// The first event that `matches` and that nobody has taken yet, now or when it comes.
    func event(where matches: @escaping @Sendable (Event) -> Bool) async throws -> Event {
        let id = UUID()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let found = shared.state.withLock { state -> Result<Event, any Error>? in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    guard let index = state.events.firstIndex(where: matches) else {
                        state.waiters.append((id, matches, continuation))
                        return nil
                    }
                    return .success(state.events.remove(at: index))
                }
                if let found { continuation.resume(with: found) }
            }
        } onCancel: {
            let waiter = shared.state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0).continuation }
            }
            waiter?.resume(throwing: CancellationError())
        }
    }

    /// How many events of this kind have come that nobody has taken.
    func count(_ kind: clt_event_kind, _ torrent: UInt64) -> Int {
        shared.state.withLock { $0.events.count { $0.kind == kind && $0.torrent == torrent } }
    }
}

extension FacadeSession.Event {
    init(_ event: clt_event) {
        kind = event.kind
        torrent = event.torrent
        piece = event.piece
        error = event.error
        isStalled = event.is_stalled != 0
        message = event.message.map { String(cString: $0) } ?? "NULL"
        bytes = Array(UnsafeBufferPointer(start: event.bytes, count: event.byte_count))
        port = event.endpoint.port
        status = event.status
    }
}

struct FacadeFailure: Error {
    let code: clt_code
}

func check(_ code: clt_code) throws {
    guard code == CLT_OK else { throw FacadeFailure(code: code) }
}
