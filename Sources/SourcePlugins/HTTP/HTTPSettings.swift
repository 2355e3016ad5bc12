package import Config

/// What the options of an HTTP source say.
package struct HTTPSettings: Sendable {
    package enum Profile: String, Sendable, CaseIterable {
        /// Objects with ranges, read and cached in chunks.
        case media
        /// Everything, cached by the rules of HTTP.
        case proxy
    }

    /// Where objects are; its URL ends in a slash.
    package var baseURL: OriginURL
    package var profile = Profile.media
    /// Used in this order when the ones before do not answer.
    package var fallbacks: [OriginURL] = []
    /// Sent with each request to the origin of ``baseURL``, and to nobody else.
    package var headers: [OriginHeader] = []
    package var allowsPrivateAddresses = false
    /// A file with the certificates of the authorities that the hosts of the base URLs are certified by, in PEM; `nil`
    /// for those of the machine.
    package var authorities: String?
    package var connectTimeout = Duration.seconds(5)
    /// From the request to the head of its answer, connecting included.
    package var firstByteTimeout = Duration.seconds(15)
    /// Between bytes.
    package var idleTimeout = Duration.seconds(15)
    /// At one host and port.
    package var connections = 100
    /// After the first try, as long as nothing new comes of them.
    package var retries = 2
    /// Followed in a row.
    package var redirects = 5
    /// After so many failures in a row an origin is left alone.
    package var breakerFailures = 5
    /// For so long.
    package var breakerPause = Duration.seconds(2)

    /// What is decided about caching, with profile `proxy`.
    package var caching = CachingPolicy()
    /// Whether the origin is told the host that the client asked, with profile `proxy`. What is stored depends on it then;
    /// see ``ForwardedClient/site(forwardsHost:)``.
    package var forwardsHost = false
    /// The most bytes of a request's body, with profile `proxy`.
    package var requestBodyLimit: Int64 = 64 << 20

    package init(baseURL: OriginURL) {
        self.baseURL = baseURL
    }

    /// Reads the options; each fault is reported through the reader.
    ///
    /// - Returns: `nil` if there is no base URL.
    package init?(_ options: SectionReader) {
        let baseURL = Self.baseURL(options)
        // Takes the place of one that is missing or wrong, so that the rest is read all the same.
        guard var settings = (baseURL ?? OriginURL(base: "http://127.0.0.1/")).map(HTTPSettings.init(baseURL:)) else {
            return nil
        }
        settings.read(options)
        guard baseURL != nil else { return nil }
        self = settings
    }

    private static let urlExpectation = "a URL of http or https without user name, query and fragment"

    private static func baseURL(_ options: SectionReader) -> OriginURL? {
        let key = "base_url"
        guard options.keys.contains(key) else {
            // Says that it is missing.
            _ = options.requiredString(key)
            return nil
        }
        var (url, hasSecret) = (OriginURL?.none, false)
        let expected = "\(urlExpectation), such as \"https://origin.example/vod/\""
        _ = options.value(key, default: "", expected: expected) { text, _ in
            url = OriginURL(base: text)
            hasSecret = url == nil && mayHaveSecret(text)
            if hasSecret { return "" }
            return url == nil ? nil : text
        }
        if hasSecret { options.failSecret(key, expected: expected) }
        return url
    }

    private static func fallbacks(_ options: SectionReader) -> [OriginURL] {
        let key = "fallbacks"
        var hasSecret = false
        // The line that a fault is shown with has all of them.
        let texts: [String] = options.values(key, default: [], expected: urlExpectation) { text, _ in
            let isHidden = OriginURL(base: text) == nil && mayHaveSecret(text)
            hasSecret = hasSecret || isHidden
            return isHidden ? "" : text
        }
        if hasSecret {
            options.failSecret(key, expected: "an array, each of it \(urlExpectation)")
            return []
        }
        if texts.isEmpty { return [] }
        return options.values(key, default: [], expected: urlExpectation) { text, _ in OriginURL(base: text) }
    }

    /// Whether there may be a password in a URL, or a key in its query.
    private static func mayHaveSecret(_ url: String) -> Bool { url.utf8.contains { "@?".utf8.contains($0) } }

    /// A path, where an empty string means none.
    private static func authorities(_ options: SectionReader) -> String? {
        let key = "ca_file"
        let text = options.value(key, default: "", expected: "a path, or \"\" for none") { text, _ in text }
        return text.isEmpty ? nil : options.requiredPath(key, use: .needed)
    }

    private mutating func read(_ options: SectionReader) {
        profile = options.choice("profile", default: profile)
        let limit = ByteSize(bytes: requestBodyLimit)
        requestBodyLimit = options.size("request_body_limit", default: limit).bytes
        forwardsHost = options.bool("forward_host", default: forwardsHost)
        caching.setCookie = options.choice("set_cookie", default: caching.setCookie)
        caching.negativeLifetime = options.window("negative_lifetime")
        caching.staleWhileRevalidate = options.window("stale_while_revalidate")
        caching.staleIfError = options.window("stale_if_error")
        fallbacks = Self.fallbacks(options)
        headers = options.section("headers").map(OriginHeader.read) ?? []
        allowsPrivateAddresses = options.bool("allow_private_addresses", default: allowsPrivateAddresses)
        authorities = Self.authorities(options)
        connectTimeout = options.wait("connect_timeout", default: connectTimeout)
        firstByteTimeout = options.wait("first_byte_timeout", default: firstByteTimeout)
        idleTimeout = options.wait("idle_timeout", default: idleTimeout)
        connections = options.integer("connections", default: connections, in: 1...10_000)
        retries = options.integer("retries", default: retries, in: 0...10)
        redirects = options.integer("redirects", default: redirects, in: 0...20)
        breakerFailures = options.integer("breaker_failures", default: breakerFailures, in: 1...1000)
        breakerPause = options.wait("breaker_pause", default: breakerPause)
    }

    var addressPolicy: AddressPolicy { AddressPolicy(allowsPrivate: allowsPrivateAddresses) }
}

