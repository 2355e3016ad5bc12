import Foundation
import Gateway
import LoadBench

extension LoadInvocation {
    /// This process, now.
    static var current: LoadInvocation {
        let words = ["media-gateway"] + ProcessInfo.processInfo.arguments.dropFirst().map(shown)
        return LoadInvocation(
            command: words.map(quoted).joined(separator: " "),
            version: GatewayVersion.current,
            started: Date.now.formatted(.iso8601)
        )
    }

    /// An argument; addresses as reports have them.
    private static func shown(_ argument: String) -> String {
        // `--against=http://…` is one argument.
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        if argument.hasPrefix("--"), parts.count == 2, let target = LoadTarget(String(parts[1])) {
            return "\(parts[0])=\(target.shown)"
        }
        return LoadTarget(argument)?.shown ?? argument
    }

    /// As a shell takes it.
    private static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            let character = Character(Unicode.Scalar(byte))
            return character.isASCII && (character.isLetter || character.isNumber || "-_./:=,@%+".contains(character))
        }
        return isPlain && !word.isEmpty ? word : "'\(word.replacing("'", with: "'\\''"))'"
    }
}
