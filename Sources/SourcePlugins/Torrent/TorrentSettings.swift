package import Config

/// What the options of a torrent source say.
package struct TorrentSettings: Sendable {
    package enum Keep: String, Sendable, CaseIterable {
        /// The files of a torrent go when it has been idle.
        case delete
        /// They stay until the space is needed.
        case untilSpace = "until-space"
        /// They stay until the torrent is removed, and new torrents are refused for want of space.
        case keep
    }

    package enum Upload: String, Sendable, CaseIterable {
        case off
        /// Only while somebody reads a torrent of the source, whichever it is.
        case whileReading = "while-reading"
        case always
    }

    package var add = AddPolicy(who: .local, origins: [])
    package var idleAfter = Duration.seconds(1800)
    package var keep = Keep.untilSpace
    /// An absolute path.
    package var stateDirectory: String
    /// Bytes of files of torrents, all together.
    package var space: Int64 = 20 << 30
    package var maxActive = 30
    package var upload = Upload.whileReading
    /// Bytes a second, all torrents together.
    package var uploadRate: Int64 = 1 << 20
    /// Bytes a second, all torrents together; 0 for no limit.
    package var downloadRate: Int64 = 0
    package var metadataTimeout = Duration.seconds(30)
    package var peerListen = ["0.0.0.0:6881", "[::]:6881"]
    package var usesDHT = true
    package var dhtNodes = ["dht.libtorrent.org:25401", "router.bittorrent.com:6881", "dht.transmissionbt.com:6881"]
    package var usesLocalDiscovery = false
    package var mapsPorts = false
    package var usesUTP = false
    package var acceptsV2 = false
    package var trackers: [String] = []
    package var maxConnections = 400
    package var proxy: TorrentProxy?
    package var allowsPrivateAddresses = false
    /// What is kept of torrents is bounded to so many bytes, half of what a store of records holds; no option.
    package var recordSpace: Int64 = 512 << 20

    package init(stateDirectory: String) {
        self.stateDirectory = stateDirectory
    }

    /// Reads the options; each fault is reported through the reader.
    package init(_ options: SectionReader) {
        self.init(stateDirectory: options.path("state_dir", default: "var/torrent", use: .kept))
        add.who = options.choice("add", default: add.who)
        add.origins = options.values("add_origins", default: [], expected: WebOrigin.expectation) { text, _ in
            WebOrigin(text)
        }.map(\.description)
        idleAfter = options.duration("idle_after", default: idleAfter, in: .seconds(1) ... .seconds(31_536_000))
        keep = options.choice("keep", default: keep)
        let spaces = ByteSize(bytes: 64 << 20)...ByteSize(bytes: 1 << 50)
        space = options.size("space", default: ByteSize(bytes: space), in: spaces).bytes
        maxActive = options.integer("max_active", default: maxActive, in: 1...10_000)
        upload = options.choice("upload", default: upload)
        uploadRate = options.rate("upload_rate", default: uploadRate, from: 1024)
        downloadRate = options.rate("download_rate", default: downloadRate, from: 0)
        metadataTimeout = options.duration(
            "metadata_timeout",
            default: metadataTimeout,
            in: .seconds(1) ... .seconds(600)
        )
        peerListen = options.values("peer_listen", default: peerListen, expected: HostPort.expectation) { text, _ in
            HostPort(text)?.description
        }
        usesDHT = options.bool("dht", default: usesDHT)
        dhtNodes = options.values("dht_nodes", default: dhtNodes, expected: HostPort.nameExpectation) { text, _ in
            HostPort(name: text)?.description
        }
        usesLocalDiscovery = options.bool("lsd", default: usesLocalDiscovery)
        mapsPorts = options.bool("upnp", default: mapsPorts)
        usesUTP = options.bool("utp", default: usesUTP)
        acceptsV2 = options.bool("protocol_v2", default: acceptsV2)
        let policy = AddressPolicy(
            allowsPrivate: options.bool("allow_private_addresses", default: allowsPrivateAddresses)
        )
        allowsPrivateAddresses = policy.allowsPrivate
        trackers = Self.trackers(options, policy)
        maxConnections = options.integer("connections", default: maxConnections, in: 10...20_000)
        proxy = TorrentProxy(options, "proxy")
    }

    private static func trackers(_ options: SectionReader, _ policy: AddressPolicy) -> [String] {
        let key = "trackers"
        let expected = "the URL of a tracker: udp, http or https, without user name"
        var isRefused = false
        // The line that a fault is shown with has all of them, also those that are right.
        let written: [ShownTracker] = options.values(key, default: [], expected: expected) { text, _ in
            isRefused = isRefused || TrackerURL(text.utf8, policy: policy) == nil
            return ShownTracker(url: text)
        }
        if isRefused, written.contains(where: { mayHaveSecret($0.url) }) {
            options.failSecret(key, expected: "an array, each of it \(expected)")
            return []
        }
        if written.isEmpty { return [] }
        let trackers: [ShownTracker] = options.values(key, default: [], expected: expected) { text, _ in
            TrackerURL(text.utf8, policy: policy).map { ShownTracker(url: $0.text) }
        }
        return trackers.map(\.url)
    }

    var addressPolicy: AddressPolicy { AddressPolicy(allowsPrivate: allowsPrivateAddresses) }
}

