import Gateway
import LoadBench

extension LoadTarget {
    /// The path as it may be printed and kept: without signatures, tokens and magnet links.
    var shownPath: String { redacted(target: path) }

    /// The whole address likewise.
    var shown: String { "http://\(authority)\(shownPath)" }
}
