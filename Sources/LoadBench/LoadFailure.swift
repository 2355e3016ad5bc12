/// What was wrong with one request.
package struct LoadFailure: Error, Sendable, Equatable {
    package enum Kind: Hashable, Sendable {
        /// Nobody listens there.
        case refused
        /// There is no connection for another reason.
        case unreachable
        /// No byte for as long as a client waits.
        case timeout
        /// The connection ended before the answer's head.
        case closed
        /// The body ended before its length.
        case shortBody
        /// Not HTTP, or more bytes than the answer has.
        case malformed
        /// Another status than the one that is right.
        case status(Int)
        /// Another `Content-Length` than the range's.
        case length
        /// Another `Content-Range` than the one asked for.
        case range
        /// Other bytes than there should be.
        case wrongBytes
        /// A film that a viewer waited for, and that did not begin.
        case noPicture
    }

    package let kind: Kind
    /// One line, and nothing that a terminal would obey or that is not seen.
    package let detail: String

    private static let longest = 300

    /// - Parameter detail: may quote what the server sent.
    package init(_ kind: Kind, _ detail: String) {
        self.kind = kind
        var text = String.UnicodeScalarView()
        for scalar in detail.unicodeScalars.prefix(Self.longest) {
            switch scalar.properties.generalCategory {
            // Format is what turns the direction of text, too.
            case .control, .format, .lineSeparator, .paragraphSeparator: text.append("\u{FFFD}")
            default: text.append(scalar)
            }
        }
        self.detail = String(text)
    }
}

extension LoadFailure.Kind: CustomStringConvertible {
    package var description: String {
        switch self {
        case .refused: "refused"
        case .unreachable: "unreachable"
        case .timeout: "timeout"
        case .closed: "closed"
        case .shortBody: "short body"
        case .malformed: "malformed"
        case .status(let status): "status \(status)"
        case .length: "wrong length"
        case .range: "wrong range"
        case .wrongBytes: "wrong bytes"
        case .noPicture: "no picture"
        }
    }
}
