import FoundationEssentials
import NIOCore
import NIOPosix

/// Where films come from when they are not named one by one.
package enum LoadCatalogue {
    private static let answerLimit = 64 << 20

    /// The lines of a file, without blanks around them, empty ones and those that begin with `#`.
    ///
    /// - Throws: ``LoadRefusal`` if it cannot be read or a line is no address.
    package static func read(file path: String) throws(LoadRefusal) -> [LoadTarget] {
        guard let content = try? Data(contentsOf: URL(filePath: path)) else {
            throw LoadRefusal("cannot read \(path)", .failed)
        }
        var targets: [LoadTarget] = []
        let lines = String(decoding: content, as: UTF8.self).split(
            omittingEmptySubsequences: false,
            whereSeparator: \.isNewline
        )
        for (index, line) in lines.enumerated() {
            let text = String(line.trimmed)
            if text.isEmpty || text.hasPrefix("#") { continue }
            guard let target = LoadTarget(text) else {
                throw LoadRefusal("\(path):\(index + 1): not \(LoadTarget.expectation)", .wrongUsage)
            }
            targets.append(target)
        }
        return targets
    }

    /// The films of a folder of a gateway, from its listing as JSON.
    ///
    /// - Throws: ``LoadRefusal`` if there is no such listing, or no film in it.
    package static func list(_ folder: LoadTarget, on server: LoadServer) async throws -> [LoadTarget] {
        let answer: LoadFetch.Answer
        do {
            answer = try await LoadFetch.get(
                folder.path,
                .whole,
                accept: "application/json",
                from: server,
                on: MultiThreadedEventLoopGroup.singleton.any(),
                limit: answerLimit,
                patience: .seconds(60)
            )
        } catch let failure as LoadFailure {
            let advice = isRedirect(failure, of: folder) ? "; add the slash at its end" : ""
            throw LoadRefusal("the address of --listing has no listing: \(failure.detail)\(advice)", .failed)
        }
        let films = try films(in: Array(answer.bytes.readableBytesView), of: folder)
        guard !films.isEmpty else { throw LoadRefusal("no video and no music in the listing", .failed) }
        return films
    }

    /// Whether the answer leads elsewhere, as one does to a folder without its slash.
    private static func isRedirect(_ failure: LoadFailure, of folder: LoadTarget) -> Bool {
        guard case .status(301...308) = failure.kind else { return false }
        return !folder.path.prefix { $0 != "?" }.hasSuffix("/")
    }

    /// - Throws: ``LoadRefusal`` unless `listing` is one.
    package static func films(in listing: [UInt8], of folder: LoadTarget) throws(LoadRefusal) -> [LoadTarget] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let document = try? decoder.decode(Listing.self, from: Data(listing)) else {
            throw LoadRefusal("the address of --listing has no listing as JSON", .failed)
        }
        return document.entries.filter(\.isFilm).compactMap { folder.following($0.url) }
    }
}

extension Substring {
    /// Without blanks at its ends.
    fileprivate var trimmed: Substring {
        let isBlank = { (character: Character) in character == " " || character == "\t" }
        var text = drop(while: isBlank)
        while let last = text.last, isBlank(last) { text.removeLast() }
        return text
    }
}

/// As much of a listing as is needed.
private struct Listing: Decodable {
    let entries: [Entry]

    struct Entry: Decodable {
        let type: String
        let size: Int64?
        let url: String
        let mediaType: String?

        var isFilm: Bool {
            guard type == "file", size != 0, let mediaType else { return false }
            return mediaType.hasPrefix("video/") || mediaType.hasPrefix("audio/")
        }
    }
}
