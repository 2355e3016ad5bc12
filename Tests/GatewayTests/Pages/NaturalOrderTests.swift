import Gateway
import SourcePlugins
import Testing

@Suite struct NaturalOrderTests {
    @Test("episodes are listed by number, and names without regard to case")
    func episodes() throws {
        let expected = [
            "aaa", "Bbb", "Episode 1", "episode 2", "Episode 02b", "Episode 010", "Episode 10", "Episode 100",
            "Episode 99999999999999999999999", "Episode x", "é",
        ]
        let entries = try expected.shuffled().map {
            MediaEntry(name: try MediaPath.Component(Array($0.utf8)), kind: .file(size: 1), lastModified: nil)
        }
        let listing = Listing(entries, mount: MountAddress("/media"), path: .root)
        #expect(listing.items.map(\.entry.name.description) == expected)
    }
}
