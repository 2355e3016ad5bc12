"""How torrents come in: every spelling of a link, who may, how often; and the routes of the replaced backend."""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import gateway
import report
import torrent_probe
from content import KIB
from torrent_probe import MOUNT, Torrent, TorrentServer
from wire import Connection, Reply

ABSENT = "0123456789abcdef0123456789abcdef01234567"
FILES = ("film one.mkv:3000000", "extras/ünder & über #1.mp4:1500000", "extras/same.txt:1000", "other/same.txt:2000",
         "film one.en.srt:0")
SUBTITLE = b"1\n00:00:01,000 --> 00:00:02,500\nHello.\n\n"


# One torrent, however it is written


def spellings(torrent: Torrent) -> dict[str, tuple[str, bytes, str | None]]:
    """Name to target, body and content type; a ``GET`` where the body is empty."""
    peer = f"x.pe=127.0.0.1:{torrent.port}"
    hexadecimal = torrent.hash
    base32 = base64.b32encode(bytes.fromhex(hexadecimal)).decode()
    link = f"magnet:?xt=urn:btih:{hexadecimal}&dn=A%20film&{peer}"
    form = "application/x-www-form-urlencoded"
    texts = {
        "hexadecimal": link,
        "upper case": f"MAGNET:?XT=URN:BTIH:{hexadecimal.upper()}&{peer}",
        "base32": f"magnet:?xt=urn:btih:{base32}&{peer}",
        "base32 in lower case": f"magnet:?xt=urn:btih:{base32.lower()}&{peer}",
        "spaces around": f"  {link} \t",
        "quotes around": f'"{link}"',
        "angle brackets around": f"<{link}>",
        "a line break in the middle": link[:60] + "\r\n" + link[60:],
        "a line break at the end": link + "\r\n",
        "percent-encoded": quote(link, safe=""),
        "xt percent-encoded": f"magnet:?xt=urn%3Abtih%3A{hexadecimal}&{peer}",
        "& as an entity": link.replace("&", "&amp;"),
        "xt last": f"magnet:?{peer}&dn=x&xt=urn:btih:{hexadecimal}",
        "xt.1": f"magnet:?xt.1=urn:btih:{hexadecimal}&{peer}",
        "a plus in the name": f"magnet:?xt=urn:btih:{hexadecimal}&dn=A+film+%2B&{peer}",
        "hash alone": hexadecimal,
        "hash alone in upper case": hexadecimal.upper(),
        "hash alone in base32": base32,
    }
    posts = {name: (f"{MOUNT}/", text.encode(), "text/plain") for name, text in texts.items()}
    posts |= {
        "as a form": (f"{MOUNT}/", f"magnet={quote(link, safe='')}".encode(), form),
        "as a form with pluses": (f"{MOUNT}/", f"uri=+{quote(link, safe='')}+".encode(), form),
        "as a link that is called a form": (f"{MOUNT}/", link.encode(), form),
        "as JSON": (f"{MOUNT}/", json.dumps({"uri": link}).encode(), "application/json"),
        "play with the link's own query": (f"{MOUNT}/play?{link.removeprefix('magnet:?')}", b"", None),
        "play with ?magnet=": (f"{MOUNT}/play?magnet={quote(link, safe='')}", b"", None),
    }
    return posts


def tags(server: TorrentServer, hash: str) -> list[str]:
    item = json.loads(server.get(f"{MOUNT}/{hash}/").body)
    return [f"{file['etag']} {server.get(file['url'], method='HEAD').header('etag')}" for file in item["files"]]


