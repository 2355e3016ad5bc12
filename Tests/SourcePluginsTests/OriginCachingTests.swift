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
            since: Timestamp(nanoseconds: 0)
        )
        #expect(caching.hasMaxAge == expected)
    }
}
