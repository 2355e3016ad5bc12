import Foundation
import Synchronization

/// Progress on standard error: a bar that moves on a terminal, a line now and then elsewhere.
final class ProgressBar: Sendable {
    private struct State {
        var shown: ContinuousClock.Instant?
        var isDrawn = false
    }

    let isTerminal = isatty(STDERR_FILENO) != 0
    private let started = ContinuousClock.now
    private let state = Mutex(State())

    /// - Parameter text: makes a line for the time that has passed, and for the width of the terminal if it is one, to which
    ///   it is cut.
    func show(_ text: (_ elapsed: Duration, _ width: Int?) -> String) {
        let now = ContinuousClock.now
        let pause: Duration = isTerminal ? .milliseconds(100) : .seconds(10)
        let isDue = state.withLock { state in
            guard now - (state.shown ?? started) >= pause else { return false }
            state.shown = now
            state.isDrawn = isTerminal
            return true
        }
        guard isDue else { return }
        let width = isTerminal ? Self.width : nil
        let text = text(now - started, width)
        guard let width else { return write("\(text)\n") }
        // A column short of the edge, where some terminals wrap; and erases what a longer line left.
        write("\r\(text.prefix(max(width - 1, 0)))\u{1B}[K")
    }

    /// Prints a line that stays: above the bar on a terminal, to standard output elsewhere.
    func note(_ line: String) {
        guard isTerminal else { return FileHandle.standardOutput.write(Data(line.utf8)) }
        end()
        write(line)
    }

    /// Takes the bar away.
    func end() {
        let wasDrawn = state.withLock { state in
            defer { (state.isDrawn, state.shown) = (false, nil) }
            return state.isDrawn
        }
        if wasDrawn { write("\r\u{1B}[K") }
    }

    /// The terminal may be gone, of which nobody wants to know then.
    private func write(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }

    private static var width: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}