def one_torrent(server: TorrentServer, torrent: Torrent, out: report.Report, every: int) -> None:
    """Every so many-th spelling brings it in anew; the others name what is known."""
    tally = report.Tally()
    server.bring_in(torrent)
    expected = tags(server, torrent.hash)
    for number, (name, (target, body, content_type)) in enumerate(spellings(torrent).items()):
        removed = 200
        if number % every == 0 and "hash alone" not in name:  # which says of no peer
            removed = server.ask_admin(f"/admin/v1/torrents/{torrent.hash}?force=1", "DELETE").status
        reply = server.post(target, body, content_type) if body else server.get(target)
        place = reply.header("location") or ""
        is_right = reply.status in (200, 201, 303) and place.startswith(f"{MOUNT}/{torrent.hash}/")
        tally.expect(removed == 200 and is_right,
                     f"{name}: {reply.status} to {place!r} {reply.body[:120]!r}")
        known = [status["hash"] for status in server.statuses()]
        tally.expect(known == [torrent.hash], f"{name}: known are {known}")
        if known == [torrent.hash]:
            tally.expect(tags(server, torrent.hash) == expected, f"{name}: other ETags")
    tally.into(out, "every spelling of a link gives one hash and the same ETags",
               f"{len(spellings(torrent))} spellings of {len(expected)} files")


def uploads(server: TorrentServer, torrent: Torrent, out: report.Report) -> None:
    what = "a .torrent is taken under every content type that clients send"
    tally = report.Tally()
    server.bring_in(torrent)
    expected = tags(server, torrent.hash)
    data = Path(torrent.file).read_bytes()
    for content_type in ("application/x-bittorrent", "application/octet-stream", "application/x-www-form-urlencoded",
                         None):
        server.ask_admin(f"/admin/v1/torrents/{torrent.hash}?force=1", "DELETE")
        first, second = (server.post(f"{MOUNT}/", data, content_type) for _ in range(2))
        tally.expect((first.status, second.status) == (201, 200), f"{content_type}: {first.status}, {second.status}")
        tally.expect(first.header("location") == f"{MOUNT}/{torrent.hash}/", f"{content_type}: to another place")
        tally.expect(tags(server, torrent.hash) == expected, f"{content_type}: other ETags")
    tally.into(out, what)
    refused = report.Tally()
    for name, body, content_type, status in (
        ("no link", b"hello", "text/plain", 400), ("nothing", b" ", "text/plain", 400),
        ("another link", b"http://127.0.0.1/", "text/plain", 400), ("a short hash", b"abc123", "text/plain", 400),
        ("no .torrent", b"d4:infoe", "application/x-bittorrent", 400), ("no JSON", b"{", "application/json", 400),
        ("a picture", b"x", "image/png", 415), ("a .torrent cut off", data[:-1], "application/x-bittorrent", 400),
    ):
        reply = server.post(f"{MOUNT}/", body, content_type)
        kind = reply.header("content-type") or ""
        refused.expect(reply.status == status and kind == "application/problem+json", f"{name}: {reply.status} {kind}")
    refused.into(out, "what is no torrent is refused with 400 or 415")


def play(server: TorrentServer, torrent: Torrent, out: report.Report) -> None:
    tally = report.Tally()
    for query, index in (("", 0), ("&file=1", 1), ("&file=2", 2)):
        reply = server.get(f"{MOUNT}/play?{torrent.query}{query}")
        place = reply.header("location") or ""
        tally.expect(reply.status == 303 and place == torrent.path(index), f"{query!r}: {reply.status} to {place!r}")
        tally.expect(server.get(place).body == torrent.content(index), f"{query!r}: other bytes")
    for query, status in (("&file=99", 404), ("&file=x", 400)):
        reply = server.get(f"{MOUNT}/play?{torrent.query}{query}")
        tally.expect(reply.status == status, f"{query}: {reply.status}")
    tally.into(out, "play?xt= leads to the largest video, or to the file that is asked for")


# Who may, and how often


