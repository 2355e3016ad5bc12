import Glibc

/// Writes points in time as RFC 3339 with milliseconds in UTC, such as `2026-01-31T23:59:59.123Z`.
///
/// Remembers the second it wrote last: log lines of one second differ in the milliseconds only.
struct TimestampText {
    private var second: Int64?
    private var text: [UInt8] = []

    /// - Parameter nanoseconds: since 1970-01-01 00:00:00 UTC.
    mutating func append(_ nanoseconds: Int64, to bytes: inout [UInt8]) {
        let (second, rest) = Self.floorDivide(nanoseconds, by: 1_000_000_000)
        if second != self.second {
            self.second = second
            text.removeAll(keepingCapacity: true)
            Self.append(second: second, to: &text)
        }
        bytes.append(contentsOf: text)
        Digits.append(rest / 1_000_000, width: 3, to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// Now, in nanoseconds since 1970, by the system's clock.
    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let (scaled, overflow) = Int64(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : scaled &+ Int64(time.tv_nsec)
    }

    /// Up to the point before the milliseconds.
    private static func append(second: Int64, to bytes: inout [UInt8]) {
        let (day, secondOfDay) = floorDivide(second, by: 86400)
        let date = civilDate(day)
        Digits.append(date.year, width: 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Digits.append(date.month, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Digits.append(date.day, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        Digits.append(secondOfDay / 3600, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Digits.append(secondOfDay / 60 % 60, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Digits.append(secondOfDay % 60, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: "."))
    }

    /// The Gregorian date of a day counted from 1970-01-01.
    ///
    /// Years start in March here, so that a leap day is the last day of its year; an era is the 400 years after which
    /// the calendar repeats. 719,468 days lie between 0000-03-01 and 1970-01-01.
    private static func civilDate(_ day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floorDivide(day + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let isNextYear = month >= 10
        return (
            year: era * 400 + yearOfEra + (isNextYear ? 1 : 0),
            month: isNextYear ? month - 9 : month + 3,
            day: dayOfYear - (153 * month + 2) / 5 + 1
        )
    }

    private static func floorDivide(_ value: Int64, by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
