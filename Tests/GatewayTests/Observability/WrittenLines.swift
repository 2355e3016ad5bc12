import Foundation
import Gateway
import Testing

/// What `body` makes a writer write.
func written(_ body: (LineWriter) throws -> Void) throws -> String {
    let file = FileManager.default.temporaryDirectory.appending(path: "media-gateway-\(UUID()).log")
    defer { try? FileManager.default.removeItem(at: file) }
    let writer = try LineWriter(to: .file(file.path))
    try body(writer)
    #expect(writer.close(within: .seconds(10)))
    return String(decoding: try Data(contentsOf: file), as: UTF8.self)
}
