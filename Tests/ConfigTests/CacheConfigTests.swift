import Config
import Testing

struct CacheConfigTests {
    @Test("without a word about it there is a cache, and every source is in it")
    func builtIn() {
        let loaded = load(["config.toml": "[sources.a]\nkind = \"disk\"\noptions.root = \"/a\"\n"])
        var cache = GatewayConfig.Cache()
        cache.path = "/etc/media-gateway/var/cache"
        #expect(loaded.diagnostics.render() == "")
        #expect(loaded.config.cache == cache)
        #expect(loaded.config.sources.map(\.isCached) == [true])
    }

    @Test("a cache is what its section says")
    func section() {
        let text = """
            [cache]
            enabled = false
            path = "../cache"
            size = "1TiB"
            low_mark = "90%"
            chunk_size = "64KiB"
            policy = "lru"
            admission = "second-hit"
            max_age = "36h"
            min_free_disk = "0B"
            pin_budget = "100GiB"
            scrub_rate = "512KiB/s"
            sync = "strict"
            """
        let loaded = load(["config.toml": text])
        #expect(loaded.diagnostics.render() == "")
        let cache = loaded.config.cache
        #expect(!cache.enabled && cache.path == "/etc/cache")
        #expect(cache.size.bytes == 1 << 40 && cache.chunkSize.bytes == 65536 && cache.minFreeDisk.bytes == 0)
        #expect(cache.lowMark.value == 90)
        #expect(cache.policy == .lru && cache.admission == .secondHit && cache.sync == .strict)
        #expect(cache.maxAge == .seconds(36 * 3600))
        #expect(cache.pinBudget == .size(ByteSize(bytes: 100 << 30)))
        #expect(cache.scrubRate == ByteRate(bytesPerSecond: 512 << 10))
    }

    @Test("the environment and the command line reach every key of the cache, and the source's")
    func overrides() {
        let loaded = load(
            [
                "config.toml": "[cache]\nsize = \"1GiB\"\n",
                "plugins.d/media.toml": "kind = \"disk\"\noptions.root = \"/\"",
            ],
            environment: [
                "MEDIA_GATEWAY__CACHE__SIZE": "2GiB", "MEDIA_GATEWAY__CACHE__CHUNK_SIZE": "2MiB",
                "MEDIA_GATEWAY__CACHE__PATH": "c", "MEDIA_GATEWAY__CACHE__ENABLED": "true",
                "MEDIA_GATEWAY__SOURCES__MEDIA__CACHE": "false",
            ],
            overrides: ["cache.policy=lru", "cache.size=3GiB", "cache.min_free_disk=2GiB"]
        )
        #expect(loaded.diagnostics.render() == "")
        var expected = GatewayConfig.Cache()
        expected.path = "/etc/media-gateway/c"
        expected.size = ByteSize(bytes: 3 << 30)
        expected.chunkSize = ByteSize(bytes: 2 << 20)
        expected.minFreeDisk = ByteSize(bytes: 2 << 30)
        expected.policy = .lru
        #expect(loaded.config.cache == expected)
        #expect(loaded.config.sources.map(\.isCached) == [false])
    }

