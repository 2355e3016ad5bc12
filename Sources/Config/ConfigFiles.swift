/// The file system as the loader needs it. The loader itself does no other I/O.
package protocol ConfigFiles: Sendable {
    /// The absolute path that relative paths given by the user start from.
    var workingDirectory: String { get }

    /// Reads the regular file at an absolute path, links followed.
    ///
    /// - Throws: `tooLarge` if there are more than `limit` bytes, or what else was in the way.
    func read(_ path: String, limit: Int) throws(ConfigFileProblem) -> ConfigFileContent

    /// What is in the way of using the directory at an absolute path, links followed; `nil` if nothing is.
    func problem(ofDirectory path: String) -> ConfigFileProblem?

    /// How large the file system of an absolute path is, or of what there is of the path, in bytes; `nil` if unknown.
    func fileSystemSize(_ path: String) -> Int64?

    /// The names in the directory at an absolute path, in any order.
    func list(_ path: String) throws(ConfigFileProblem) -> ConfigDirectoryContent
}

extension ConfigFiles {
    package func problem(ofDirectory path: String) -> ConfigFileProblem? {
        do {
            _ = try list(path)
            return nil
        } catch {
            return error
        }
    }

    package func fileSystemSize(_ path: String) -> Int64? { nil }
}

package struct ConfigFileContent: Sendable {
    package var bytes: [UInt8]
    package var isWorldReadable: Bool
    package var isWorldWritable: Bool

    package init(bytes: [UInt8], isWorldReadable: Bool = false, isWorldWritable: Bool = false) {
        self.bytes = bytes
        self.isWorldReadable = isWorldReadable
        self.isWorldWritable = isWorldWritable
    }
}

package struct ConfigDirectoryContent: Sendable {
    package var names: [String]
    package var isWorldWritable: Bool

    package init(names: [String], isWorldWritable: Bool = false) {
        self.names = names
        self.isWorldWritable = isWorldWritable
    }
}

/// Why a file or a directory could not be read.
package enum ConfigFileProblem: Error, Sendable, Hashable {
    case missing
    case notPermitted
    case isDirectory
    case notADirectory
    /// A device, a socket or a pipe.
    case isSpecial
    case tooLarge
    /// Another error number of the system.
    case system(Int32)
}

extension ConfigFileProblem: CustomStringConvertible {
    /// What follows the name of the file in a message.
    package var description: String {
        switch self {
        case .missing: "does not exist"
        case .notPermitted: "may not be read by this user"
        case .isDirectory: "is a directory"
        case .notADirectory: "is not a directory"
        case .isSpecial: "is not a regular file"
        case .tooLarge: "is too large"
        case .system(let number): "cannot be read (error \(number))"
        }
    }
}
