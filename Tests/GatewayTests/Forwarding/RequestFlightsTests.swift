import Gateway
import SourceContract
import SourcePlugins
import Testing

@Suite(.timeLimit(.minutes(2)))
struct RequestFlightsTests {
    private let flights = RequestFlights<ForwardedURI>()
    private let uri: ForwardedURI

    init() throws {
        uri = ForwardedURI(uri: try #require(TargetURI("http://origin/a")), target: "a")
    }

    private func first() async throws -> RequestFlight {
        guard case .first(let flight) = await flights.join(uri, within: .seconds(3600)) else { throw NotFirst() }
        return flight
    }

    private struct NotFirst: Error {}

    @Test(
        "those who come meanwhile wait, and learn what became of it",
        arguments: [RequestOutcome.stored, .failed]
    )
    func waiting(outcome: RequestOutcome) async throws {
        let flight = try await first()
        let others = (0..<20).map { _ in Task { await flights.join(uri, within: .seconds(3600)) } }
        while flights.waiting(for: uri) < 20 { await Task.yield() }
        flight.end(outcome)
        flight.end(.unshared)
        for other in others {
            guard case .waited(outcome) = await other.value else {
                Issue.record("another outcome")
                continue
            }
        }
        _ = try await first()
    }

    @Test("a request that is given up lets the next one try")
    func givenUp() async throws {
        var flight: RequestFlight? = try await first()
        let other = Task { await flights.join(uri, within: .seconds(3600)) }
        while flights.waiting(for: uri) == 0 { await Task.yield() }
        #expect(flight != nil)
        flight = nil
        guard case .waited(.failed) = await other.value else {
            Issue.record("another outcome")
            return
        }
    }

    @Test("where nothing can be shared nobody waits for a while")
    func lonely() async throws {
        try await first().end(.unshared)
        guard case .alone = await flights.join(uri, within: .seconds(3600)) else {
            Issue.record("waited")
            return
        }
        guard case .first = await flights.join(uri, within: .seconds(3600), now: .now + .seconds(61)) else {
            Issue.record("still alone")
            return
        }
    }

    @Test("a wait has an end, and a request that was given up does not wait")
    func bounded() async throws {
        let flight = try await first()
        guard case .alone = await flights.join(uri, within: .zero) else {
            Issue.record("waited")
            return
        }
        let other = Task { await flights.join(uri, within: .seconds(3600)) }
        while flights.waiting(for: uri) == 0 { await Task.yield() }
        other.cancel()
        guard case .alone = await other.value else {
            Issue.record("waited on")
            return
        }
        flight.end(.stored)
    }
}
