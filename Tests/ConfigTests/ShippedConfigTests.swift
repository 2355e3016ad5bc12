import Config
import Foundation
import Testing

struct ShippedConfigTests {
    private var repository: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    private func loadShipped() -> LoadedConfig {
        let loaded = ConfigLoader(kinds: ["disk"]).load(
            path: repository.appending(path: "config.toml").path(percentEncoded: false)
        )
        _ = loaded.readOptions()
        return loaded
    }

    @Test("the shipped main file has every key, each with its default")
    func main() {
        let loaded = loadShipped()
        #expect(loaded.diagnostics.render() == "")
        #expect(loaded.config.server == GatewayConfig.Server())
        #expect(loaded.config.admin == GatewayConfig.Admin())
        #expect(loaded.config.limits == GatewayConfig.Limits())
        #expect(loaded.config.log == GatewayConfig.Log())
        #expect(loaded.config.pluginsDirectory == repository.appending(path: "plugins.d").path(percentEncoded: false))
        for reading in loaded.diagnostics.readings where reading.path.first != "sources" {
            #expect(reading.origin.place.contains("config.toml:"), "\(reading.path) is not in the file")
        }
    }

    @Test("the shipped source serves the media directory")
    func media() throws {
        let loaded = loadShipped()
        let media = try #require(loaded.config.sources.first { $0.name == "media" })
        #expect(media.kind == "disk" && media.mount == "/media" && media.enabled)
        let reader = media.options.reader(loaded.diagnostics)
        #expect(reader.requiredPath("root") == repository.appending(path: "media").path(percentEncoded: false))
        #expect(!reader.bool("follow_symlinks", default: true))
    }
}
