import Config
import Testing

struct CompatConfigTests {
    private static let source = "kind = \"disk\"\n[options]\nroot = \"/srv/a\"\n"

    @Test("the old routes are there unless they are switched off, and leave their paths when they are")
    func enabled() throws {
        let on = load(["config.toml": "", "plugins.d/media.toml": Self.source])
        #expect(on.diagnostics.render() == "")
        #expect(on.config.compat.enabled)
        let off = load(["config.toml": "[compat]\nenabled = false\n", "plugins.d/stream.toml": Self.source])
        #expect(off.diagnostics.render() == "")
        #expect(!off.config.compat.enabled)
    }

    @Test("no source is mounted where an old route is", arguments: GatewayConfig.Compat.segments)
    func clash(segment: String) {
        let loaded = load(["config.toml": "", "plugins.d/media.toml": "mount = \"/\(segment)\"\n" + Self.source])
        #expect(loaded.diagnostics.faults.map(\.key) == ["media.mount"])
        #expect(loaded.diagnostics.render().contains("\"/\(segment)\""))
        #expect(loaded.diagnostics.render().contains("compat.enabled"))
    }

    @Test("beside them and around them there is room", arguments: ["/", "/streams", "/a/stream", "/Stream"])
    func noClash(mount: String) {
        let loaded = load(["config.toml": "", "plugins.d/media.toml": "mount = \"\(mount)\"\n" + Self.source])
        #expect(loaded.diagnostics.render() == "")
    }

    @Test("the limit on questions to the world can be changed and switched off")
    func limit() {
        #expect(load(["config.toml": ""]).config.limits.resolvePerIP == .rate(10, per: .minute))
        let off = load(["config.toml": ""], overrides: ["limits.resolve_per_ip=off"])
        #expect(off.config.limits.resolvePerIP == .off)
        let more = load(["config.toml": ""], environment: ["MEDIA_GATEWAY__LIMITS__RESOLVE_PER_IP": "3/s"])
        #expect(more.config.limits.resolvePerIP == .rate(3, per: .second))
    }
}
