import FoundationEssentials
import Glibc

/// Directories that belong to a source.
enum Directory {
    /// Deletes a directory with everything in it, following no link. Does nothing if there is none. Blocks.
    ///
    /// - Throws: ``SourceError`` `unavailable`.
    static func remove(_ path: String) throws {
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch let error as CocoaError where error.code == .fileNoSuchFile {
            return
        } catch {
            throw SourceError(.unavailable, "the directory \(path) cannot be deleted", cause: error)
        }
    }

    /// Whether there is something of that name. Blocks.
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// The bytes that each directory below `path` takes on the disk, by its name. Blocks.
    static func sizes(in path: String) -> [String: Int64] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.reduce(into: [:]) { $0[$1] = size(path + "/" + $1, depth: 0) }
    }

    private static func size(_ path: String, depth: Int) -> Int64 {
        var status = stat()
        guard lstat(path, &status) == 0 else { return 0 }
        let own = Int64(status.st_blocks).multipliedReportingOverflow(by: 512).partialValue
        guard status.st_mode & S_IFMT == S_IFDIR, depth < 64 else { return own }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.reduce(own) { $0 &+ size(path + "/" + $1, depth: depth + 1) }
    }
}
