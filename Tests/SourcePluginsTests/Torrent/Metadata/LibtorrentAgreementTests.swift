import Foundation
import SourceContract
import SourcePlugins
import Testing

/// What libtorrent makes of a torrent.
private struct Loaded: Decodable {
    let error: String?
    /// Size, offset and whether it is a pad file, of each file in order.
    let files: [[Int64]]?
    let piece_length: Int64?
    let pieces: Int?
    let last_piece: Int64?
    let total: Int64?
    let v1: String?
    let v2: String?
    let trackers: [String]?
    let others: Int?
}

/// `make DIRECTORY COUNT` writes torrents, some by libtorrent itself. `load DIRECTORY` prints what libtorrent makes of
/// each file.
private let script = #"""
    import json, os, random, shutil, sys
    import libtorrent as lt

    def make(directory, count):
        import hostile_torrents as h
        rng = random.Random(count)
        sizes = [0, 1, 5, 16383, 16384, 16385, 32768, 40000, 100000]
        def files():
            names = rng.sample(range(100), rng.randint(1, 9))
            return [([b"d%d" % (n % 3)] * rng.randint(0, 1) + [b"f%02d.mkv" % n], rng.choice(sizes)) for n in names]
        for number in range(count):
            some = files() + [([b"z"], 1)]
            kind = number % 4
            if kind == 0:
                extra = [(path, size, {"attr": rng.choice("xhp")}) for path, size in some]
                link = [([b"link"], 0, {"attr": "l", "symlink path": [b"z"]})] * rng.randint(0, 1)
                torrent = h.v1(extra + link, piece_length=rng.choice([16384, 20000, 65536]))
            elif kind == 1:
                torrent = h.v2(some, piece_length=rng.choice([16384, 32768, 131072]))
            elif kind == 2:
                torrent = h.hybrid(some, piece_length=rng.choice([16384, 32768]), tail=rng.random() < 0.5)
            else:
                own(directory, number, some, rng)
                continue
            write(directory, number, torrent.bytes())

    def write(directory, number, data):
        with open(os.path.join(directory, "%04d.torrent" % number), "wb") as file:
            file.write(data)

    def own(directory, number, files, rng):
        root = os.path.join(directory, "content")
        storage = lt.file_storage()
        for path, size in files:
            name = b"/".join([b"T", *path]).decode()
            os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
            with open(os.path.join(root, name), "wb") as file:
                file.write(rng.randbytes(size))
            storage.add_file(name, size)
        flags = rng.choice([lt.create_torrent.v1_only, lt.create_torrent.v2_only, lt.create_torrent.canonical_files,
            lt.create_torrent.canonical_files_no_tail_padding])
        torrent = lt.create_torrent(storage, 16384, flags)
        lt.set_piece_hashes(torrent, root)
        write(directory, number, lt.bencode(torrent.generate()))
        shutil.rmtree(root)

    def load(path):
        try:
            info = lt.torrent_info(path)
        except RuntimeError as error:
            return {"error": str(error)}
        files, hashes = info.files(), info.info_hashes()
        numbers = range(files.num_files())
        return {
            "files": [[files.file_size(i), files.file_offset(i), int(bool(files.file_flags(i) & files.flag_pad_file))]
                for i in numbers],
            "piece_length": info.piece_length(), "pieces": info.num_pieces(), "total": info.total_size(),
            "last_piece": info.piece_size(info.num_pieces() - 1),
            "v1": str(hashes.v1) if hashes.has_v1() else None, "v2": str(hashes.v2) if hashes.has_v2() else None,
            "trackers": sorted(tracker.url for tracker in info.trackers()),
            "others": len(info.web_seeds()) + len(info.nodes()),
        }

    sys.path.insert(0, sys.argv[1])
    if sys.argv[2] == "make":
        make(sys.argv[3], int(sys.argv[4]))
    names = sorted(name for name in os.listdir(sys.argv[3]) if name.endswith(".torrent"))
    print(json.dumps({name: load(os.path.join(sys.argv[3], name)) for name in names}))
    """#

@Suite(
    "agreement with libtorrent",
    .enabled(if: PythonScript.withLibtorrent != nil, "needs libtorrent's Python bindings")
)
struct LibtorrentAgreementTests {
    @Test("files and pieces have libtorrent's numbers, and the vetted file is the same torrent")
    func generated() async throws {
        try await withTemporaryDirectory { directory in
            let loaded = try await run("make", directory.path, "400")
            #expect(loaded.count == 400)
            try directory.makeDirectory("vetted")
            for (name, expected) in loaded {
                let upload = try TorrentUpload(bytes(directory.path(name)))
                check(name, upload, expected)
                try Data(upload.vetted).write(to: URL(filePath: directory.path("vetted/\(name)")))
            }
            for (name, again) in try await run("load", directory.path("vetted")) {
                let first = try #require(loaded[name])
                #expect(again.files == first.files)
                #expect(again.v1 == first.v1)
                #expect(again.v2 == first.v2)
            }
        }
    }

    @Test("libtorrent takes every hostile torrent that is accepted, and sees the same files in it")
    func hostile() async throws {
        try await withTemporaryDirectory { directory in
            try await PythonScript.output(
                try #require(PythonScript.withLibtorrent),
                ["\(PythonScript.acceptance)/hostile_torrents.py", directory.path]
            )
            try directory.makeDirectory("vetted")
            var uploads: [String: TorrentUpload] = [:]
            for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
                guard name.hasSuffix(".torrent"), let upload = try? TorrentUpload(bytes(directory.path(name))) else {
                    continue
                }
                uploads[name] = upload
                try Data(upload.vetted).write(to: URL(filePath: directory.path("vetted/\(name)")))
            }
            let loaded = try await run("load", directory.path("vetted"))
            #expect(loaded.count == uploads.count)
            for (name, expected) in loaded { check(name, try #require(uploads[name]), expected) }
        }
    }

    private func check(_ name: String, _ upload: TorrentUpload, _ expected: Loaded) {
        let torrent = upload.metadata
        #expect(expected.error == nil, "\(name)")
        #expect(torrent.files.map { [$0.size, $0.offset] } == expected.files?.map { Array($0.prefix(2)) }, "\(name)")
        // Padding that only its name tells is downloaded by libtorrent, and not shown by us.
        let pads = zip(torrent.files, expected.files ?? []).filter { $0.0.isPad != ($0.1.last == 1) }
        #expect(pads.allSatisfy { $0.0.isPad && $0.0.path.dropLast().last?.description == ".pad" }, "\(name)")
        #expect(torrent.pieceLength == expected.piece_length, "\(name)")
        #expect(torrent.pieceCount == expected.pieces, "\(name)")
        #expect(torrent.totalSize == expected.total, "\(name)")
        #expect(torrent.pieceSize(torrent.pieceCount - 1) == expected.last_piece, "\(name)")
        #expect(torrent.hashes.v1?.description == expected.v1, "\(name)")
        #expect(torrent.hashes.v2?.description == expected.v2, "\(name)")
        #expect(upload.trackers.map(\.text).sorted() == expected.trackers, "\(name)")
        #expect(expected.others == 0, "\(name)")
    }

    private func run(_ arguments: String...) async throws -> [String: Loaded] {
        let interpreter = try #require(PythonScript.withLibtorrent)
        let printed = try await PythonScript.output(
            interpreter,
            ["-W", "ignore", "-c", script, PythonScript.acceptance] + arguments
        )
        return try JSONDecoder().decode([String: Loaded].self, from: printed)
    }

    private func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: path)))
    }
}
