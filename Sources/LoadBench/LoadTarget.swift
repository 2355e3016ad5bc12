import Config
import Glibc
package import NIOCore

/// What is asked for: a server, and a path on it.
package struct LoadTarget: Sendable, Hashable {
    /// What messages say an address looks like.
    package static let expectation = "an address such as http://127.0.0.1:8080/media/film.mkv (https is not supported)"

    package let host: String
    package let port: Int
    /// With the query, percent-encoded as it was given; begins with a slash.
    package var path: String

    /// - Returns: `nil` unless `url` is an address with `http` that can be sent as it is.
    package init?(_ url: String) {
        let scheme = "http://"
        guard url.lowercased().hasPrefix(scheme) else { return nil }
        let rest = url.dropFirst(scheme.count).prefix { $0 != "#" }
        let authority = String(rest.prefix { $0 != "/" && $0 != "?" })
        guard let address = ListenAddress(authority) ?? ListenAddress("\(authority):80"),
            case .tcp(let host, let port) = address, port > 0
        else { return nil }
        let path = String(rest.dropFirst(authority.count))
        // Neither blanks nor control characters: they would end the request's line.
        guard path.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        self.host = host
        self.port = port
        self.path = path.hasPrefix("/") ? path : "/" + path
    }

    package var isBare: Bool { path == "/" }

    /// The same path on another server.
    package func on(_ server: LoadTarget) -> LoadTarget {
        var target = server
        target.path = path
        return target
    }

    /// Where a link on this target leads: a path, or an address on the same server; `nil` elsewhere.
    package func following(_ link: String) -> LoadTarget? {
        if let absolute = LoadTarget(link) { return absolute.authority == authority ? absolute : nil }
        guard link.hasPrefix("/"), !link.hasPrefix("//") else { return nil }
        return LoadTarget("http://\(authority)\(link)")
    }

    /// The last part of the path without its percent-encoding; `nil` if it names no file.
    package var fileName: String? {
        let name = path.prefix { $0 != "?" }.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        let decoded = Self.decoded(name.utf8)
        guard !decoded.isEmpty, decoded != ".", decoded != "..", !decoded.utf8.contains(UInt8(ascii: "/")),
            !decoded.utf8.contains(0)
        else { return nil }
        return decoded
    }

    /// Escapes that are none stay as they are.
    private static func decoded(_ text: Substring.UTF8View) -> String {
        var (bytes, rest) = ([UInt8](), text[...])
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2)
            guard byte == UInt8(ascii: "%"), digits.count == 2, digits.allSatisfy({ isHexDigit($0) }),
                let decoded = UInt8(Substring(digits), radix: 16)
            else {
                bytes.append(byte)
                continue
            }
            bytes.append(decoded)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    package func isOnSameServer(as other: LoadTarget) -> Bool { authority == other.authority }

    /// Host and port.
    package var authority: String { ListenAddress.tcp(host: host, port: port).description }
}

extension LoadTarget: CustomStringConvertible {
    package var description: String { "http://\(authority)\(path)" }
}

private func isHexDigit(_ byte: UInt8) -> Bool { Character(Unicode.Scalar(byte)).isHexDigit }

/// A server whose address is known.
package struct LoadServer: Sendable {
    package let address: SocketAddress
    /// For the field `Host`.
    let authority: String

    /// Looks the name up; blocks.
    ///
    /// - Throws: ``LoadRefusal`` if there is no such name, or if the address is not of this machine and `allowsRemote`
    ///   is false.
    package init(_ target: LoadTarget, allowsRemote: Bool) throws(LoadRefusal) {
        guard let address = Self.resolve(target) else {
            throw LoadRefusal("cannot find \(target.host)", .failed)
        }
        self.address = address
        authority = target.authority
        // By address, not by name: what a name stands for is up to others.
        guard Self.isOfThisMachine(address) || allowsRemote else {
            throw LoadRefusal(
                "\(target.authority) is not this machine; load on others' servers is an attack unless they know of it. "
                    + "If it is yours, say --allow-remote",
                .wrongUsage
            )
        }
    }

    /// Whether it is a loopback address, or one of a network interface.
    private static func isOfThisMachine(_ address: SocketAddress) -> Bool {
        guard let host = address.ipAddress else { return false }
        // Where interfaces cannot be listed, the address is treated as another machine's.
        return ListenAddress.tcp(host: host, port: 0).isLocal
            || (try? System.enumerateDevices())?.contains { $0.address?.ipAddress == host } == true
    }

    /// IPv4 first: `localhost` is both, and most listen on 127.0.0.1 alone.
    private static func resolve(_ target: LoadTarget) -> SocketAddress? {
        if let address = try? SocketAddress(ipAddress: target.host, port: target.port) { return address }
        for family in [AF_INET, AF_INET6] {
            var (hints, list) = (addrinfo(), UnsafeMutablePointer<addrinfo>?.none)
            hints.ai_family = family
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            guard getaddrinfo(target.host, "\(target.port)", &hints, &list) == 0 else { continue }
            defer { freeaddrinfo(list) }
            guard let name = list?.pointee.ai_addr else { continue }
            if family == AF_INET {
                return SocketAddress(name.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee })
            }
            return SocketAddress(name.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { $0.pointee })
        }
        return nil
    }
}

/// Why a load cannot begin, or its report not be written.
package struct LoadRefusal: Error, CustomStringConvertible {
    package enum Code: Sendable {
        /// Another command line would do.
        case wrongUsage
        case failed
    }

    package let description: String
    package let code: Code

    package init(_ description: String, _ code: Code) {
        self.description = description
        self.code = code
    }
}
