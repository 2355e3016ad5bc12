import NIOCore
import SourceContract
import SourcePlugins

/// A body that is given part by part, and tells how far it was taken.
final class PartsBody: ForwardedBody {
    struct Progress: Sendable {
        var taken = 0
        var isCancelled = false
    }

    let length: Int64?
    let progress = Observed(Progress())
    private let gate: Gate
    private let part: @Sendable (Int) throws -> ByteBuffer?

    /// - Parameters:
    ///   - gate: is passed before each part but the first.
    ///   - part: the part of that number; `nil` at the end.
    init(length: Int64?, gate: Gate = Gate(isOpen: true), _ part: @escaping @Sendable (Int) throws -> ByteBuffer?) {
        self.length = length
        self.gate = gate
        self.part = part
    }

    convenience init(_ parts: [String], length: Int64? = nil, gate: Gate = Gate(isOpen: true)) {
        self.init(length: length, gate: gate) { $0 < parts.count ? ByteBuffer(string: parts[$0]) : nil }
    }

    func next() async throws -> ByteBuffer? {
        let number = progress.value.taken
        do {
            if number > 0 { try await gate.pass() }
            try Task.checkCancellation()
        } catch {
            progress.update { $0.isCancelled = true }
            throw error
        }
        progress.update { $0.taken += 1 }
        return try part(number)
    }
}
