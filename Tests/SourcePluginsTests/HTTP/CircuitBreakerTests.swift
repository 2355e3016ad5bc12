import SourcePlugins
import Testing

@Suite("HTTP: circuit breaker")
struct CircuitBreakerTests {
    private let start = ContinuousClock.now

    private func failed(_ count: Int) throws -> CircuitBreaker {
        var breaker = CircuitBreaker(failures: 3, pause: .seconds(2))
        for _ in 0..<count {
            let permit = try admit(&breaker, at: start)
            breaker.fail(permit, .connection, at: start)
        }
        return breaker
    }

    private func admit(
        _ breaker: inout CircuitBreaker,
        at now: ContinuousClock.Instant
    ) throws -> CircuitBreaker.Permit {
        let permit = breaker.admit(at: now)
        return try #require(permit)
    }

    @Test("requests go out as long as fewer fail in a row than it takes", arguments: 0..<3)
    func closed(_ failures: Int) throws {
        var breaker = try failed(failures)
        #expect(!breaker.isOpen)
        #expect(breaker.admit(at: start)?.isProbe == false)
    }

    @Test("an answer in between begins the count anew")
    func reset() throws {
        var breaker = try failed(2)
        breaker.succeed()
        for _ in 0..<2 {
            let permit = try admit(&breaker, at: start)
            breaker.fail(permit, .connection, at: start)
        }
        #expect(!breaker.isOpen)
    }

    @Test("after so many failures nothing goes out until the pause is over")
    func open() throws {
        var breaker = try failed(3)
        #expect(breaker.isOpen)
        #expect(breaker.admit(at: start) == nil)
        #expect(breaker.admit(at: start + .milliseconds(1999)) == nil)
        #expect(breaker.admit(at: start + .seconds(2))?.isProbe == true)
    }

    @Test("while one request is out to see, no other goes, until nothing was heard of it for a pause")
    func probing() throws {
        var breaker = try failed(3)
        let first = try admit(&breaker, at: start + .seconds(2))
        #expect(breaker.admit(at: start + .milliseconds(3999)) == nil)
        let second = try admit(&breaker, at: start + .seconds(4))
        #expect(second.isProbe && second != first)
        // What becomes of the first is no news any more, unless it was answered.
        breaker.fail(first, .connection, at: start + .seconds(5))
        breaker.abandon(first, at: start + .seconds(5))
        #expect(breaker.admit(at: start + .milliseconds(5999)) == nil)
        #expect(breaker.admit(at: start + .seconds(6)) != nil)
    }

    @Test("an answer that is none counts once for a path, a connection that is none each time")
    func paths() throws {
        var breaker = CircuitBreaker(failures: 3, pause: .seconds(2))
        let permit = try admit(&breaker, at: start)
        for _ in 0..<10 { breaker.fail(permit, .answer(path: "a"), at: start) }
        breaker.fail(permit, .answer(path: "b"), at: start)
        #expect(!breaker.isOpen)
        breaker.fail(permit, .connection, at: start)
        #expect(breaker.isOpen)
    }

    @Test("a probe that is answered lets everybody through")
    func recovered() throws {
        var breaker = try failed(3)
        _ = breaker.admit(at: start + .seconds(2))
        breaker.succeed()
        #expect(!breaker.isOpen)
        #expect(breaker.admit(at: start + .seconds(2)) != nil)
    }

    @Test("a probe that fails begins another pause")
    func stillDown() throws {
        var breaker = try failed(3)
        let probe = try admit(&breaker, at: start + .seconds(2))
        breaker.fail(probe, .connection, at: start + .seconds(3))
        #expect(breaker.admit(at: start + .milliseconds(4999)) == nil)
        #expect(breaker.admit(at: start + .seconds(5))?.isProbe == true)
    }

    @Test("a probe that is given up makes the next request the probe")
    func abandoned() throws {
        var breaker = try failed(3)
        let probe = try admit(&breaker, at: start + .seconds(2))
        breaker.abandon(probe, at: start + .seconds(3))
        #expect(breaker.admit(at: start + .seconds(3))?.isProbe == true)
    }

    @Test("what became of requests from before it opened changes nothing, unless one was answered")
    func late() throws {
        var breaker = try failed(2)
        let early = try admit(&breaker, at: start)
        let last = try admit(&breaker, at: start)
        breaker.fail(last, .connection, at: start)
        breaker.fail(early, .connection, at: start + .seconds(1))
        breaker.abandon(early, at: start + .seconds(1))
        #expect(breaker.admit(at: start + .milliseconds(1999)) == nil)
        let probe = try admit(&breaker, at: start + .seconds(2))
        breaker.fail(early, .connection, at: start + .seconds(2))
        breaker.abandon(early, at: start + .seconds(2))
        #expect(breaker.admit(at: start + .seconds(3)) == nil)
        breaker.fail(probe, .connection, at: start + .seconds(3))
        breaker.succeed()
        #expect(!breaker.isOpen)
    }
}
