/// How many requests are allowed in what time, as configuration writes it: `"10/min"`, or `"off"`.
package enum RequestLimit: Sendable, Hashable {
    case off
    /// At least one.
    case rate(Int, per: Period)

    package enum Period: String, Sendable, CaseIterable {
        case second = "s"
        case minute = "min"
        case hour = "h"

        package var duration: Duration {
            switch self {
            case .second: .seconds(1)
            case .minute: .seconds(60)
            case .hour: .seconds(3600)
            }
        }
    }

    /// What messages say a limit looks like.
    static let expectation = "a number from 1 to 1000000 and a time such as \"10/min\" (s, min, h), or \"off\""

    /// - Returns: `nil` for anything else, blanks included.
    package init?(_ text: String) {
        if text == "off" {
            self = .off
            return
        }
        guard let (count, rest) = splitNumber(text), (1...1_000_000).contains(count), rest.hasPrefix("/"),
            let period = Period(rawValue: String(rest.dropFirst()))
        else { return nil }
        self = .rate(Int(count), per: period)
    }
}

extension RequestLimit: CustomStringConvertible {
    package var description: String {
        switch self {
        case .off: "off"
        case .rate(let count, let period): "\(count)/\(period.rawValue)"
        }
    }
}
