import Gateway
import Testing

@Suite struct RequestStagesTests {
    @Test("the gateway's time ends with the first byte but for later waits for the source")
    func gatewayTime() {
        var stages = RequestStages(accepted: 1000)
        stages.addSourceWait(nanoseconds: 300)
        stages.mark(.firstByte, at: 2000)
        stages.addSourceWait(nanoseconds: 50)
        stages.addSourceWait(nanoseconds: -7)
        stages.mark(.end, at: 900_000)
        #expect(stages.gatewayTime == .nanoseconds(1050))
        #expect(stages.sourceWait == .nanoseconds(350))
        #expect(stages.time(to: .end) == .nanoseconds(899_000))
    }

    @Test("a request without a first byte counts up to its end")
    func noFirstByte() {
        var stages = RequestStages(accepted: 0)
        #expect(stages.gatewayTime == .zero)
        stages.mark(.end, at: 5000)
        #expect(stages.gatewayTime == .nanoseconds(5000))
    }

    @Test("the first mark of a stage stands, and a clock that goes back gives no negative time")
    func marks() {
        var stages = RequestStages(accepted: 1000)
        stages.mark(.resolved, at: 1500)
        stages.mark(.resolved, at: 9000)
        stages.mark(.firstByte, at: 10)
        #expect(stages.time(to: .resolved) == .nanoseconds(500))
        #expect(stages.time(to: .firstByte) == .zero)
        #expect(stages.time(to: .sourceByte) == nil)
    }

    @Test("sums and differences beyond the type do not trap")
    func extremes() {
        var stages = RequestStages(accepted: .min)
        stages.mark(.firstByte, at: .max)
        stages.addSourceWait(nanoseconds: .max)
        stages.addSourceWait(nanoseconds: .max)
        #expect(stages.gatewayTime == .nanoseconds(Int64.max))
    }

    @Test("Server-Timing names what is known when the head is sent")
    func serverTiming() {
        var stages = RequestStages(accepted: 0)
        #expect(stages.serverTiming == nil)
        stages.mark(.resolved, at: 1_290_000)
        #expect(stages.serverTiming == "resolve;dur=1.2")
        stages.mark(.sourceByte, at: 4_690_000)
        #expect(stages.serverTiming == "resolve;dur=1.2, source;dur=3.4")
    }
}