/// A field that is sent to an origin.
package struct OriginHeader: Sendable, Hashable {
    package enum Value: Sendable, Hashable {
        case text(String)
        /// What is in a file, without the end of its line. The path is absolute.
        case file(String)
    }

    package let name: String
    package let value: Value

    package init(_ name: String, _ value: Value) {
        self.name = name
        self.value = value
    }

    fileprivate static func read(_ section: SectionReader) -> [OriginHeader] {
        section.keys.compactMap { name in
            if section.isTable(name) {
                guard let path = section.section(name)?.requiredPath("file", use: .needed) else { return nil }
                return isUsable(name, section) ? OriginHeader(name, .file(path)) : nil
            }
            guard let text = section.requiredString(name, isSecret: true), isUsable(name, section) else { return nil }
            guard isFieldValue(text) else {
                section.failSecret(name, expected: "the value of a header: printable ASCII without blanks around it")
                return nil
            }
            return OriginHeader(name, .text(text))
        }
    }

    /// Those that the gateway has to set itself for what it reads to be right, and cookies, which it does not pass.
    private static let reserved: Set<String> = [
        "accept-encoding", "connection", "content-length", "cookie", "expect", "host", "if-match", "if-modified-since",
        "if-none-match", "if-range", "if-unmodified-since", "keep-alive", "proxy-connection", "range", "te", "trailer",
        "transfer-encoding", "upgrade", "via",
    ]

    private static func isUsable(_ name: String, _ section: SectionReader) -> Bool {
        let isToken =
            !name.isEmpty
            && name.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF)
                    || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        guard isToken, !reserved.contains(name.lowercased()) else {
            section.failSecret(name, expected: "the name of a header that the gateway does not set itself")
            return false
        }
        return true
    }

    static func isFieldValue(_ text: String) -> Bool {
        (1...8192).contains(text.utf8.count) && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
            && text.first != " " && text.last != " "
    }
}

extension SectionReader {
    fileprivate func wait(_ key: String, default fallback: Duration) -> Duration {
        duration(key, default: fallback, in: .milliseconds(1) ... .seconds(3600))
    }

    /// A time that counts where an origin says nothing; `nil` if the operator says nothing either.
    fileprivate func window(_ key: String) -> Duration? {
        let time = duration(key, default: .zero, in: .zero ... .seconds(30 * 86_400))
        return time > .zero ? time : nil
    }
}
