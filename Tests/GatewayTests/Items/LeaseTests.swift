import Gateway
import SourceContract
import SourcePlugins
import Testing

@Suite(.timeLimit(.minutes(1))) struct LeaseTests {
    @Test("an answer keeps the item loaded to its end, also when it was what loaded it", arguments: [false, true])
    func lease(isCached: Bool) async throws {
        try await CacheUnderTest.with { cache in
            try await ItemsUnderTest.with { options in
                if isCached { options.cache = cache.store }
            } _: { items, gateway in
                let path = "\(items.a)/Show/one.mkv"
                let door = Gate()
                try items.source.objects.update(path) { $0.stall = (offset: 150_000, gate: door) }
                let client = try await gateway.client()
                async let answer = client.request("/torrent/\(path)")
                try await client.untilReceived(1000)
                try await door.untilWaiting()
                #expect(items.source.objects.counts.value.leases == 1)
                door.open()
                #expect(try await answer.body.count == 200_000)
                try await items.source.objects.untilIdle()
            }
        }
    }
}
