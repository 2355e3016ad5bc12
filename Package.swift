// swift-tools-version: 6.2
import PackageDescription

/// Settings that every Swift target of this package shares.
let swiftSettings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// Tests are built beside the gateway in its release configuration, where the optimizer took longer for them than for the
/// gateway, and bought no time back.
let testSettings = swiftSettings + [.unsafeFlags(["-Onone"])]

/// Off in `Gateway`: SwiftNIO's internal C module declares glibc's structs again, and their members would then belong to
/// a module that is no product and cannot be imported.
let memberImportVisibility: [SwiftSetting] = [.enableUpcomingFeature("MemberImportVisibility")]

/// What Debian's libtorrent was built with: classes of its headers have another layout without. Not by pkg-config, of which
/// SwiftPM drops the defines.
let libtorrentDefines = [
    "TORRENT_LINKING_SHARED", "BOOST_ASIO_ENABLE_CANCELIO", "BOOST_ASIO_NO_DEPRECATED", "TORRENT_USE_OPENSSL",
    "TORRENT_USE_LIBCRYPTO", "TORRENT_SSL_PEERS", "OPENSSL_NO_SSL2", "BOOST_ALL_NO_LIB",
]

let package = Package(
    name: "media-gateway",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "media-gateway", targets: ["MediaGateway"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.36.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .executableTarget(
            name: "MediaGateway",
            dependencies: [
                "Config",
                "Gateway",
                "LoadBench",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swiftSettings + memberImportVisibility
        ),
        .target(
            name: "Gateway",
            dependencies: [
                "ChunkCache",
                "Config",
                "SourcePlugins",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings
        ),
        .target(
            name: "SourcePlugins",
            dependencies: [
                "CLibtorrent",
                "CLinux",
                "Config",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings + memberImportVisibility
        ),
        .target(
            name: "LoadBench",
            dependencies: [
                "CChecksum",
                "Config",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: swiftSettings + memberImportVisibility
        ),
        .target(name: "Config", dependencies: ["CTOML"], swiftSettings: swiftSettings + memberImportVisibility),
        .target(
            name: "ChunkCache",
            dependencies: [
                "CChecksum",
                "CCrashMark",
                "CLMDB",
                "CLinux",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: swiftSettings + memberImportVisibility
        ),
        .target(name: "CChecksum"),
        .target(name: "CCrashMark"),
        .systemLibrary(name: "CLMDB", providers: [.apt(["liblmdb-dev"])]),
        .target(name: "CTOML"),
        .target(name: "CLinux"),
        .target(
            name: "CLibtorrent",
            cxxSettings: libtorrentDefines.map { .define($0) },
            linkerSettings: [.linkedLibrary("torrent-rasterbar"), .linkedLibrary("crypto")]
        ),
        .target(
            name: "SourceContract",
            dependencies: [
                "Config",
                "SourcePlugins",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/SourceContract",
            swiftSettings: swiftSettings + memberImportVisibility
        ),
        .testTarget(
            name: "ConfigTests",
            dependencies: ["Config"],
            exclude: ["Fixtures"],
            swiftSettings: testSettings + memberImportVisibility
        ),
        .testTarget(
            name: "ChunkCacheTests",
            dependencies: [
                "CChecksum",
                "ChunkCache",
                "SourceContract",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: testSettings + memberImportVisibility
        ),
        .testTarget(
            name: "SourcePluginsTests",
            dependencies: [
                "CLibtorrent",
                "Config",
                "SourceContract",
                "SourcePlugins",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: testSettings + memberImportVisibility
        ),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "ChunkCache",
                "Config",
                "Gateway",
                "SourceContract",
                "SourcePlugins",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: testSettings
        ),
        .testTarget(
            name: "LoadBenchTests",
            dependencies: [
                "LoadBench",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: testSettings + memberImportVisibility
        ),
        .testTarget(
            name: "IntegrationTests",
            dependencies: ["MediaGateway"],
            swiftSettings: testSettings + memberImportVisibility
        ),
    ],
    cxxLanguageStandard: .cxx17
)
