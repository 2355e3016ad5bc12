/// Where a value, a key or a section came from.
package enum ConfigOrigin: Sendable {
    /// Nobody wrote it.
    case builtIn
    /// The part of a line in a file; both counted from 1, columns in Unicode code points.
    case file(ConfigText, line: Int, column: Int, width: Int)
    /// The environment variable of this name.
    case environment(String)
    /// The override of this dotted key on the command line.
    case flag(String)

    /// A file as a whole.
    package static func file(_ text: ConfigText) -> ConfigOrigin {
        .file(text, line: 1, column: 1, width: 0)
    }

    /// With the column, in front of a message.
    package var place: String {
        switch self {
        case .file(let text, let line, let column, _): "\(printable(text.name)):\(line):\(column)"
        default: description
        }
    }

    /// Of two origins, which is named first in a list of messages: files as they were loaded, then by position.
    func precedes(_ other: ConfigOrigin) -> Bool {
        switch (self, other) {
        case (.file(let text, let line, let column, _), .file(let otherText, let otherLine, let otherColumn, _)):
            (text.order, line, column) < (otherText.order, otherLine, otherColumn)
        case (.environment(let name), .environment(let otherName)): name < otherName
        case (.flag(let key), .flag(let otherKey)): key < otherKey
        default: rank < other.rank
        }
    }

    private var rank: Int {
        switch self {
        case .builtIn: 0
        case .file: 1
        case .environment: 2
        case .flag: 3
        }
    }
}

extension ConfigOrigin: CustomStringConvertible {
    /// As `config show` names it: `default`, `config.toml:12`, `environment MEDIA_GATEWAY__LOG__LEVEL`,
    /// `flag --set log.level`.
    package var description: String {
        switch self {
        case .builtIn: "default"
        case .file(let text, let line, _, _): "\(printable(text.name)):\(line)"
        case .environment(let name): "environment \(printable(name))"
        case .flag(let key): "flag --set \(printable(key))"
        }
    }
}
