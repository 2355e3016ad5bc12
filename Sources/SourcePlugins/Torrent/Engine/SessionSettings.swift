import CLibtorrent

/// The settings of a source in libtorrent's terms.
struct SessionSettings {
    private let settings: TorrentSettings

    init(_ settings: TorrentSettings) {
        self.settings = settings
    }

    /// Lends the settings and the addresses that are never connected to.
    ///
    /// - Throws: ``SourceError`` `unavailable` if libtorrent does not take them, and what `body` throws.
    func withSettings<Value>(
        _ body: (OpaquePointer, UnsafeBufferPointer<clt_address_range>) throws -> Value
    ) throws -> Value {
        var created: OpaquePointer?
        guard clt_settings_new(&created) == CLT_OK, let values = created else {
            throw SourceError(.unavailable, "out of memory")
        }
        defer { clt_settings_free(values) }
        func set(_ name: String, _ value: String) throws {
            try check(clt_settings_set_string(values, name, value), name)
        }
        func set(_ name: String, _ value: Int) throws {
            try check(clt_settings_set_int(values, name, Int32(clamping: value)), name)
        }
        func set(_ name: String, _ value: Bool) throws {
            try check(clt_settings_set_bool(values, name, value ? 1 : 0), name)
        }

        try set("listen_interfaces", settings.peerListen.joined(separator: ","))
        try set("enable_dht", settings.usesDHT)
        if settings.usesDHT { try set("dht_bootstrap_nodes", settings.dhtNodes.joined(separator: ",")) }
        try set("enable_lsd", settings.usesLocalDiscovery)
        try set("enable_upnp", settings.mapsPorts)
        try set("enable_natpmp", settings.mapsPorts)
        try set("enable_outgoing_utp", settings.usesUTP)
        try set("enable_incoming_utp", settings.usesUTP)
        try set("connections_limit", settings.maxConnections)
        if settings.upload == .off {
            try set("unchoke_slots_limit", 0)
        } else {
            try set("upload_rate_limit", Int(clamping: settings.uploadRate))
        }
        try set("download_rate_limit", Int(clamping: settings.downloadRate))
        if let proxy = settings.proxy {
            try set("proxy_type", proxy.kind == .socks5 ? 2 : 4)
            try set("proxy_hostname", proxy.host)
            try set("proxy_port", proxy.port)
            try set("proxy_hostnames", true)
            try set("proxy_peer_connections", true)
            try set("proxy_tracker_connections", true)
        }
        // Several seeders on one machine, as in a test or behind one address, are several peers.
        try set("allow_multiple_connections_per_ip", settings.allowsPrivateAddresses)
        let blocked = AddressPolicy(allowsPrivate: settings.allowsPrivateAddresses).blockedRanges.map(
            clt_address_range.init
        )
        return try blocked.withUnsafeBufferPointer { try body(values, $0) }
    }

    /// `proxy_type_t` of libtorrent's settings_pack.hpp.
    private func check(_ code: clt_code, _ name: String) throws {
        guard code == CLT_OK else {
            throw SourceError(.unavailable, "libtorrent does not take the setting \(name) (\(code.rawValue))")
        }
    }
}
