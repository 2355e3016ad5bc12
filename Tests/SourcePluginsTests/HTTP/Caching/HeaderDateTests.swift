import SourcePlugins
import Testing

@Suite("HeaderDate")
struct HeaderDateTests {
    private static let now = Timestamp(seconds: 1_787_659_200)

    @Test(
        "all three forms are read, in any case",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("Sun Nov 16 08:49:37 1994", 784_975_777),
            ("sUN, 06 nOV 1994 08:49:37 gmt", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
            ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
            ("Sat, 01 Jan 0000 00:00:00 GMT", -62_167_219_200),
        ]
    )
    func read(text: String, seconds: Int64) {
        #expect(HeaderDate.parse(text, now: Self.now) == seconds)
    }

    @Test(
        "anything else is no date",
        arguments: [
            "", "0", "-1", "Sun", "Sun, ", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT", "Sun,06 Nov 1994 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Wed, 29 Feb 2023 00:00:00 GMT",
            "Thu, 29 Feb 1900 00:00:00 GMT", "Sun, 06 Nev 1994 08:49:37 GMT", "Sum, 06 Nov 1994 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 1994 GMT", "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 06  Nov 1994 08:49:37 GMT", "Sun, ٠٦ Nov 1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z", String(repeating: "Sun, ", count: 100),
        ]
    )
    func refused(text: String) {
        #expect(HeaderDate.parse(text, now: Self.now) == nil)
    }

    @Test(
        "a year of two digits is at most 50 years ahead",
        arguments: [
            (2026, "76", 2076), (2026, "77", 1977), (2026, "26", 2026), (2026, "27", 2027), (2026, "00", 2000),
            (2060, "09", 2109), (2060, "10", 2110), (2060, "11", 2011), (1999, "50", 1950), (1999, "49", 2049),
        ]
    )
    func twoDigits(thisYear: Int, ending: String, year: Int) throws {
        let start = try #require(HeaderDate.parse("Thu, 01 Jan \(thisYear) 00:00:00 GMT", now: Self.now))
        let expected = try #require(HeaderDate.parse("Thu, 18 Aug \(year) 02:01:18 GMT", now: Self.now))
        let text = "Thursday, 18-Aug-\(ending) 02:01:18 GMT"
        #expect(HeaderDate.parse(text, now: Timestamp(seconds: start)) == expected)
    }

    @Test("what is written is read again, and names its weekday")
    func written() {
        for seconds in stride(from: Int64(-3_000_000_000), to: 9_000_000_000, by: 7_654_321) {
            #expect(HeaderDate.parse(HeaderDate.format(seconds: seconds), now: Self.now) == seconds)
        }
        #expect(HeaderDate.format(seconds: 784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HeaderDate.format(seconds: -1) == "Wed, 31 Dec 1969 23:59:59 GMT")
        #expect(HeaderDate.format(seconds: 951_782_400) == "Tue, 29 Feb 2000 00:00:00 GMT")
    }

    @Test("a time that no date has becomes the nearest one", arguments: [Int64.min, Int64.max])
    func extremes(seconds: Int64) {
        let text = HeaderDate.format(seconds: seconds)
        #expect(text.utf8.count == 29)
        #expect(HeaderDate.parse(text, now: Self.now) == (seconds < 0 ? -62_167_219_200 : 253_402_300_799))
    }
}
