import SourcePlugins

/// Links to every directory above `path`, from the landing page down.
func breadcrumbs(to path: MediaPath, mount: MountAddress) -> HTML {
    var links: [HTML] = ["<a href=\"/\">media-gateway</a>"]
    // A source at the root has the landing page above it and nothing between.
    if mount.url != "/", !path.isRoot {
        links.append("<a href=\"\(mount.url)\"><bdi>\(String(mount.title.dropFirst()))</bdi></a>")
    }
    var directory = MediaPath.root
    for name in path.components.dropLast() {
        directory = directory.appending(name, isDirectory: true)
        links.append("<a href=\"\(mount.url(directory))\"><bdi>\(name.displayText)</bdi></a>")
    }
    return "<nav class=\"crumbs quiet\" aria-label=\"Path\">\(links.map { "\($0)<span>/</span>" as HTML })</nav>"
}