/// A tracker as `config show` prints it.
private struct ShownTracker: CustomStringConvertible {
    let url: String

    var description: String { mayHaveSecret(url) ? "<redacted>" : url }
}

/// Whether there may be a password in a URL, or a key in its query.
private func mayHaveSecret(_ url: String) -> Bool { url.utf8.contains { "@?".utf8.contains($0) } }

/// A proxy that everything of the torrents goes through.
package struct TorrentProxy: Sendable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable, CaseIterable {
        case socks5
        case http
    }

    package var kind: Kind
    package var host: String
    package var port: Int

    package init?(_ text: String) {
        let parts = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let kind = Kind(rawValue: String(parts[0])),
            let address = HostPort(name: String(parts[1]))
        else { return nil }
        (self.kind, host, port) = (kind, address.host, address.port)
    }

    /// - Returns: `nil` if there is none.
    fileprivate init?(_ options: SectionReader, _ key: String) {
        let expected = "\"socks5://host:port\" or \"http://host:port\", without user name"
        var isHidden = false
        let text = options.value(key, default: "", expected: expected) { text, _ in
            if text.isEmpty || TorrentProxy(text) != nil { return text }
            isHidden = mayHaveSecret(text)
            return isHidden ? "" : nil
        }
        if isHidden { options.failSecret(key, expected: expected) }
        self.init(text)
    }

    package var description: String { "\(kind.rawValue)://\(host):\(port)" }
}

/// An address with a port, as libtorrent's settings write it.
struct HostPort: Sendable, Hashable, CustomStringConvertible {
    static let expectation = "an IP address with a port, such as \"0.0.0.0:6881\" or \"[::]:6881\""
    static let nameExpectation = "a host with a port, such as \"router.example:6881\""

    let host: String
    let port: Int

    /// A literal address. Port 0 is any free one.
    init?(_ text: String) {
        guard let (host, port) = Self.split(text), IPAddress(host) != nil else { return nil }
        (self.host, self.port) = (host, port)
    }

    /// A literal address or a name.
    init?(name text: String) {
        guard let (host, port) = Self.split(text), port > 0, IPAddress(host) != nil || HostName(host) != nil else {
            return nil
        }
        (self.host, self.port) = (host, port)
    }

    private static func split(_ text: String) -> (String, Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        let host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { return (String(host.dropFirst().dropLast()), Int(port)) }
        return host.contains(":") ? nil : (String(host), Int(port))
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// The origin of a web page: scheme, host and port (RFC 6454 §6.2).
struct WebOrigin: Sendable, Hashable, CustomStringConvertible {
    static let expectation = "the origin of a page, such as \"http://localhost:5173\""

    let description: String

    init?(_ text: String) {
        let lowercased = text.lowercased()
        for scheme in ["http://", "https://"] where lowercased.hasPrefix(scheme) {
            let authority = lowercased.dropFirst(scheme.count)
            guard !authority.isEmpty, authority.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
                !authority.contains(where: { "/?#@".contains($0) })
            else { return nil }
            description = lowercased
            return
        }
        return nil
    }
}

extension SectionReader {
    fileprivate func rate(_ key: String, default fallback: Int64, from least: Int64) -> Int64 {
        let range = ByteRate(bytesPerSecond: least)...ByteRate(bytesPerSecond: 1 << 31 - 1)
        return rate(key, default: ByteRate(bytesPerSecond: fallback), in: range).bytesPerSecond
    }
}
