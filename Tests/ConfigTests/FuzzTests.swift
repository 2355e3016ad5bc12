import Foundation
import Testing

struct FuzzTests {
    /// `CONFIG_FUZZ_ITERATIONS` and `CONFIG_FUZZ_SEED` in the environment make a longer or another run.
    @Test("a configuration changed at random is accepted or refused with a position, and nothing traps")
    func fuzz() throws {
        let environment = ProcessInfo.processInfo.environment
        let iterations = environment["CONFIG_FUZZ_ITERATIONS"].flatMap(Int.init) ?? 20000
        let seed = environment["CONFIG_FUZZ_SEED"].flatMap(UInt64.init) ?? 1
        let summary = try ConfigFuzzer.run(iterations: iterations, seed: seed)
        #expect(summary.iterations == iterations)
        // Otherwise what is changed is too much, or too little.
        #expect(summary.accepted > iterations / 100 && summary.faults > iterations)
    }
}
