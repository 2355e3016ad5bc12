/// Bounds of the times that hold a request or a stop.
private let deadlines: ClosedRange<Duration> = .milliseconds(10) ... .seconds(3600)

/// More than any cache is given, and far from where arithmetic on it could overflow.
let largestDisk = ByteSize(bytes: 1 << 50)

extension GatewayConfig.Server {
    init(_ reader: SectionReader) {
        let fallback = Self()
        listen = reader.listenAddresses("listen", default: fallback.listen)
        name = reader.value("name", default: fallback.name, expected: nameExpectation) { text, _ in
            text.utf8.count <= 253 && text.utf8.allSatisfy(isHostNameByte) ? text : nil
        }
        trustedProxies = reader.values(
            "trusted_proxies",
            default: fallback.trustedProxies,
            expected: "an address range such as \"10.0.0.0/8\" or \"2001:db8::/32\""
        ) { text, _ in AddressRange(text) }
        firstByteDeadline = reader.firstByteDeadline(default: fallback.firstByteDeadline)
        drainDeadline = reader.duration(
            "drain_deadline",
            default: fallback.drainDeadline,
            in: .zero ... .seconds(24 * 3600)
        )
    }
}

extension GatewayConfig.Admin {
    /// - Parameter dataListeners: what `listen` must not be one of.
    init(_ reader: SectionReader, dataListeners: [ListenAddress], files: any ConfigFiles) {
        let fallback = Self()
        listen = reader.value("listen", default: fallback.listen, expected: ListenAddress.expectation) { text, origin in
            ListenAddress(text) { reader.contents.bases.absolutePath($0, from: origin) }
        }
        if dataListeners.contains(where: { $0.clashes(with: listen) }) {
            reader.fail("listen", found: "\(listen) is in server.listen too", expected: "an address of its own")
        }
        tokenFile = reader.optionalPath("token_file")
        if let tokenFile {
            Self.checkToken(tokenFile, reader, files)
            reader.note(tokenFile, .secret, at: "token_file")
        } else if !listen.isLocal {
            reader.fail(
                "token_file",
                found: "missing, and \(listen) is open to other machines",
                expected: "a file with the admin token"
            )
        }
    }

    private static func checkToken(_ path: String, _ reader: SectionReader, _ files: any ConfigFiles) {
        let expected = "a file with the admin token that only its owner and group can read"
        do {
            let file = try files.read(path, limit: 65536)
            if file.isWorldReadable {
                reader.fail(
                    "token_file",
                    found: "\(quotedForMessage(path)) can be read by everybody",
                    expected: expected
                )
            } else if file.bytes.isEmpty {
                reader.fail("token_file", found: "\(quotedForMessage(path)) is empty", expected: expected)
            }
        } catch {
            reader.fail("token_file", found: "\(quotedForMessage(path)) \(error)", expected: expected)
        }
    }
}

extension GatewayConfig.Cache {
    init(_ reader: SectionReader) {
        let fallback = Self()
        enabled = reader.bool("enabled", default: fallback.enabled)
        path = reader.path("path", default: fallback.path, use: enabled ? .kept : nil)
        size = reader.size("size", default: fallback.size, in: ByteSize(bytes: 8 << 20)...largestDisk)
        lowMark = reader.value("low_mark", default: fallback.lowMark, expected: Self.lowMarkExpectation) { text, _ in
            Percentage(text).flatMap { Self.lowMarks.contains($0.value) ? $0 : nil }
        }
        chunkSize = reader.value(
            "chunk_size",
            default: fallback.chunkSize,
            expected: "a power of two from 64KiB to 16MiB"
        ) { text, _ in ByteSize(text).flatMap { Self.chunkSizes.contains($0.bytes) ? $0 : nil } }
        policy = reader.choice("policy", default: fallback.policy)
        admission = reader.choice("admission", default: fallback.admission)
        let maxAge = reader.duration("max_age", default: fallback.maxAge ?? .zero, in: .zero ... .seconds(3650 * 86400))
        self.maxAge = maxAge == .zero ? nil : maxAge
        minFreeDisk = reader.size(
            "min_free_disk",
            default: fallback.minFreeDisk,
            in: ByteSize(bytes: 0)...largestDisk
        )
        pinBudget = reader.value("pin_budget", default: fallback.pinBudget, expected: Self.pinExpectation) { text, _ in
            let part = CachePart(text)
            if case .percent(let percent)? = part, percent.value > Self.mostPinned.value { return nil }
            return part
        }
        scrubRate = reader.read("scrub_rate", default: fallback.scrubRate, literal: Self.rateOrNone) { value in
            if let text = value.text, ["", "0"].contains(text) { return .value(nil) }
            guard let rate = value.text.flatMap(ByteRate.init), rate <= Self.fastestScrub else {
                return .expected("a rate up to \(Self.fastestScrub) such as \"8MiB/s\", or \"0\" for none")
            }
            return .value(rate.bytesPerSecond == 0 ? nil : rate)
        }
        sync = reader.choice("sync", default: fallback.sync)
        let chunks = size.bytes / chunkSize.bytes
        if chunks < Self.fewestChunks {
            reader.fail(
                "size",
                found: "\(size) holds \(chunks) \(chunks == 1 ? "chunk" : "chunks") of \(chunkSize)",
                expected: "room for at least \(Self.fewestChunks)"
            )
        }
        if pinBudget.bytes(of: size) > Self.mostPinned.of(size) {
            reader.fail(
                "pin_budget",
                found: "\(pinBudget) of a cache of \(size)",
                expected: "at most \(Self.mostPinned) of it"
            )
        }
    }

