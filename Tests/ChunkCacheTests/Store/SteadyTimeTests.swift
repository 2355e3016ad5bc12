import ChunkCache
import Testing

@Suite("The time of day for ages")
struct SteadyTimeTests {
    private static let second: Int64 = 1_000_000_000
    private static let start: Int64 = 1_764_000_000 * second
    private static let year: Int64 = 365 * 86_400 * second

    /// What time it is taken for when the clock is `step` off, at seconds since the first look, as seconds since then.
    private static func times(at moments: [Int64], step: (Int64) -> Int64) -> [Int64] {
        var time = SteadyTime()
        _ = time.time(clock: start, uptime: 50 * second)
        return moments.map { moment in
            let clock = start + moment * second + step(moment)
            return (time.time(clock: clock, uptime: (50 + moment) * second) - start) / second
        }
    }

    @Test("it follows a clock that is corrected by seconds")
    func correction() {
        #expect(Self.times(at: [10, 20, 30]) { _ in 59 * Self.second } == [69, 79, 89])
        #expect(Self.times(at: [10, 20, 30]) { -$0 * Self.second / 2 } == [5, 10, 15])
    }

    @Test("a step of hours or years counts after ten minutes", arguments: [-7200 * second, 10 * year, -40 * year])
    func step(by step: Int64) {
        let times = Self.times(at: [1, 300, 600, 601, 700]) { _ in step }
        #expect(times == [1, 300, 600, 601 + step / Self.second, 700 + step / Self.second])
    }

    @Test("a clock that comes back before that was never away, and its next step has ten minutes of its own")
    func back() {
        let times = Self.times(at: [1, 500, 550, 600, 1100]) { $0 == 550 ? 0 : Self.year }
        #expect(times == [1, 500, 550, 600, 1100])
    }

    @Test("a clock that runs sixty times as fast is not followed")
    func fast() {
        let moments = (1...100).map { Int64($0 * 60) }
        #expect(Self.times(at: moments) { $0 * 59 * Self.second } == moments)
    }

    @Test("a clock that stands, wherever, is not followed", arguments: [Int64.min, .max, 0])
    func standing(clock: Int64) {
        var time = SteadyTime()
        _ = time.time(clock: Self.start, uptime: 0)
        #expect(time.time(clock: clock, uptime: Self.second) == Self.start + Self.second)
        #expect(time.time(clock: clock, uptime: 700 * Self.second) == Self.start + 700 * Self.second)
    }
}
