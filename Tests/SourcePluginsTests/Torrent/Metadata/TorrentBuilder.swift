import SourcePlugins

/// Small torrents of each kind, with hashes that are made up.
enum TorrentBuilder {
    struct File {
        var path: [String]
        var size: Int64
        var attributes = ""
    }

    static let pieceLength: Int64 = 16_384

    static let files = [
        File(path: ["a.mkv"], size: 40_000), File(path: ["b", "x.srt"], size: 5), File(path: ["c.txt"], size: 0),
        File(path: ["d.mp4"], size: 100_000),
    ]

    static func v1(_ files: [File] = files, name: String = "T") -> [UInt8] {
        var writer = BencodeWriter()
        writer.dictionary { writer in
            writeList(files, &writer)
            writeTail(files.reduce(0) { $0 + $1.size }, isV2: false, name: name, &writer)
        }
        return writer.bytes
    }

    static func v2(_ files: [File] = files, name: String = "T") -> [UInt8] {
        var writer = BencodeWriter()
        writer.dictionary { writer in
            writer.string("file tree")
            writeTree(files, &writer)
            writer.string("meta version")
            writer.integer(2)
            writer.string("name")
            writer.string(name)
            writer.string("piece length")
            writer.integer(pieceLength)
        }
        return writer.bytes
    }

    static func hybrid(_ files: [File] = files, name: String = "T") -> [UInt8] {
        let padded = files.flatMap { file in
            let rest = -file.size & (pieceLength - 1)
            return rest == 0 ? [file] : [file, File(path: [".pad", "\(rest)"], size: rest, attributes: "p")]
        }
        var writer = BencodeWriter()
        writer.dictionary { writer in
            writer.string("file tree")
            writeTree(files, &writer)
            writeList(padded, &writer)
            writer.string("meta version")
            writer.integer(2)
            writeTail(padded.reduce(0) { $0 + $1.size }, isV2: true, name: name, &writer)
        }
        return writer.bytes
    }

    /// A .torrent file around `info`.
    static func upload(_ info: [UInt8], trackers: [String] = []) -> [UInt8] {
        var writer = BencodeWriter()
        writer.dictionary { writer in
            writer.string("announce-list")
            writer.list { writer in
                for tracker in trackers { writer.list { $0.string(tracker) } }
            }
            writer.string("info")
            writer.encoded(info)
            writer.string("url-list")
            writer.string("http://127.0.0.1/")
        }
        return writer.bytes
    }

    private static func writeList(_ files: [File], _ writer: inout BencodeWriter) {
        writer.string("files")
        writer.list { writer in
            for file in files {
                writer.dictionary { writer in
                    if !file.attributes.isEmpty {
                        writer.string("attr")
                        writer.string(file.attributes)
                    }
                    writer.string("length")
                    writer.integer(file.size)
                    writer.string("path")
                    writer.list { writer in
                        for name in file.path { writer.string(name) }
                    }
                }
            }
        }
    }

    private static func writeTail(_ total: Int64, isV2: Bool, name: String, _ writer: inout BencodeWriter) {
        writer.string("name")
        writer.string(name)
        writer.string("piece length")
        writer.integer(pieceLength)
        writer.string("pieces")
        writer.string([UInt8](repeating: 0xAA, count: 20 * Int((total + pieceLength - 1) / pieceLength)))
    }

    /// Files in order, each in at most one directory, and no directory twice.
    private static func writeTree(_ files: [File], _ writer: inout BencodeWriter) {
        writer.dictionary { writer in
            for file in files {
                writer.string(file.path[0])
                if file.path.count == 1 {
                    writeLeaf(file, &writer)
                } else {
                    writer.dictionary { writer in
                        writer.string(file.path[1])
                        writeLeaf(file, &writer)
                    }
                }
            }
        }
    }

    private static func writeLeaf(_ file: File, _ writer: inout BencodeWriter) {
        writer.dictionary { writer in
            writer.string("")
            writer.dictionary { writer in
                writer.string("length")
                writer.integer(file.size)
                guard file.size > 0 else { return }
                writer.string("pieces root")
                writer.string([UInt8](repeating: 0xBB, count: 32))
            }
        }
    }
}
