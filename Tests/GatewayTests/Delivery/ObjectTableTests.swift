import ChunkCache
import Gateway
import SourcePlugins
import Testing

@Suite struct ObjectTableTests {
    private static func key(_ path: String, epoch: Int = 0) throws -> ObjectTable.Key {
        ObjectTable.Key(epoch: epoch, path: try MediaPath(path))
    }

    private static func info(_ validity: Validity, cached: CachedObject? = nil) -> ObjectTable.Known {
        let info = ObjectInfo(size: 1, revision: Revision("r"), validity: validity)
        return ObjectTable.Known(
            info: info,
            cached: cached,
            fields: ReadyFields(ResponseHead(status: 200, framing: .none))
        )
    }

    @Test("what is known is believed for as long as its source said, and not longer")
    func validity() throws {
        let table = ObjectTable()
        let now = ContinuousClock.now
        table.insert(Self.info(.recheck(after: .seconds(1))), for: try Self.key("a"), now: now)
        table.insert(Self.info(.immutable), for: try Self.key("b"), now: now)
        #expect(table.lookup(try Self.key("a"), now: now + .milliseconds(999)) != nil)
        #expect(table.lookup(try Self.key("a"), now: now + .seconds(1)) == nil)
        #expect(table.lookup(try Self.key("b"), now: now + .seconds(1_000_000)) != nil)
    }

    @Test("the same path of another source, or of the same before a reload, is another object")
    func epochs() throws {
        let table = ObjectTable()
        table.insert(Self.info(.immutable), for: try Self.key("a", epoch: 1), now: .now)
        #expect(table.lookup(try Self.key("a", epoch: 2), now: .now) == nil)
    }

    @Test("what was removed is not known")
    func removal() throws {
        let table = ObjectTable()
        table.insert(Self.info(.immutable), for: try Self.key("a"), now: .now)
        table.remove(try Self.key("a"))
        #expect(table.lookup(try Self.key("a"), now: .now) == nil)
    }

    @Test("what the cache has forgotten is not known, so that it is found in the cache again")
    func retired() async throws {
        try await CacheUnderTest.with([("media", "a", 100)]) { cache in
            let table = ObjectTable()
            let object = try #require(cache.store.objects.first)
            table.insert(Self.info(.immutable, cached: object), for: try Self.key("a"), now: .now)
            #expect(table.lookup(try Self.key("a"), now: .now) != nil)
            cache.store.remove([object])
            #expect(table.lookup(try Self.key("a"), now: .now) == nil)
            #expect(table.count == 0)
        }
    }

    @Test("what was asked for before a purge is not kept after it")
    func purge() throws {
        let table = ObjectTable()
        let before = table.purges
        table.removeAll { _ in true }
        table.insert(Self.info(.immutable), for: try Self.key("a"), now: .now, knownSince: before)
        #expect(table.lookup(try Self.key("a"), now: .now) == nil)
        table.insert(Self.info(.immutable), for: try Self.key("a"), now: .now, knownSince: table.purges)
        #expect(table.lookup(try Self.key("a"), now: .now) != nil)
    }

    @Test("the table is bounded, and the oldest entry makes room")
    func capacity() throws {
        let table = ObjectTable(capacity: 10)
        for number in 0..<1000 {
            // One that is asked for again and again must not make the table's own list grow.
            table.insert(Self.info(.immutable), for: try Self.key("same"), now: .now)
            table.insert(Self.info(.immutable), for: try Self.key("\(number)"), now: .now)
            #expect(table.count <= 10)
        }
        #expect(table.lookup(try Self.key("999"), now: .now) != nil)
        #expect(table.lookup(try Self.key("0"), now: .now) == nil)
    }
}
