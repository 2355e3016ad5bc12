package import Config

/// A kind of source that configuration can name, and how to make one from its `[options]`.
package struct SourceKind: Sendable {
    package let name: String
    private let makeSource: @Sendable (SectionReader, SourceContext) -> (any MediaSource)?

    /// - Parameter make: reads the kind's own settings, reports every fault through the reader, and returns `nil` if
    ///   there was one. It does no I/O. Keys that it does not read are errors; the caller sees to that.
    package init(
        _ name: String,
        make: @escaping @Sendable (SectionReader, SourceContext) -> (any MediaSource)?
    ) {
        self.name = name
        self.makeSource = make
    }

    /// Makes the source that `options` describe; `nil` if they have a fault, which the reader has then reported.
    package func make(options: SectionReader, context: SourceContext) -> (any MediaSource)? {
        let source = makeSource(options, context)
        options.finish()
        return source
    }

    /// Every kind this build has. A new kind is a line here.
    package static let builtIn: [SourceKind] = [.disk, .http, .torrent]
}
