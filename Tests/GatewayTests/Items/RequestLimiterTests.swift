import Gateway
import Testing

struct RequestLimiterTests {
    private let start = ContinuousClock.now

    @Test("as many as are allowed pass at once, and the next when one more has become due")
    func burst() {
        var limiter = RequestLimiter<String>(count: 10, per: .seconds(60))
        for _ in 0..<10 { #expect(limiter.admit("a", now: start) == nil) }
        #expect(limiter.admit("a", now: start) == .seconds(6))
        #expect(limiter.admit("a", now: start + .seconds(4)) == .seconds(2))
        #expect(limiter.admit("a", now: start + .seconds(6)) == nil)
        #expect(limiter.admit("a", now: start + .seconds(6)) == .seconds(6))
    }

    @Test("what is refused does not count, and a rest fills the bucket and no more")
    func refill() {
        var limiter = RequestLimiter<String>(count: 2, per: .seconds(2))
        for _ in 0..<2 { #expect(limiter.admit("a", now: start) == nil) }
        for _ in 0..<100 { #expect(limiter.admit("a", now: start) != nil) }
        let later = start + .seconds(3600)
        for _ in 0..<2 { #expect(limiter.admit("a", now: later) == nil) }
        #expect(limiter.admit("a", now: later) != nil)
    }

    @Test("each key has its own")
    func keys() {
        var limiter = RequestLimiter<String>(count: 1, per: .seconds(60))
        #expect(limiter.admit("a", now: start) == nil)
        #expect(limiter.admit("b", now: start) == nil)
        #expect(limiter.admit("a", now: start) != nil)
    }

    @Test("it remembers so many keys and no more, those that have used the most")
    func bound() {
        var limiter = RequestLimiter<Int>(count: 2, per: .seconds(60), capacity: 100)
        for _ in 0..<2 { #expect(limiter.admit(-1, now: start) == nil) }
        for key in 0..<10_000 {
            #expect(limiter.admit(key, now: start) == nil)
            #expect(limiter.count <= 100)
        }
        #expect(limiter.admit(-1, now: start) != nil)
        #expect(limiter.admit(-2, now: start + .seconds(120)) == nil)
        #expect(limiter.count == 1)
    }

    @Test(
        "an address counts as itself, one of IPv6 as its /64, and a Unix socket as one",
        arguments: [
            ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:1", true), ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true), ("unix", "unix", true), ("unix", "127.0.0.1", false),
        ]
    )
    func addresses(first: String, second: String, isSame: Bool) {
        #expect((ClientAddress(first).prefix == ClientAddress(second).prefix) == isSame)
    }

    @Test(
        "this machine is its loopback addresses and its Unix sockets",
        arguments: [
            ("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("::ffff:127.0.0.1", true), ("unix", true),
            ("192.0.2.1", false), ("128.0.0.1", false), ("::2", false), ("::", false), ("0.0.0.0", false),
            ("fe80::1", false), ("10.0.0.1", false),
        ]
    )
    func local(address: String, isLocal: Bool) {
        #expect(ClientAddress(address).isLocal == isLocal)
    }
}