def strangers(server: TorrentServer, torrent: Torrent, out: report.Report) -> None:
    tally = report.Tally()
    unknown = torrent.magnet.encode()
    local = f"http://127.0.0.1:{server.port}"
    refused = (
        ("another origin", [("Origin", "http://evil.example")]),
        ("another port", [("Origin", "http://127.0.0.1:1")]),
        ("an opaque origin", [("Origin", "null")]),
        ("a form of another site", [("Sec-Fetch-Site", "cross-site")]),
        ("another page of the same site", [("Sec-Fetch-Site", "same-site")]),
        ("a proxy that is not known", [("X-Forwarded-For", "203.0.113.7")]),
    )
    ways = (("POST", f"{MOUNT}/"), ("GET", f"{MOUNT}/play?{torrent.query}"), ("GET", f"{MOUNT}/{torrent.hash}/"),
            ("GET", f"/metadata/{torrent.hash}"), ("GET", f"/streamfile/{torrent.hash}/a"),
            ("DELETE", f"/remove/{torrent.hash}"))
    for name, fields in refused:
        for method, target in ways:
            reply = (server.post(target, unknown, "text/plain", fields) if method == "POST"
                     else server.get(target, fields, method))
            tally.expect(reply.status == 403, f"{name}, {method} {target[:20]}: {reply.status}")
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example", "[2001:db8::1]:80",
                 "10.0.0.1"):
        reply = with_host(server, host, unknown)
        tally.expect(reply.status == 403, f"Host: {host}: {reply.status}")
    tally.expect(not server.statuses(), f"{len(server.statuses())} are known")
    for name, fields in (("its own page", [("Origin", local), ("Host", local.removeprefix("http://"))]),):
        with Connection(server.address) as connection:
            lines = "".join(f"{key}: {value}\r\n" for key, value in fields)
            connection.send(f"POST {MOUNT}/ HTTP/1.1\r\n{lines}Content-Type: text/plain\r\n"
                            f"Content-Length: {len(unknown)}\r\n\r\n".encode() + unknown)
            reply = connection.reply("POST")
        tally.expect(reply.status == 201, f"{name}: {reply.status} {reply.body[:100]!r}")
    for host in ("localhost", "127.0.0.1", "[::1]:99"):
        reply = with_host(server, host, unknown)
        tally.expect(reply.status == 200, f"Host: {host}: {reply.status}")
    tally.into(out, "pages of other sites, foreign Host fields and unknown proxies bring nothing in (403)")


