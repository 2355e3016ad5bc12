import Glibc
import SourcePlugins

/// HTTP-date (RFC 9110 §5.6.7), in whole seconds since 1970.
package enum HTTPDate {
    /// IMF-fixdate, as `Sun, 06 Nov 1994 08:49:37 GMT`.
    ///
    /// - Returns: `nil` for a year the C library cannot express.
    package static func format(seconds: Int64) -> String? {
        var time = time_t(seconds)
        var parts = tm()
        guard gmtime_r(&time, &parts) != nil else { return nil }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text -> String? in
            guard let start = text.baseAddress else { return nil }
            let length = strftime(start, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
            guard length > 0 else { return nil }
            return String(decoding: text.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }

    /// Parses all three forms that a recipient must accept; `nil` for anything else.
    ///
    /// A year of two digits is the one of that ending that is at most 50 years after 2026.
    package static func parse(_ text: String) -> Int64? {
        guard text.utf8.count <= 64 else { return nil }
        let words = text.split(whereSeparator: { $0 == " " || $0 == "," || $0 == "-" })
        let day: Substring
        let month: Substring
        let year: Substring
        let time: Substring
        if words.count == 6, words[5] == "GMT" {
            (day, month, year, time) = (words[1], words[2], words[3], words[4])
        } else if words.count == 5 {
            // asctime: the month comes first and the year last.
            (day, month, year, time) = (words[2], words[1], words[4], words[3])
        } else {
            return nil
        }
        let clock = time.split(separator: ":", omittingEmptySubsequences: false)
        guard weekdays.contains(where: { words[0].hasPrefix($0) }), let month = months.firstIndex(of: month),
            let day = number(day, 1...31), var year = number(year, 0...9999), clock.count == 3,
            let hour = number(clock[0], 0...23), let minute = number(clock[1], 0...59),
            let second = number(clock[2], 0...60)
        else { return nil }
        if year < 100 { year += year <= 76 ? 2000 : 1900 }
        var parts = tm()
        (parts.tm_mday, parts.tm_mon, parts.tm_year) = (day, Int32(month), year - 1900)
        (parts.tm_hour, parts.tm_min, parts.tm_sec) = (hour, minute, second)
        return Int64(timegm(&parts))
    }

    private static let weekdays: [Substring] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months: [Substring] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func number(_ text: Substring, _ range: ClosedRange<Int32>) -> Int32? {
        guard text.utf8.count <= 4, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int32(text),
            range.contains(number)
        else { return nil }
        return number
    }
}