    @Test(
        "what may be pinned is a part of the cache, or a size that is not too large a part",
        arguments: [
            ("0%", 0), ("25%", 107_216_875), ("90%", 385_980_750), ("91%", nil), ("-1%", nil), ("25", nil),
            ("25 %", nil),
            ("25.5%", nil), ("0B", 0), ("64MiB", 64 << 20), ("360MiB", 360 << 20), ("400MiB", nil), ("1025TiB", nil),
        ] as [(String, Int64?)]
    )
    func pinBudget(_ text: String, _ bytes: Int64?) {
        let loaded = load(["config.toml": "[cache]\nsize = \"409MiB\"\npin_budget = \"\(text)\"\n"])
        #expect(loaded.diagnostics.errorCount == (bytes == nil ? 1 : 0))
        if let bytes { #expect(loaded.config.cache.pinBudget.bytes(of: loaded.config.cache.size) == bytes) }
    }

    @Test(
        "the low mark is at least half of the cache, and at most all of it",
        arguments: [
            ("50%", true), ("100%", true), ("49%", false), ("101%", false), ("5GiB", false), ("99.5%", false),
            ("", false),
        ]
    )
    func lowMark(_ text: String, isRight: Bool) {
        let loaded = load(["config.toml": "[cache]\nlow_mark = \"\(text)\"\n"])
        #expect(loaded.diagnostics.errorCount == (isRight ? 0 : 1))
        if isRight { #expect(loaded.config.cache.lowMark.description == text) }
    }

    @Test("a scrub has a rate, or there is none", arguments: ["", "0", "0B/s", "8MiB/s", "1TiB/s"])
    func scrubRate(_ text: String) {
        for loaded in [
            load(["config.toml": "[cache]\nscrub_rate = \"\(text)\"\n"]),
            load(["config.toml": ""], environment: ["MEDIA_GATEWAY__CACHE__SCRUB_RATE": text]),
        ] {
            #expect(loaded.diagnostics.render() == "")
            let rate = loaded.config.cache.scrubRate
            #expect(rate?.description == (["", "0", "0B/s"].contains(text) ? nil : text))
        }
    }

    @Test("a scrub has no rate that is none, or impossible", arguments: ["8MiB", "8", "-1B/s", "2TiB/s", "off"])
    func noScrubRate(_ text: String) {
        let loaded = load(["config.toml": "[cache]\nscrub_rate = \"\(text)\"\n"])
        #expect(loaded.diagnostics.errorCount == 1)
    }

    @Test("a source has a limit of its own or none, however it is said")
    func sourceSize() {
        let text = "kind = \"disk\"\noptions.root = \"/\"\n"
        let loaded = load(
            [
                "config.toml": "",
                "plugins.d/a.toml": "cache_size = \"2GiB\"\n" + text, "plugins.d/b.toml": "cache_size = \"\"\n" + text,
                "plugins.d/c.toml": text, "plugins.d/d.toml": text, "plugins.d/e.toml": "cache_size = \"25%\"\n" + text,
            ],
            environment: ["MEDIA_GATEWAY__SOURCES__D__CACHE_SIZE": "64MiB"]
        )
        #expect(loaded.diagnostics.render() == "")
        let size = ByteSize(bytes: 4 << 30)
        let limits = loaded.config.sources.map { $0.cacheSize?.bytes(of: size) }
        #expect(limits == [2 << 30, nil, nil, 64 << 20, size.bytes / 100 * 25])
    }

    @Test(
        "a source's limit has room for eight chunks",
        arguments: [
            ("8MiB", true), ("8191KiB", false), ("0B", false), ("1024TiB", true), ("1025TiB", false), ("2", false),
            // Of a cache of 801 MiB.
            ("1%", true), ("0%", false), ("100%", true), ("101%", false), ("1.5%", false),
        ]
    )
    func sourceSizeBounds(_ size: String, _ isAllowed: Bool) {
        let loaded = load([
            "config.toml": "[cache]\nsize = \"801MiB\"\n",
            "plugins.d/a.toml": "kind = \"disk\"\ncache_size = \"\(size)\"\noptions.root = \"/\"\n",
        ])
        #expect(loaded.diagnostics.errorCount == (isAllowed ? 0 : 1))
    }

    @Test("a maximal age of nothing is none", arguments: ["0s", "0d", "0ms"])
    func forEver(_ text: String) {
        let loaded = load(["config.toml": "[cache]\nmax_age = \"\(text)\"\n"])
        #expect(loaded.diagnostics.render() == "")
        #expect(loaded.config.cache.maxAge == nil)
    }

    @Test(
        "a chunk is a power of two from 64 KiB to 16 MiB",
        arguments: [
            ("64KiB", true), ("65536B", true), ("1MiB", true), ("1024KiB", true), ("16MiB", true), ("32KiB", false),
            ("32MiB", false), ("96KiB", false), ("3MiB", false), ("65537B", false), ("0B", false),
            ("8388607TiB", false),
        ]
    )
    func chunkSize(_ text: String, _ isAllowed: Bool) {
        let loaded = load(["config.toml": "[cache]\nchunk_size = \"\(text)\"\n"])
        #expect(loaded.diagnostics.hasErrors == !isAllowed)
        #expect(loaded.config.cache.chunkSize == (isAllowed ? ByteSize(text) : ByteSize("1MiB")))
    }

    @Test(
        "a cache has at least eight megabytes and at least eight chunks",
        arguments: [
            ("8MiB", "1MiB", true), ("8MiB", "64KiB", true), ("8388607B", "64KiB", false), ("16MiB", "2MiB", true),
            ("16777215B", "2MiB", false), ("128MiB", "16MiB", true), ("127MiB", "16MiB", false),
            ("1024TiB", "64KiB", true), ("1025TiB", "64KiB", false),
        ]
    )
    func size(_ size: String, _ chunkSize: String, _ isAllowed: Bool) {
        let loaded = load(["config.toml": "[cache]\nsize = \"\(size)\"\nchunk_size = \"\(chunkSize)\"\n"])
        #expect(loaded.diagnostics.errorCount == (isAllowed ? 0 : 1))
    }
}