def with_host(server: TorrentServer, host: str, body: bytes) -> Reply:
    with Connection(server.address) as connection:
        connection.send(f"POST {MOUNT}/ HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return connection.reply("POST")


def limits(torrent: Torrent, out: report.Report, quick: bool) -> None:
    allowed = 4
    with TorrentServer('metadata_timeout = "1s"', resolve=f"{allowed}/min") as server:
        reply = server.post(f"{MOUNT}/", torrent.magnet.encode())
        asked = [f"/metadata/{ABSENT}", f"{MOUNT}/{ABSENT}/", f"{MOUNT}/play?xt=urn:btih:{ABSENT}", f"/add/{ABSENT}",
                 f"/streamfile/{ABSENT}/a", f"{MOUNT}/{ABSENT}/~0", f"/stream/{ABSENT}"]
        answers = [server.get(path) for path in asked]
        codes = [reply.status] + [answer.status for answer in answers]
        right = [201] + [504] * (allowed - 1) + [429] * (len(asked) - allowed + 1)
        out.check(codes == right, f"resolve_per_ip {allowed}/min: all routes count together, then 429", f"{codes}")
        last = answers[-1]
        wait = last.header("retry-after") or ""
        out.check(wait.isdigit() and 0 < int(wait) <= 60 and b"rate_limited" in last.body,
                  "429 says when to come again", f"Retry-After: {wait}")
        tally = report.Tally()
        for _ in range(20 if quick else 200):
            for path in (f"/metadata/{torrent.hash}", f"{MOUNT}/{torrent.hash}/", f"{MOUNT}/play?{torrent.query}"):
                code = server.get(path).status
                tally.expect(code in (200, 303), f"{path}: {code}")
            code = server.post(f"{MOUNT}/", torrent.magnet.encode()).status
            tally.expect(code == 200, f"POST: {code}")
        tally.into(out, "what is known never counts against resolve_per_ip")


def at_once(server: TorrentServer, torrent: Torrent, out: report.Report, count: int = 50) -> None:
    barrier = threading.Barrier(count)
    replies: list[Reply | Exception] = []

    def add() -> None:
        try:
            barrier.wait(20)
            replies.append(server.post(f"{MOUNT}/", torrent.magnet.encode()))
        except Exception as error:  # whatever it is, it is a result
            replies.append(error)

    threads = [threading.Thread(target=add) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    good = [reply for reply in replies if isinstance(reply, Reply) and reply.status in (200, 201)]
    hashes = {json.loads(reply.body)["hash"] for reply in good}

    def found() -> int:
        return sum('"torrent found"' in line and torrent.hash in line for line in server.output)

    # The log is read beside this.
    torrent_probe.await_true(lambda: found() > 0, 2)
    statuses = server.statuses()
    out.check(len(good) == count and hashes == {torrent.hash} and len(statuses) == 1 and found() == 1,
              f"{count} who add one hash at once get one torrent",
              f"{len(good)} answers, {len(statuses)} torrents, found {found()} times"
              + "".join(f", {reply}" for reply in replies if reply not in good)[:200])


def busy_machine(out: report.Report, quick: bool) -> None:
    """Peers send the first pieces while the description is still being looked at, and later than that on a busy one."""
    count = 16 if quick else 100
    spinning = [gateway.child([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    tally = report.Tally()
    try:
        with torrent_probe.swarm(*[600 * KIB] * count, piece=64 * KIB) as seeder, \
                TorrentServer(f"max_active = {count}") as server:
            for torrent in seeder.torrents:
                server.bring_in(torrent)
                try:
                    reply = server.get(torrent.path(), timeout=5)
                    tally.expect(reply.body == torrent.content(), f"{reply}")
                except TimeoutError:
                    tally.expect(False, f"no byte for 5 s, {server.told(torrent)}")
                if len(tally.faults) > 2:
                    break
    finally:
        for process in spinning:
            process.kill()
    tally.into(out, "on a busy machine a torrent plays as soon as it has come in, and no piece is missed")


# The replaced backend's routes


def old_routes(server: TorrentServer, torrent: Torrent, out: report.Report) -> None:
    link = quote(torrent.magnet, safe="")
    texts = report.Tally()

    def expect(path: str, status: int, text: str | None = None, method: str = "GET",
               fields: list[tuple[str, str]] | None = None) -> Reply:
        reply = server.get(path, fields, method)
        body = reply.body.decode(errors="replace")
        shown = path.replace(link, "MAGNET").replace(torrent.hash, "HASH")
        texts.expect(reply.status == status and (text is None or body.strip() == text),
                     f"{method} {shown}: {reply.status} {body[:80]!r}")
        return reply

    expect("/ping", 200, "pong")
    for route in ("details/{}", "detailsepisode/{}/a", "deselect/{}/a"):
        expect("/" + route.format(ABSENT), 404, "Torrent not found")
    expect(f"/remove/{ABSENT}", 404, "Torrent not found", "DELETE")
    listed = json.loads(expect(f"/add/{link}", 200).body)
    expected = [{"length": size, "name": path.rsplit("/", 1)[-1]} for path, size in torrent.files]
    texts.expect(listed == expected, f"/add lists {listed}")
    for name in (link, torrent.hash, torrent.hash.upper()):
        texts.expect(json.loads(expect(f"/metadata/{name}", 200).body) == expected, "/metadata lists others")
    expect(f"/streamfile/{torrent.hash}/nothing.mkv", 404, "No file found in the torrent")
    expect(f"/detailsepisode/{torrent.hash}/nothing.mkv", 404, "No file found in the torrent")
    expect(f"/deselect/{torrent.hash}/nothing.mkv", 404, "No file found in the torrent")
    expect(f"/streamfile/{torrent.hash}/same.txt", 409)
    expect("/metadata/hello", 400)
    expect(f"/metadata/{torrent.hash}", 405, method="POST")
    video = quote("film one.mkv")
    expect(f"/deselect/{link}/{video}", 200, "File deselected successfully")
    expect(f"/deselect/{link}/{video}", 200, "File deselected successfully")
    texts.into(out, "old routes: status, JSON and texts as they were")
    bytes_of(server, torrent, link, out)
    figures(server, torrent, link, out)
    ended = report.Tally()
    reply = server.get(f"/remove/{link}", method="DELETE")
    ended.expect(reply.status == 200 and reply.body.strip() == b"Torrent removed successfully",
                 f"/remove: {reply.status} {reply.body[:80]!r}")
    again = server.get(f"/details/{torrent.hash}")
    ended.expect(again.status == 404 and again.body.strip() == b"Torrent not found", f"then /details: {again.status}")
    ended.expect(server.status(torrent) is None and server.on_disk() == 0, f"{server.on_disk()} bytes are left")
    ended.into(out, "old routes: DELETE /remove removes")


def bytes_of(server: TorrentServer, torrent: Torrent, link: str, out: report.Report) -> None:
    tally = report.Tally()
    film, extra = torrent.content(0), torrent.content(1)
    size = len(film)
    for name, index in (("film one.mkv", 0), ("extras/ünder & über #1.mp4", 1), ("ünder & über #1.mp4", 1),
                        (torrent.files[1][0], 1), ("other/same.txt", 3)):
        for reference in (link, torrent.hash):
            reply = server.get(f"/streamfile/{reference}/{quote(name, safe='')}")
            tally.expect(reply.status == 200 and reply.body == torrent.content(index), f"{name}: {reply}")
    slashes = server.get(f"/streamfile/{torrent.hash}/{quote('extras/ünder & über #1.mp4')}")
    tally.expect(slashes.body == extra, f"a name with slashes as they are: {slashes}")
    path = f"/streamfile/{torrent.hash}/{quote('film one.mkv')}"
    for value, part in (("bytes=0-0", film[:1]), ("bytes=-7", film[-7:]), (f"bytes={size - 5}-", film[-5:]),
                        ("bytes=1000-70000", film[1000:70001]), (f"bytes=100-{size * 2}", film[100:])):
        reply = server.get(path, [("Range", value)])
        tally.expect(reply.status == 206 and reply.body == part, f"{value}: {reply}")
    beyond = server.get(path, [("Range", f"bytes={size}-")])
    tally.expect(beyond.status == 416 and beyond.header("content-range") == f"bytes */{size}", f"beyond: {beyond}")
    canonical = server.get(torrent.path(), method="HEAD")
    for where in (path, f"/stream/{link}"):
        head = server.get(where, method="HEAD")
        tally.expect(head.status == 200 and head.header("content-length") == str(size), f"HEAD {where[:20]}: {head}")
        tally.expect(head.header("etag") == canonical.header("etag") and head.header("content-type")
                     == canonical.header("content-type") == "video/x-matroska", f"HEAD {where[:20]}: {head.fields}")
    stream = server.get(f"/stream/{torrent.hash}")
    tally.expect(stream.status == 200 and stream.body == film, f"/stream: {stream}")
    tally.into(out, "old routes: bytes, ranges, HEAD, types and names")


def figures(server: TorrentServer, torrent: Torrent, link: str, out: report.Report) -> None:
    tally = report.Tally()
    torrent_probe.await_true(lambda: (server.status(torrent) or {}).get("done_bytes", 0) > 3_000_000, 5)
    details = json.loads(server.get(f"/details/{link}").body)
    keys = {"name", "length", "downloaded", "uploaded", "downloadSpeed", "uploadSpeed", "progress", "ratio", "numPeers"}
    tally.expect(details.keys() == keys, f"/details has {sorted(details)}")
    total = sum(size for _, size in torrent.files)
    tally.expect(details["length"] == total and 0 < details["progress"] <= 1 and details["downloaded"] > 0,
                 f"/details says {details}")
    at = 2_400_000
    server.get(f"/streamfile/{torrent.hash}/{quote('film one.mkv')}", [("Range", f"bytes={at}-")])
    episode = json.loads(server.get(f"/detailsepisode/{link}/{quote('film one.mkv')}").body)
    tally.expect(episode.keys() == {"name", "length", "downloaded", "progress", "percentageWatched"},
                 f"/detailsepisode has {sorted(episode)}")
    tally.expect(episode["length"] == 3_000_000 and abs(episode["percentageWatched"] - 80) < 0.01
                 and episode["name"] == "film one.mkv" and episode["progress"] == 1, f"/detailsepisode says {episode}")
    other = json.loads(server.get(f"/detailsepisode/{link}/{quote('extras/ünder & über #1.mp4', safe='')}").body)
    tally.expect(other["percentageWatched"] == 0, f"another file is watched to {other['percentageWatched']}")
    downloads = json.loads(server.get("/downloadsInfo").body)
    tally.expect(isinstance(downloads, list) and downloads[0].keys() == {"clientDownloadSpeed", "clientUploadSpeed"}
                 and [entry.keys() for entry in downloads[1:]] == [keys], f"/downloadsInfo says {downloads}")
    tally.into(out, "old routes: /details, /detailsepisode and /downloadsInfo have their keys and true figures")


def subtitles(out: report.Report) -> None:
    with gateway.folder("seed.") as folder:
        (folder / "A film").mkdir()
        (folder / "A film" / "film.mkv").write_bytes(bytes(100_000))
        (folder / "A film" / "film.en.srt").write_bytes(SUBTITLE)
        with torrent_probe.seed_files([folder / "A film"]) as seeder, TorrentServer() as server:
            reply = server.get(f"/subtitles/{quote(seeder.torrent.magnet, safe='')}")
            out.check(reply.status == 200 and (reply.header("content-type") or "").startswith("text/vtt")
                      and reply.body.startswith(b"WEBVTT") and b"00:00:01.000 --> 00:00:02.500\nHello." in reply.body,
                      "old routes: /subtitles gives the first one as WebVTT", f"{reply} {reply.header('content-type')}")


def closed(torrent: Torrent, out: report.Report) -> None:
    tally = report.Tally()
    with TorrentServer(compat=False) as server:
        for path in (f"/metadata/{torrent.hash}", "/downloadsInfo", f"/stream/{torrent.hash}"):
            reply = server.get(path)
            tally.expect(reply.status == 404, f"{path[:20]}: {reply.status}")
        tally.expect(not server.statuses(), "a torrent came in")
    with TorrentServer(add="admin") as server:
        ways = (f"{MOUNT}/{torrent.hash}/", f"/metadata/{torrent.hash}", f"{MOUNT}/play?{torrent.query}")
        codes = [server.post(f"{MOUNT}/", torrent.magnet.encode()).status] + [server.get(way).status for way in ways]
        tally.expect(codes == [403] * 4, f"add = admin: {codes}")
        uri = quote(torrent.magnet, safe="")
        added = server.ask_admin(f"/admin/v1/torrents?uri={uri}", "POST")
        tally.expect(added.status == 201, f"by the admin listener: {added.status} {added.body[:100]!r}")
        tally.expect(server.get(torrent.path()).body == torrent.content(), "the admin's torrent does not play")
    tally.into(out, 'compat.enabled = false closes the old routes, add = "admin" all ways in but the admin\'s')


def main(out: report.Report, quick: bool) -> None:
    if missing := torrent_probe.missing():
        out.skip("adding torrents", missing)
        return
    with gateway.folder("seed.") as folder:
        saved = folder / "one.torrent"
        with torrent_probe.seed(folder, *FILES, name="Ein Film", piece=64 * KIB, save_torrent=saved) as seeder:
            torrent = seeder.torrent
            with out.guarded("spellings"), TorrentServer() as server:
                one_torrent(server, torrent, out, every=4 if quick else 1)
            for check in (strangers, uploads, play, old_routes, at_once):
                with out.guarded(check.__name__), TorrentServer() as server:
                    check(server, torrent, out)
            with out.guarded("limits"):
                limits(torrent, out, quick)
            with out.guarded("closed"):
                closed(torrent, out)
    with out.guarded("subtitles"):
        subtitles(out)
    with out.guarded("busy machine"):
        busy_machine(out, quick)


if __name__ == "__main__":
    report.run(main)
