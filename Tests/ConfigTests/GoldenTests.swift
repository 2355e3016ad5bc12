import Config
import Foundation
import Testing

struct GoldenTests {
    /// With `UPDATE_FIXTURES=1` in the environment what is printed becomes what is expected; look at the difference.
    @Test("a broken configuration is told with position, cause and remedy", arguments: Fixture.all)
    func golden(_ fixture: Fixture) throws {
        let loaded = try fixture.load()
        let printed = loaded.diagnostics.render()
        if ProcessInfo.processInfo.environment["UPDATE_FIXTURES"] == "1" {
            try fixture.setExpected(printed)
        }
        #expect(loaded.diagnostics.hasErrors)
        #expect(try printed == fixture.expected())
    }

    @Test("there are at least thirty broken configurations")
    func enough() {
        #expect(Fixture.all.count >= 30)
    }
}
