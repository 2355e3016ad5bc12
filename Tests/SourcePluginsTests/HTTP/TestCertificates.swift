import Dispatch
import Foundation
import NIOSSL
import SourceContract

/// An authority that nobody knows, and a server that it has certified.
struct TestCertificates: Sendable {
    /// A file with the authority's certificate.
    let authority: String
    let server: NIOSSLContext

    private static let program = ["/usr/bin/openssl", "/bin/openssl", "/usr/local/bin/openssl"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    static var canBeMade: Bool { program != nil }

    struct Failed: Error {
        let arguments: [String]
    }

    /// Makes them in files of `directory`.
    ///
    /// - Parameter host: what the server is certified as.
    static func make(in directory: TemporaryDirectory, for host: String) async throws -> TestCertificates {
        let common = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        ]
        let (authority, authorityKey) = (directory.path("authority.pem"), directory.path("authority.key"))
        let (server, serverKey) = (directory.path("server.pem"), directory.path("server.key"))
        try await run(
            common + [
                "-subj", "/CN=authority", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", authorityKey,
                "-out",
                authority,
            ]
        )
        try await run(
            common + [
                "-subj", "/CN=server", "-addext", "subjectAltName=DNS:\(host)", "-addext",
                "basicConstraints=critical,CA:FALSE", "-CA", authority, "-CAkey", authorityKey, "-keyout", serverKey,
                "-out", server,
            ]
        )
        let configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(server).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: serverKey, format: .pem))
        )
        return TestCertificates(authority: authority, server: try NIOSSLContext(configuration: configuration))
    }

    /// Runs the program on no thread that tests run on.
    private static func run(_ arguments: [String]) async throws {
        let program = program ?? ""
        let status: Int32 = try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(
                    with: Result {
                        let process = Process()
                        process.executableURL = URL(filePath: program)
                        process.arguments = arguments
                        process.standardInput = FileHandle.nullDevice
                        process.standardOutput = FileHandle.nullDevice
                        process.standardError = FileHandle.nullDevice
                        try process.run()
                        process.waitUntilExit()
                        return process.terminationStatus
                    }
                )
            }
        }
        guard status == 0 else { throw Failed(arguments: arguments) }
    }
}
