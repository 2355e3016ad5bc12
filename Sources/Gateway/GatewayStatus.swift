import Config
import Glibc
import NIOCore
import SourcePlugins
import Synchronization

/// What the gateway knows of itself while it runs.
final class GatewayStatus: Sendable {
    private struct State {
        var data: [String] = []
        var admin: [String] = []
        var sources: [String] = []
        var isDraining = false
        var connections: @Sendable () -> Int = { 0 }
    }

    let objects = ObjectTable()
    private let state = Mutex(State())

    /// The number of open connections to the data listener.
    var connections: @Sendable () -> Int {
        get { state.withLock { $0.connections } }
        set { state.withLock { $0.connections = newValue } }
    }

    var isDraining: Bool {
        get { state.withLock { $0.isDraining } }
        set { state.withLock { $0.isDraining = newValue } }
    }

    /// Why the gateway is not ready; `nil` when it is.
    var unreadiness: String? {
        state.withLock { state in
            if state.isDraining { return "draining" }
            return state.data.isEmpty ? "starting" : nil
        }
    }

    func facts() -> [LandingPage.Fact] {
        let (data, admin) = state.withLock { ($0.data, $0.admin) }
        return [
            LandingPage.Fact("Version", GatewayVersion.current),
            LandingPage.Fact("Data listener", data.joined(separator: ", ")),
            LandingPage.Fact("Admin listener", admin.joined(separator: ", ")),
        ]
    }

    /// Notes the addresses of a listener.
    ///
    /// - Returns: what to tell whoever started the gateway, once all listeners are bound.
    func bound(
        _ plane: ConnectionServices.Plane,
        _ configured: [ListenAddress],
        _ addresses: [SocketAddress],
        _ table: SourceTable?
    ) -> String? {
        let lines = zip(configured, addresses).map { configured, address in
            url(of: address) + (configured.isLocal ? "   this machine only" : "   open to other machines")
        }
        return state.withLock { state in
            switch plane {
            case .data:
                state.data = lines
                state.sources = table?.entries.map(line(of:)).sorted() ?? []
            case .admin:
                state.admin = lines
            }
            return state.data.isEmpty || state.admin.isEmpty ? nil : banner(state)
        }
    }

    private func banner(_ state: State) -> String {
        let open = state.data.first.map { $0.prefix { $0 != " " } } ?? ""
        let lines =
            ["media-gateway \(GatewayVersion.current)"] + state.data.map { "  data   \($0)" }
            + state.admin.map { "  admin  \($0)" } + state.sources.map { "  source \($0)" }
            + (open.hasPrefix("http") ? ["  open   \(open) in a browser"] : [])
        return lines.joined(separator: "\n") + "\n"
    }

    private func line(of entry: SourceTable.Entry) -> String {
        switch entry.state {
        case .enabled: "\(entry.name) (\(entry.kind)) at \(entry.mount)/"
        case .disabled(let file, let key): "\(entry.name) (\(entry.kind)) is off: \(key) in \(file)"
        }
    }

    private func url(of address: SocketAddress) -> String {
        switch address {
        case .unixDomainSocket: "unix:\(address.pathname ?? "")"
        case .v4: "http://\(address.ipAddress ?? ""):\(address.port ?? 0)/"
        case .v6: "http://[\(address.ipAddress ?? "")]:\(address.port ?? 0)/"
        }
    }
}

/// The gateway's name in header fields.
enum NodeName {
    /// A structured-field token if the name can be one, else a string (RFC 8941 §3.3.3, §3.3.4).
    static func structuredField(_ name: String) -> String {
        let name = name.isEmpty ? ofHost : name
        let isToken =
            name.utf8.first.map { (UInt8(ascii: "A")...UInt8(ascii: "z")).contains($0) && isTokenByte($0) } ?? false
        guard isToken, name.utf8.allSatisfy(isTokenByte) else {
            let printable = name.unicodeScalars.filter {
                $0.value >= 0x20 && $0.value < 0x7F && $0 != "\"" && $0 != "\\"
            }
            return "\"" + String(String.UnicodeScalarView(printable)) + "\""
        }
        return name
    }

    /// What the system calls this machine.
    static var ofHost: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { name in
            guard let start = name.baseAddress, gethostname(start, name.count) == 0 else { return "media-gateway" }
            return String(decoding: name.map(UInt8.init(bitPattern:)).prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
