import Gateway
import Testing

struct CacheStatusTests {
    @Test(
        "the member of the gateway comes last, in the order of RFC 9211",
        arguments: [
            (CacheStatus(isHit: true, timeToLive: -3), [], "edge; hit; ttl=-3"),
            (
                CacheStatus(forward: .uriMiss, isStored: true), ["origin; fwd=miss"],
                "origin; fwd=miss, edge; fwd=uri-miss; stored"
            ),
            (
                CacheStatus(forward: .stale, forwardStatus: 304, isStored: true, isCollapsed: true), ["a", "b"],
                "a, b, edge; fwd=stale; fwd-status=304; stored; collapsed"
            ),
            (CacheStatus(forward: .bypass), [], "edge; fwd=bypass"),
        ]
    )
    func value(status: CacheStatus, others: [String], expected: String) {
        #expect(status.value("edge", behind: others) == expected)
    }

    @Test(
        "metrics count it as what it was for the origin",
        arguments: [
            (CacheStatus(isHit: true), CacheOutcome.hit), (CacheStatus(forward: .method), .bypass),
            (CacheStatus(forward: .bypass), .bypass),
            (CacheStatus(forward: .uriMiss), .miss), (CacheStatus(forward: .uriMiss, isCollapsed: true), .partial),
            (CacheStatus(forward: .stale), .miss),
        ]
    )
    func outcome(status: CacheStatus, expected: CacheOutcome) {
        #expect(status.outcome == expected)
    }
}
