import Config
import Foundation
import Testing

struct ShippedConfigTests {
    private var repository: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    private func loadShipped() -> LoadedConfig {
        let loaded = ConfigLoader(kinds: ["disk", "http", "torrent"]).load(
            path: repository.appending(path: "config.toml").path(percentEncoded: false)
        )
        // The options of the other kinds are read where those are known.
        for source in loaded.config.sources where source.kind == "disk" {
            let reader = source.options.reader(loaded.diagnostics)
            _ = reader.requiredPath("root")
            for option in ["follow_symlinks", "sendfile"] { _ = reader.bool(option, default: false) }
            reader.finish()
        }
        return loaded
    }

    @Test("the shipped main file has every key, each with its default")
    func main() {
        let loaded = loadShipped()
        #expect(loaded.diagnostics.render() == "")
        #expect(loaded.config.server == GatewayConfig.Server())
        #expect(loaded.config.admin == GatewayConfig.Admin())
        var cache = GatewayConfig.Cache()
        cache.path = repository.appending(path: "var/cache").path(percentEncoded: false)
        #expect(loaded.config.cache == cache)
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
        #expect(media.kind == "disk" && media.mount == "/media" && media.enabled && media.isCached)
        let reader = media.options.reader(loaded.diagnostics)
        #expect(reader.requiredPath("root") == repository.appending(path: "media").path(percentEncoded: false))
        #expect(!reader.bool("follow_symlinks", default: true))
        #expect(!reader.bool("sendfile", default: true))
    }
}
