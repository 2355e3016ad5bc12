import SourcePlugins
import Testing

struct KnownTorrentsTests {
    private let ids = (1...5).compactMap { ItemID(String(repeating: "\($0)", count: 40)) }

    @Test("what was used longest ago comes first, also within a second and across a restart")
    func order() {
        var known = KnownTorrents()
        for (place, id) in ids.enumerated() { known.restore(id, .init(time: 1000 - Int64(place), metadata: 1)) }
        #expect(known.leastUsed == ids.reversed())
        for id in [ids[2], ids[0], ids[4]] { known.use(id, at: 2000) }
        #expect(known.leastUsed == [ids[3], ids[1], ids[2], ids[0], ids[4]])
        // Whatever the clock says.
        known.use(ids[2], at: 500)
        #expect(known.leastUsed == [ids[3], ids[1], ids[0], ids[4], ids[2]])
        known.remove(ids[0])
        #expect(known.leastUsed == [ids[3], ids[1], ids[4], ids[2]])
    }

    @Test("the size is that of everything that is there, however it came and went")
    func size() {
        var known = KnownTorrents()
        known.add(ids[0], metadata: 100_000, at: 1)
        let one = known.size
        #expect((100_000..<120_000).contains(one))
        known.restore(ids[1], .init(time: 1, metadata: 100_000, resume: 5000))
        #expect(known.size == 2 * one + 5000)
        known.setResume(ids[0], 7000)
        known.setResume(ids[0], 6000)
        // Brought in again.
        known.add(ids[0], metadata: 200_000, at: 2)
        #expect(known.size == 2 * one + 111_000)
        known.remove(ids[1])
        known.remove(ids[1])
        known.setResume(ids[1], 9)
        known.use(ids[1], at: 9)
        #expect(known.size == one + 106_000)
        known.remove(ids[0])
        #expect(known.size == 0)
        #expect(known.count == 0)
    }

    @Test("a use is written down at most once an hour, and resume data when it has grown much")
    func saving() {
        var known = KnownTorrents()
        #expect(known.add(ids[0], metadata: 10, at: 1000) == .init(time: 1000, metadata: 10))
        known.restore(ids[1], .init(time: 1000, metadata: 20))
        for id in ids { known.use(id, at: 4599) }
        known.setResume(ids[0], 100)
        #expect(known.takeUnsaved(9).isEmpty)
        known.use(ids[0], at: 4600)
        known.setResume(ids[1], 100_000)
        let taken = known.takeUnsaved(1) + known.takeUnsaved(9)
        let uses = Dictionary(uniqueKeysWithValues: taken)
        #expect(uses[ids[0]] == .init(time: 4600, metadata: 10, resume: 100))
        #expect(uses[ids[1]] == .init(time: 4599, metadata: 20, resume: 100_000))
        #expect(known.takeUnsaved(9).isEmpty)
    }

    @Test("a use is read as it was written, and nothing else is")
    func record() {
        let use = KnownTorrents.Use(time: 1_800_000_000, metadata: 12_345, resume: 67)
        #expect(KnownTorrents.Use(record: use.record) == use)
        for text in ["", "1", "1 2", "1 2 3 4", "1 2 x", "-1 2 3", "1 -2 3", "1 2 99999999999999"] {
            #expect(KnownTorrents.Use(record: Array(text.utf8)) == nil, "\(text)")
        }
    }
}