    /// Some room has to be left for what comes.
    private static let mostPinned = Percentage(90)
    private static let pinExpectation =
        "a part of cache.size from \"0%\" to \"\(mostPinned)\", or a size such as \"2GiB\""
    private static let lowMarks = 50...100
    private static let lowMarkExpectation = "a part from \"50%\" to \"100%\""
    private static let chunkSizes = (16...24).map { Int64(1) << $0 }
    static let fewestChunks: Int64 = 8
    private static let fastestScrub = ByteRate(bytesPerSecond: 1 << 40)

    private static func rateOrNone(_ rate: ByteRate?) -> String { quotedForTOML(rate?.description ?? "0") }
}

extension GatewayConfig.Limits {
    init(_ reader: SectionReader) {
        connections = reader.integer("connections", default: Self().connections, in: 1...1_000_000)
        resolvePerIP = reader.value(
            "resolve_per_ip",
            default: Self().resolvePerIP,
            expected: RequestLimit.expectation
        ) { text, _ in RequestLimit(text) }
    }
}

extension GatewayConfig.Compat {
    init(_ reader: SectionReader) {
        enabled = reader.bool("enabled", default: Self().enabled)
    }
}

extension GatewayConfig.Log {
    init(_ reader: SectionReader) {
        let fallback = Self()
        level = reader.choice("level", default: fallback.level)
        format = reader.choice("format", default: fallback.format)
        slowRequest = reader.duration("slow_request", default: fallback.slowRequest, in: .zero ... .seconds(3600))
        access = reader.value(
            "access",
            default: fallback.access,
            expected: "\"-\" for standard output, \"\" for none, or the path of a file"
        ) { text, origin in
            switch text {
            case "-": .standardOutput
            case "": .off
            case _ where text.utf8.contains(0): nil
            default: .file(reader.contents.bases.absolutePath(text, from: origin))
            }
        }
        if case .file(let path) = access { reader.note(path, .appended, at: "access") }
    }
}

private let nameExpectation = "letters, digits, dots, dashes and underscores, or \"\" for the name of the host"

extension SectionReader {
    func firstByteDeadline(default fallback: Duration) -> Duration {
        duration("first_byte_deadline", default: fallback, in: deadlines)
    }

    /// At least one address, none twice.
    fileprivate func listenAddresses(_ key: String, default fallback: [ListenAddress]) -> [ListenAddress] {
        let addresses = values(key, default: fallback, expected: ListenAddress.expectation) { text, origin in
            ListenAddress(text) { contents.bases.absolutePath($0, from: origin) }
        }
        var seen: Set<ListenAddress> = []
        for address in addresses where !seen.insert(address).inserted && address.clashes(with: address) {
            fail(key, found: "\(address) is there twice", expected: "each address once")
        }
        guard !addresses.isEmpty else {
            fail(key, found: "found no address", expected: "at least one, such as \"127.0.0.1:8080\"")
            return fallback
        }
        return addresses
    }

    /// A path, where an empty string means none.
    fileprivate func optionalPath(_ key: String) -> String? {
        let path = read(key, default: "", literal: quotedForTOML) { value in
            guard let text = value.text, !text.utf8.contains(0) else { return .expected("a path, or \"\" for none") }
            return .value(text.isEmpty ? "" : self.contents.bases.absolutePath(text, from: value.origin))
        }
        return path.isEmpty ? nil : path
    }
}

extension ListenAddress {
    /// Whether both cannot be listened on at once. Port 0 is a different port each time.
    fileprivate func clashes(with other: ListenAddress) -> Bool {
        guard case .tcp(let host, let port) = self, case .tcp(let otherHost, let otherPort) = other else {
            return self == other
        }
        guard port != 0, port == otherPort else { return false }
        // All addresses of a family are also each of them.
        let isSameFamily = host.contains(":") == otherHost.contains(":")
        return host == otherHost
            || isSameFamily && [host, otherHost].contains { IPAddress($0)?.isUnspecified == true }
    }
}
