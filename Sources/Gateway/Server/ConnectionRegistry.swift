import NIOCore
import Synchronization

/// The open connections of a listener: counts them against the limit, and reaches them when the gateway stops.
package final class ConnectionRegistry: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var whenFewer: [@Sendable () -> Void] = []
        var isDraining = false
        var whenEmpty: EventLoopPromise<Void>?
    }

    package let limit: Int
    private let state = Mutex(State())
    private let count = Atomic(0)

    package init(limit: Int) {
        self.limit = limit
    }

    package var openConnections: Int { count.load(ordering: .relaxed) }

    /// How many more connections there may be.
    var room: Int { max(0, limit - openConnections) }

    /// Whether nine in ten of the connections there may be are open: patience gets shorter then.
    var isRunningShort: Bool { openConnections > limit - limit / 10 }

    var isDraining: Bool { state.withLock { $0.isDraining } }

    /// Adds a connection until it closes.
    func add(_ channel: any Channel) {
        state.withLock { state in
            state.channels[ObjectIdentifier(channel)] = channel
            count.store(state.channels.count, ordering: .relaxed)
        }
        channel.closeFuture.whenComplete { [self] _ in remove(channel) }
    }

    private func remove(_ channel: any Channel) {
        let (whenFewer, whenEmpty) = state.withLock { state -> ([@Sendable () -> Void], EventLoopPromise<Void>?) in
            state.channels[ObjectIdentifier(channel)] = nil
            count.store(state.channels.count, ordering: .relaxed)
            let waiting = state.whenFewer
            state.whenFewer = []
            return (waiting, state.channels.isEmpty ? state.whenEmpty.take() : nil)
        }
        for call in whenFewer { call() }
        whenEmpty?.succeed()
    }

    /// - Returns: whether one more connection may be accepted; if not, `call` is called when one has closed.
    func hasRoom(orCall call: @escaping @Sendable () -> Void) -> Bool {
        state.withLock { state in
            if state.channels.count < limit { return true }
            state.whenFewer.append(call)
            return false
        }
    }

    /// Asks every connection to end with its current answer.
    ///
    /// - Parameter promise: succeeds when the last one has closed.
    func drain(_ promise: EventLoopPromise<Void>) {
        let channels = state.withLock { state -> [any Channel] in
            state.isDraining = true
            if !state.channels.isEmpty { state.whenEmpty = promise }
            return Array(state.channels.values)
        }
        if channels.isEmpty { promise.succeed() }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
    }

    /// Ends every connection now.
    func cut() {
        for channel in state.withLock({ Array($0.channels.values) }) {
            channel.pipeline.fireUserInboundEventTriggered(DrainDeadlineEvent())
            // For one whose handler is not in place yet.
            channel.close(promise: nil)
        }
    }
}
