import SourcePlugins
import Testing

@Suite struct OriginCachingTests {
    @Test(
        "a lifetime in seconds is found among the directives",
        arguments: [
            (nil, false), ("public", false), ("max-age=5", true), ("public,\t S-MaxAge=5", true),
            ("x-max-age=5", false), ("public, s-maxage=0, no-transform", true), ("max-age", false),
        ] as [(String?, Bool)]
    )
    func maxAge(_ cacheControl: String?, _ expected: Bool) {
        let caching = OriginCaching(
            cacheControl: cacheControl,
            expires: nil,
            cacheStatus: nil,
            age: .zero,
            since: .now
        )
        #expect(caching.hasMaxAge == expected)
    }

    @Test(
        "an answer grows older by what has passed since it came, and no older than the field can say",
        arguments: [
            (0, 5, 5), (7, 5, 12), (7, -5, 7), (.max, 5, 1 << 31), (1 << 31, 0, 1 << 31),
        ] as [(Int64, Int64, Int64)]
    )
    func age(initial: Int64, passed: Int64, expected: Int64) {
        let now = ContinuousClock.now
        let caching = OriginCaching(
            cacheControl: nil,
            expires: nil,
            cacheStatus: nil,
            age: .seconds(initial),
            since: now
        )
        #expect(caching.age(at: now + .seconds(passed)) == expected)
    }
}
