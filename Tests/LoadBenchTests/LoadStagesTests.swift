import LoadBench
import Testing

@Suite struct LoadStagesTests {
    @Test("between two stages the load is on a straight line from 0")
    func line() throws {
        let stages = try #require(LoadStages("0:10s,20:30s,50:30s,0:10s"))
        #expect(stages.duration == .seconds(80))
        #expect(stages.highest == 50)
        let expected = [(0, 0), (10, 0), (25, 10), (40, 20), (55, 35), (70, 50), (75, 25), (80, 0), (1000, 0)]
        for (second, level) in expected { #expect(stages.level(at: .seconds(second)) == level) }
    }

    @Test("a stage without a time is a jump")
    func jump() throws {
        let stages = try #require(LoadStages("10:0s,10:5s"))
        #expect(stages.level(at: .zero) == 10)
        #expect(stages.level(at: .seconds(5)) == 10)
    }

    @Test("a number of players for a time is the same all along")
    func constant() {
        let stages = LoadStages(7, for: .seconds(3))
        for time in [0, 1, 3] { #expect(stages.level(at: .seconds(time)) == 7) }
        #expect(stages.description == "7 for 3s")
    }

    @Test(
        "a warm-up is as many for a second as the first stage has that has any",
        arguments: [
            ("0:10s,5:1m,50:1m", "5 for 1s"), ("7:0s,7:300ms", "7 for 300ms"),
        ]
    )
    func warmUp(_ text: String, _ expected: String) throws {
        #expect(try #require(LoadStages(text)).warmUp.description == expected)
    }

    @Test("stages are written as they are read", arguments: ["0:10s,20:30s,0:1m", "5:1500ms"])
    func description(_ text: String) throws {
        #expect(try #require(LoadStages(text)).description == text)
    }

    @Test(
        "what are no stages is refused",
        arguments: [
            "", "10", "10:", ":10s", "10:10", "-1:10s", "+1:10s", "1:10s,", "1:10s,,2:10s", "1 :10s", "1:10s:3", "0:0s",
            "1:25h", "1:13h,1:13h", "2000000:1s", "99999999999999999999:1s", "1:99999999999999999999s",
        ]
    )
    func refused(_ text: String) {
        #expect(LoadStages(text) == nil)
    }
}

@Suite struct RequestPaceTests {
    @Test("requests are due at the rate, however late they are taken")
    func rate() {
        var pace = RequestPace(perSecond: 50)
        pace.resume(at: .zero)
        let due = (0..<4).map { _ in pace.take() }
        #expect(due == [.zero, .milliseconds(20), .milliseconds(40), .milliseconds(60)])
        #expect(pace.missed(at: .milliseconds(79)) == 0)
        #expect(pace.missed(at: .milliseconds(101)) == 2)
    }

    @Test("nothing is due while there is nobody to ask")
    func resume() {
        var pace = RequestPace(perSecond: 10)
        pace.resume(at: .seconds(3))
        #expect(pace.take() == .seconds(3))
        pace.resume(at: .seconds(1))
        #expect(pace.take() == .milliseconds(3100))
    }

    @Test("what was not sent before there was nobody to ask is missed, and nothing after that")
    func pause() {
        var pace = RequestPace(perSecond: 50)
        #expect(pace.missed(at: .seconds(5)) == 0)
        pace.resume(at: .seconds(5))
        for _ in 0..<3 { _ = pace.take() }
        // 5.06 s, 5.08 s and 5.1 s.
        pace.pause(at: .milliseconds(5101))
        pace.pause(at: .milliseconds(5500))
        #expect(pace.missed(at: .seconds(65)) == 3)
        pace.resume(at: .seconds(65))
        #expect(pace.take() == .seconds(65))
        #expect(pace.missed(at: .milliseconds(65_019)) == 3)
        #expect(pace.missed(at: .milliseconds(65_021)) == 4)
    }

    @Test("what a connection gives back is sent by another one, or missed if it was due")
    func giveBack() {
        var pace = RequestPace(perSecond: 10)
        pace.resume(at: .zero)
        let due = (0..<3).map { _ in pace.take() }
        pace.giveBack(due[1])
        #expect(pace.missed(at: .milliseconds(99)) == 0)
        #expect(pace.missed(at: .milliseconds(101)) == 1)
        #expect(pace.take() == .milliseconds(100))
        pace.giveBack(due[1])
        pace.giveBack(due[2])
        pace.pause(at: .milliseconds(150))
        #expect(pace.missed(at: .seconds(9)) == 1)
        pace.giveBack(.milliseconds(140))
        pace.giveBack(.milliseconds(160))
        #expect(pace.missed(at: .seconds(9)) == 2)
        pace.resume(at: .seconds(9))
        #expect(pace.take() == .seconds(9))
    }
}

@Suite struct BitRateTests {
    @Test(
        "a bit rate is a number and a unit",
        arguments: [("5Mbit/s", 625_000), ("800kbit/s", 100_000), ("1Gbit/s", 125_000_000)] as [(String, Int64)]
    )
    func read(_ text: String, _ bytes: Int64) throws {
        let rate = try #require(BitRate(text))
        #expect(rate.bytesPerSecond == bytes)
        #expect(rate.description == text)
    }

    @Test(
        "what is no bit rate is refused",
        arguments: [
            "", "5", "5Mb/s", "0Mbit/s", "-1Mbit/s", "1.5Mbit/s", "5 Mbit/s", "1001Gbit/s", "9999999999999999999kbit/s",
        ]
    )
    func refused(_ text: String) {
        #expect(BitRate(text) == nil)
    }
}
