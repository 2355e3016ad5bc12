package import NIOCore

/// How fast a client sends a body: each portion of it has its time, however fast those before it came.
package struct BodyPace: Sendable {
    /// For the portion that is coming in.
    private var waited = TimeAmount.zero
    private var bytes = 0

    package init() {}

    /// - Parameter wait: for how long somebody has waited for the bytes.
    package mutating func received(_ count: Int, after wait: TimeAmount, _ limits: ConnectionServices.Limits) {
        waited = waited + wait
        bytes += count
        if bytes >= limits.bodyPortion { self = BodyPace() }
    }

    /// How long the next bytes may take.
    package func timeLeft(_ limits: ConnectionServices.Limits) -> TimeAmount { max(limits.body - waited, .zero) }
}
