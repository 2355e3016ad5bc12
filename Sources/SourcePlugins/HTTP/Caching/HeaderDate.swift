/// HTTP-date (RFC 9110 §5.6.7) in whole seconds since 1970.
package enum HeaderDate {
    /// Parses the three forms that a recipient accepts, in any case (RFC 9111 §4.2), and nothing beside them.
    ///
    /// - Parameter now: what a year of two digits is near to: it is at most 50 years after this.
    /// - Returns: `nil` if `text` is no date, or has another zone than GMT.
    package static func parse(_ text: String, now: Timestamp) -> Int64? {
        guard text.utf8.count <= 40 else { return nil }
        var reader = DateReader(text)
        let date: CivilDate?
        if reader.skip(anyOf: DateReader.longWeekdays) {
            let thisYear = CivilDate.split(seconds: now.seconds).year
            date = reader.obsoleteDate(latestYear: thisYear + 50)
        } else if reader.skip(anyOf: DateReader.weekdays) {
            date = reader.skip(", ") ? reader.fixedDate() : reader.asctimeDate()
        } else {
            date = nil
        }
        return reader.isAtEnd ? date?.seconds : nil
    }

    /// IMF-fixdate, as `Sun, 06 Nov 1994 08:49:37 GMT`. Years outside of 0 to 9999 become the nearest within.
    package static func format(seconds: Int64) -> String {
        let bounded = min(max(seconds, -62_167_219_200), 253_402_300_799)
        let (days, second) = CivilDate.days(ofSeconds: bounded)
        let date = CivilDate.split(seconds: bounded)
        let weekday = capitalised(DateReader.weekdays[Int((days % 7 + 11) % 7)])
        let month = capitalised(DateReader.months[Int(date.month - 1)])
        let time = [second / 3600, second / 60 % 60, second % 60].map { padded($0, 2) }.joined(separator: ":")
        return "\(weekday), \(padded(date.day, 2)) \(month) \(padded(date.year, 4)) \(time) GMT"
    }

    private static func capitalised(_ name: String) -> String { name.prefix(1).uppercased() + name.dropFirst() }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(width - digits.utf8.count, 0)) + digits
    }
}

/// A day of the Gregorian calendar and a second of it.
private struct CivilDate {
    var year: Int64
    var month: Int64
    var day: Int64
    var secondOfDay: Int64

    /// - Returns: `nil` if there is no such day.
    init?(year: Int64, month: Int64, day: Int64, secondOfDay: Int64) {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let length: Int64 = month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
        guard (0...9999).contains(year), (1...12).contains(month), (1...length).contains(day) else { return nil }
        (self.year, self.month, self.day, self.secondOfDay) = (year, month, day, secondOfDay)
    }

    /// Since 1970. Years are counted from March here, so that the leap day is the last.
    var seconds: Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return (era * 146_097 + dayOfEra - 719_468) * 86_400 + secondOfDay
    }

    static func days(ofSeconds seconds: Int64) -> (days: Int64, second: Int64) {
        let (days, second) = seconds.quotientAndRemainder(dividingBy: 86_400)
        return second < 0 ? (days - 1, second + 86_400) : (days, second)
    }

    /// The date at `seconds`, the inverse of ``seconds``.
    static func split(seconds: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days(ofSeconds: seconds).days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}

/// Takes a date apart from its start. What is missing makes the result `nil`.
private struct DateReader {
    static let weekdays = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
    static let longWeekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
    static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

    private var rest: ArraySlice<UInt8>

    init(_ text: String) {
        rest = text.utf8.map { FieldSyntax.lowercased($0) }[...]
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ text: String) -> Bool {
        guard rest.starts(with: text.utf8) else { return false }
        rest = rest.dropFirst(text.utf8.count)
        return true
    }

    mutating func skip(anyOf texts: [String]) -> Bool {
        texts.contains { skip($0) }
    }

    /// `06 Nov 1994 08:49:37 GMT`
    mutating func fixedDate() -> CivilDate? {
        guard let day = number(2), skip(" "), let month = month(), skip(" "), let year = number(4), skip(" "),
            let second = time(), skip(" gmt")
        else { return nil }
        return CivilDate(year: year, month: month, day: day, secondOfDay: second)
    }

    /// `, 06-Nov-94 08:49:37 GMT`
    mutating func obsoleteDate(latestYear: Int64) -> CivilDate? {
        guard skip(", "), let day = number(2), skip("-"), let month = month(), skip("-"), let ending = number(2),
            skip(" "), let second = time(), skip(" gmt")
        else { return nil }
        // The latest year of that ending.
        let year = latestYear - ((latestYear - ending) % 100 + 100) % 100
        return CivilDate(year: year, month: month, day: day, secondOfDay: second)
    }

    /// ` Nov  6 08:49:37 1994`
    mutating func asctimeDate() -> CivilDate? {
        guard skip(" "), let month = month(), skip(" "), let day = skip(" ") ? number(1) : number(2), skip(" "),
            let second = time(), skip(" "), let year = number(4)
        else { return nil }
        return CivilDate(year: year, month: month, day: day, secondOfDay: second)
    }

    private mutating func month() -> Int64? {
        for (index, name) in Self.months.enumerated() where skip(name) { return Int64(index) + 1 }
        return nil
    }

    /// The second of the day; 60 stands for a leap second.
    private mutating func time() -> Int64? {
        guard let hour = number(2), hour < 24, skip(":"), let minute = number(2), minute < 60, skip(":"),
            let second = number(2), second <= 60
        else { return nil }
        return hour * 3600 + minute * 60 + second
    }

    private mutating func number(_ count: Int) -> Int64? {
        let digits = rest.prefix(count)
        guard digits.count == count, digits.allSatisfy(FieldSyntax.isDigit) else { return nil }
        rest = rest.dropFirst(count)
        return digits.reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
    }
}
