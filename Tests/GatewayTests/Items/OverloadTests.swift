import Gateway
import SourceContract
import SourcePlugins
import Testing

@Suite(.timeLimit(.minutes(1))) struct OverloadTests {
    private static let failure = SourceError(.overloaded, "all are in use")

    private static func expectRefusal(_ answer: RawClient.Answer, _ route: String) {
        #expect(answer.status == 503, "\(route)")
        #expect(answer["Retry-After"].flatMap { Int($0) } ?? 0 > 0, "\(route)")
        #expect(answer["Content-Type"] == ProblemDetails.mediaType, "\(route)")
        #expect(answer.text.contains("overloaded"), "\(route)")
    }

    @Test("a source that has no room for a read is asked once, and the answer is 503", arguments: [false, true])
    func reading(isCached: Bool) async throws {
        try await CacheUnderTest.with { cache in
            try await ItemsUnderTest.with { options in
                // Far longer than the test may take: nothing is tried until then.
                options.firstByteDeadline = .seconds(3600)
                if isCached { options.cache = cache.store }
            } _: { items, gateway in
                let path = "\(items.a)/Show/two.mkv"
                try items.source.objects.update(path) { $0.failure = (offset: 0, error: Self.failure) }
                let client = try await gateway.client()
                let routes = [
                    "/torrent/\(path)", "/torrent/\(items.a)/~1", "/streamfile/\(items.a)/two.mkv",
                    "/streamfile/\(items.a)/Show%2Ftwo.mkv",
                ]
                for (number, route) in routes.enumerated() {
                    Self.expectRefusal(try await client.local(route), route)
                    #expect(items.source.objects.counts.value.reads == number + 1, "\(route)")
                }
                try items.source.objects.update(path) { $0.failure = nil }
                for route in routes { #expect(try await client.local(route).body.count == 300_000, "\(route)") }
            }
        }
    }

    @Test("a source that has no room for another item is asked once, and the answer is 503")
    func adding() async throws {
        try await ItemsUnderTest.with {
            $0.firstByteDeadline = .seconds(3600)
        } _: { items, gateway in
            items.source.update(items.idOfB) { $0.answer = .fails(Self.failure) }
            let client = try await gateway.client()
            let routes = [
                "/torrent/\(items.b)/", "/torrent/\(items.b)/film.mp4", "/torrent/play?magnet=\(items.b)",
                "/add/\(items.b)", "/metadata/\(items.b)", "/stream/\(items.b)", "/streamfile/\(items.b)/film.mp4",
            ]
            for (number, route) in routes.enumerated() {
                Self.expectRefusal(try await client.local(route), route)
                #expect(items.source.counts.value.asked == number + 1, "\(route)")
            }
            Self.expectRefusal(try await client.post("/torrent/", type: "text/plain", items.magnetOfB), "POST")
            #expect(items.source.counts.value.asked == routes.count + 1)
        }
    }
}
