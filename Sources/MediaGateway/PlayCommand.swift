import ArgumentParser
import Config
import Foundation
import Gateway

struct PlayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "play",
        abstract: "Has the running gateway bring in a torrent, and prints the URL of its largest video.",
        discussion: """
            media-gateway play 'magnet:?xt=urn:btih:…'
            media-gateway play film.torrent --player mpv

            Finds the gateway by the configuration, or asks the one at --url.

            Exits with 0 when the URL was printed, 1 if the gateway refuses or there is nothing to play, 64 for wrong \
            usage, 69 if no gateway answers, 78 for a bad configuration; with a player, with the player's own status.
            """
    )

    @Argument(help: "A magnet link, an info-hash, or the path of a .torrent file.")
    var torrent: String

    @Option(help: ArgumentHelp("Starts this program with the URL.", valueName: "program"))
    var player: String?

    @Option(help: "The address of the gateway, with the path of the mount unless it is /torrent/.")
    var url: String?

    @OptionGroup var options: ConfigOptions

    func validate() throws {
        if let url, Place(url: url) == nil {
            throw ValidationError("--url is an address such as http://127.0.0.1:8080.")
        }
    }

    func run() throws {
        let place = try url.flatMap { Place(url: $0) } ?? configuredPlace()
        let items = RemoteItems(address: place.address, mount: place.mount)
        do {
            let path = try isFile ? items.add(file: content()) : items.add(torrent)
            let url = "http://\(place.address)\(path)"
            print(url)
            if let player { try start(player, url) }
        } catch let error as RemoteItemsError {
            complain("\(error)")
            throw error.code == .unavailable ? ExitCode.unavailable : ExitCode.failure
        }
    }

    /// Where the gateway of the configuration is.
    private func configuredPlace() throws -> Place {
        let setup = options.load()
        guard setup.isValid else {
            printDiagnostics(setup)
            throw ExitCode.badConfiguration
        }
        guard let mount = setup.itemMount else {
            complain("\(options.place) has no enabled source that holds torrents")
            throw ExitCode.badConfiguration
        }
        let listens = setup.config.server.listen.lazy
        guard let address = listens.compactMap({ $0.reachable }).first else {
            complain("server.listen in \(options.place) has no TCP address with a port; name the gateway with --url")
            throw ExitCode.unavailable
        }
        return Place(address: address, mount: mount)
    }

    // MARK: - The torrent

    private var isFile: Bool {
        !torrent.lowercased().hasPrefix("magnet:") && FileManager.default.fileExists(atPath: torrent)
    }

    private func content() throws -> [UInt8] {
        do {
            return Array(try Data(contentsOf: URL(filePath: torrent)))
        } catch {
            complain("\(torrent) cannot be read")
            throw ExitCode.failure
        }
    }

    private func start(_ player: String, _ url: String) throws {
        // The line must be out before another program takes this one's place.
        fflush(nil)
        let arguments: [UnsafeMutablePointer<CChar>?] = [strdup(player), strdup(url), nil]
        execvp(player, arguments)
        complain("cannot start \(player): \(String(cString: strerror(errno)))")
        throw ExitCode.failure
    }
}

/// Where a source of items is: at which gateway, and where there.
private struct Place {
    let address: ListenAddress
    /// With a slash at its end.
    let mount: String

    init(address: ListenAddress, mount: String) {
        self.address = address
        self.mount = mount
    }

    /// - Returns: `nil` unless `url` is an address with `http`, with a path or not.
    init?(url: String) {
        guard url.lowercased().hasPrefix("http://") else { return nil }
        let rest = url.dropFirst("http://".count)
        let authority = String(rest.prefix { $0 != "/" })
        let path = rest.dropFirst(authority.count)
        guard let host = HostAuthority(authority),
            let address = ListenAddress(host.port == nil ? "\(authority):80" : authority)
        else { return nil }
        self.address = address
        mount = path.isEmpty || path == "/" ? "/torrent/" : path.hasSuffix("/") ? String(path) : path + "/"
    }
}

extension ListenAddress {
    /// As a client on this machine reaches it; `nil` for a Unix socket, and for a port that is chosen at the start.
    fileprivate var reachable: ListenAddress? {
        switch self {
        case .unix, .tcp(_, 0): nil
        case .tcp("0.0.0.0", let port): .tcp(host: "127.0.0.1", port: port)
        case .tcp("::", let port): .tcp(host: "::1", port: port)
        case .tcp: self
        }
    }
}
