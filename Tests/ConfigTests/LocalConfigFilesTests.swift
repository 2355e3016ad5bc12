import Config
import Foundation
import Testing

struct LocalConfigFilesTests {
    private func withDirectory(_ body: (URL) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "config-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try body(directory)
    }

    private func write(_ text: String, to url: URL, mode: Int = 0o640) throws {
        try Data(text.utf8).write(to: url)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: url.path(percentEncoded: false))
    }

    @Test("a file is read with its mode")
    func read() throws {
        try withDirectory { directory in
            let file = directory.appending(path: "a")
            for (mode, isReadable, isWritable) in [(0o640, false, false), (0o644, true, false), (0o602, false, true)] {
                try write("abc", to: file, mode: mode)
                let content = try LocalConfigFiles().read(file.path(percentEncoded: false), limit: 3)
                #expect(content.bytes == Array("abc".utf8))
                #expect(content.isWorldReadable == isReadable && content.isWorldWritable == isWritable)
            }
        }
    }

    @Test("what is not a file of that size is told as what it is")
    func problems() throws {
        try withDirectory { directory in
            let files = LocalConfigFiles()
            let path = { (name: String) in directory.appending(path: name).path(percentEncoded: false) }
            try write("abcd", to: directory.appending(path: "large"))
            #expect(throws: ConfigFileProblem.tooLarge) { try files.read(path("large"), limit: 3) }
            #expect(throws: ConfigFileProblem.missing) { try files.read(path("none"), limit: 3) }
            #expect(throws: ConfigFileProblem.notADirectory) { try files.read(path("large/x"), limit: 3) }
            #expect(throws: ConfigFileProblem.isDirectory) {
                try files.read(directory.path(percentEncoded: false), limit: 3)
            }
            #expect(throws: ConfigFileProblem.isSpecial) { try files.read("/dev/null", limit: 3) }
            #expect(throws: ConfigFileProblem.notADirectory) { try files.list(path("large")) }
            #expect(throws: ConfigFileProblem.missing) { try files.list(path("none")) }
        }
    }

    @Test("a directory is listed without itself and its parent")
    func list() throws {
        try withDirectory { directory in
            for name in ["b.toml", ".hidden", "é"] { try write("", to: directory.appending(path: name)) }
            #expect(
                try LocalConfigFiles().list(directory.path(percentEncoded: false)).names.sorted() == [
                    ".hidden", "b.toml", "é",
                ]
            )
        }
    }

    @Test("a configuration on disk is loaded, and a plugin file that everybody can write is refused")
    func load() throws {
        try withDirectory { directory in
            let plugins = directory.appending(path: "plugins.d")
            try FileManager.default.createDirectory(at: plugins, withIntermediateDirectories: false)
            try write("[log]\nlevel = \"debug\"\n", to: directory.appending(path: "main.toml"))
            let media = plugins.appending(path: "media.toml")
            try write("kind = \"disk\"\noptions.root = \"../media\"\n", to: media)
            let loader = ConfigLoader(kinds: ["disk"])
            let main = directory.appending(path: "main.toml").path(percentEncoded: false)
            let loaded = loader.load(path: main)
            #expect(loaded.diagnostics.render() == "")
            #expect(loaded.config.log.level == .debug)
            #expect(
                loaded.readOptions().map(\.root) == [directory.appending(path: "media").path(percentEncoded: false)]
            )
            try write("kind = \"disk\"\noptions.root = \"../media\"\n", to: media, mode: 0o666)
            #expect(
                loader.load(path: main).diagnostics.render().contains("media.toml:1:1: error: file: can be written")
            )
        }
    }
}
