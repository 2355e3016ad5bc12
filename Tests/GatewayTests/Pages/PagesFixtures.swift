import Gateway
import SourcePlugins

/// A file of `size` bytes, last changed on 1 May 2024.
func fileEntry(_ name: String, size: Int64 = 1000) throws -> MediaEntry {
    try fileEntry(Array(name.utf8), size: size)
}

func fileEntry(_ name: [UInt8], size: Int64 = 1000) throws -> MediaEntry {
    MediaEntry(
        name: try MediaPath.Component(name),
        kind: .file(size: size),
        lastModified: Timestamp(seconds: 1_714_564_800)
    )
}

func directoryEntry(_ name: String) throws -> MediaEntry {
    MediaEntry(name: try MediaPath.Component(name.utf8), kind: .directory, lastModified: nil)
}

func listing(_ entries: [MediaEntry], at path: String = "", mount: String = "/media") throws -> Listing {
    Listing(entries, mount: MountAddress(mount), path: try MediaPath(path))
}

/// Names that file systems and torrents may hold, and what a page must not let them do.
let hostileNames = [
    "<script>alert(1)<script>.mp4",
    "\"><img src=x onerror=alert(1)>.mp4",
    "' onmouseover='alert(1).mp4",
    "a\r\nContent-Type: text-html.mp4",
    "a\n#EXTVLCOPT:input-slave=x.mp4",
    "javascript:alert(1).mp4",
    "?play&x=1#y.mp4",
    "100%.mp4",
    "film\u{202E}4pm.exe.mp4",
    "&lt;b&gt;.mp4",
    "a#b.mp4",
]
