package import Config
import FoundationEssentials

/// Has a running gateway bring in an item. Blocks; for the command line.
package struct RemoteItems: Sendable {
    private let client: AdminClient
    private let mount: String

    /// - Parameters:
    ///   - address: of the data listener.
    ///   - mount: of the source, with a slash at its end.
    package init(address: ListenAddress, mount: String) {
        client = AdminClient(address: address)
        self.mount = mount
    }

    /// - Parameters:
    ///   - text: a magnet link or an info-hash.
    /// - Returns: the path of the URL of what a player most likely wants.
    /// - Throws: ``RemoteItemsError``.
    package func add(_ text: String) throws(RemoteItemsError) -> String {
        try add(type: "text/plain; charset=utf-8", Array(text.utf8))
    }

    /// - Parameters:
    ///   - file: the content of a .torrent file.
    package func add(file: [UInt8]) throws(RemoteItemsError) -> String {
        try add(type: "application/x-bittorrent", file)
    }

    private func add(type: String, _ body: [UInt8]) throws(RemoteItemsError) -> String {
        let answer: AdminClient.Answer?
        do {
            answer = try client.request("POST", mount, body: (type, body))
        } catch {
            throw RemoteItemsError(.unavailable, error.description)
        }
        guard let answer else {
            throw RemoteItemsError(.unavailable, "no gateway answers on \(client.address); start one with serve")
        }
        guard (200..<300).contains(answer.status) else {
            let problem = try? JSONDecoder().decode(ProblemDetails.self, from: Data(answer.body))
            throw RemoteItemsError(.refused, problem?.detail ?? "the gateway answers \(answer.status)")
        }
        guard let item = try? JSONDecoder().decode(Item.self, from: Data(answer.body)) else {
            throw RemoteItemsError(.unavailable, "what answers on \(client.address) is not a gateway of this version")
        }
        guard let file = item.largest("video/") ?? item.largest("audio/") else {
            throw RemoteItemsError(.refused, "there is nothing to play in \(singleLine(item.name))")
        }
        return file.url
    }

    private struct Item: Decodable {
        struct File: Decodable {
            let url: String
            let type: String
            let length: Int64
        }

        let name: String
        let files: [File]

        func largest(_ kind: String) -> File? {
            files.filter { $0.type.hasPrefix(kind) }.max { $0.length < $1.length }
        }
    }
}

/// Why a gateway did not bring in an item.
package struct RemoteItemsError: Error, CustomStringConvertible {
    package enum Code: Sendable {
        /// No gateway, or none that can be asked.
        case unavailable
        /// It says no.
        case refused
    }

    package let code: Code
    package let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
