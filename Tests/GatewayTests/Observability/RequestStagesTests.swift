import Gateway
import Testing

@Suite struct RequestStagesTests {
    @Test("the gateway's time ends with the first byte but for later waits for the source or the cache")
    func gatewayTime() {
        var stages = RequestStages(accepted: 1000)
        stages.addWait(from: 1000, to: 1300, isCache: false)
        stages.mark(.firstByte, at: 2000)
        stages.addWait(from: 3000, to: 3050, isCache: false)
        stages.addWait(from: 4000, to: 4005, isCache: true)
        stages.addWait(from: 4000, to: 3993, isCache: false)
        stages.mark(.end, at: 900_000)
        #expect(stages.gatewayTime == .nanoseconds(1055))
        #expect(stages.sourceWait == .nanoseconds(350))
        #expect(stages.cacheWait == .nanoseconds(5))
        #expect(stages.time(to: .end) == .nanoseconds(899_000))
    }

    @Test("a wait that ends after the first byte is counted once")
    func overlap() {
        var stages = RequestStages(accepted: 1000)
        stages.mark(.firstByte, at: 1990)
        stages.addWait(from: 1000, to: 2000, isCache: true)
        #expect(stages.gatewayTime == .nanoseconds(1000))
        #expect(stages.cacheWait == .nanoseconds(1000))
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
        stages.mark(.firstByte, at: 0)
        stages.addWait(from: 0, to: .max, isCache: false)
        stages.addWait(from: 0, to: .max, isCache: false)
        stages.addWait(from: .min, to: .max, isCache: false)
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
