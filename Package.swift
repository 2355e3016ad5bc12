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
    ],
    targets: [
        .target(name: "Config", dependencies: ["CTOML"], swiftSettings: swiftSettings + memberImportVisibility),
        .target(name: "CTOML"),
        .testTarget(
            name: "ConfigTests",
            dependencies: ["Config"],
            exclude: ["Fixtures"],
            swiftSettings: swiftSettings + memberImportVisibility
        ),
    ],
    cxxLanguageStandard: .cxx17
)
