import Config
import Foundation
import Testing

/// One folder of `Fixtures`: a configuration, and what the check of it must print.
///
/// `environment` and `flags`, if there, hold a variable or an override a line.
struct Fixture: Sendable, CustomTestStringConvertible {
    let name: String

    static let directory = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

    static let all: [Fixture] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path(percentEncoded: false))) ?? []
        return names.filter { !$0.hasPrefix(".") }.sorted().map(Fixture.init)
    }()

    var testDescription: String { name }

    private var url: URL { Self.directory.appending(path: name) }

    /// The configuration files with their paths.
    func files() throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for path in try FileManager.default.subpathsOfDirectory(atPath: url.path(percentEncoded: false)) {
            guard !Self.others.contains(path), let bytes = try? Data(contentsOf: url.appending(path: path)) else {
                continue
            }
            files[path] = Array(bytes)
        }
        return files
    }

    func environment() -> [String: String] {
        var environment: [String: String] = [:]
        for line in lines(of: "environment") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            environment[String(parts[0])] = parts.count == 2 ? String(parts[1]) : ""
        }
        return environment
    }

    func flags() -> [String] { lines(of: "flags") }

    func load() throws -> LoadedConfig {
        var memory = MemoryFiles()
        for (path, bytes) in try files() { memory.add(path, bytes) }
        return ConfigTests.load(memory, environment: environment(), overrides: flags())
    }

    func expected() throws -> String {
        try String(contentsOf: url.appending(path: Self.expectedName), encoding: .utf8)
    }

    func setExpected(_ text: String) throws {
        try text.write(to: url.appending(path: Self.expectedName), atomically: true, encoding: .utf8)
    }

    private func lines(of file: String) -> [String] {
        let text = (try? String(contentsOf: url.appending(path: file), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    private static let expectedName = "expected.txt"
    private static let others = [expectedName, "environment", "flags"]
}
