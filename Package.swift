// swift-tools-version: 6.2
import PackageDescription

/// Settings that every Swift target of this package shares.
let swiftSettings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// Off in `Gateway`: SwiftNIO's internal C module declares glibc's structs again, and their members would then belong to
/// a module that is no product and cannot be imported.
let memberImportVisibility: [SwiftSetting] = [.enableUpcomingFeature("MemberImportVisibility")]

let package = Package(
    name: "media-gateway",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .target(
            name: "SourcePlugins",
            dependencies: [
                "CLinux",
                "Config",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: swiftSettings + memberImportVisibility
        ),
        .target(name: "Config", dependencies: ["CTOML"], swiftSettings: swiftSettings + memberImportVisibility),
        .target(name: "CTOML"),
        .target(name: "CLinux"),
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
            swiftSettings: swiftSettings + memberImportVisibility
        ),
        .testTarget(
            name: "SourcePluginsTests",
            dependencies: [
                "Config",
                "SourceContract",
                "SourcePlugins",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: swiftSettings + memberImportVisibility
        ),
    ],
    cxxLanguageStandard: .cxx17
)
