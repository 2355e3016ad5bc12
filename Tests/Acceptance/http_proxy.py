"""An http source with profile "proxy": what passes, what is kept, what is asked for again, what is never mixed."""

from __future__ import annotations

import random
import threading
import time
import urllib.request
from pathlib import Path

import gateway
import report
from content import MIB
from http_origin import MOUNT, OriginGateway, many
from scripted_origin import Answer, Asked, ScriptedOrigin, digest, ranged
from wire import Connection, Reply, ShortBody, fetch, until_hit

CHUNK = MIB


def proxy(root: Path, base: str, **options: str) -> OriginGateway:
    return OriginGateway(root, base, profile="proxy", **options)


def at(name: str) -> str:
    return f"{MOUNT}/{name}"


def status(reply: Reply) -> str:
    return reply.header("cache-status") or ""


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


FILM = noise(20 * MIB + 77, 1)
SERIES = noise(4 * MIB + 5, 7)
STRONG = {"cache-control": "max-age=3600"}
# What the origin has at present of what changes.
CURRENT = {"renewed": (FILM, '"one"')}


def script(asked: Asked) -> Answer:
    """What the origin of most checks does, by path."""
    name = asked.target.split("?")[0].removeprefix("/")
    if asked.method == "PROPFIND":
        return Answer(207, b"<multistatus/>", content_type="application/xml")
    if name == "film":
        return ranged(asked, FILM, '"film"', **STRONG)
    if name == "chunked":
        return Answer(200, b"in two chunks", "chunked", **STRONG)
    if name == "plain":
        return Answer(200, f"{asked.target} {asked.fields.get('accept-language')}".encode(),
                      vary="Accept-Language", **STRONG)
    if name == "stale":
        if asked.fields.get("if-none-match") == '"v1"':
            return Answer(304, etag='"v1"', x_again="yes")
        return Answer(200, b"validated", etag='"v1"', cache_control="max-age=0, stale-if-error=600")
    if name == "upload":
        return Answer(200, digest(asked.body), x_length=str(len(asked.body)), location="/changed")
    if name == "changed":
        return Answer(200, str(len(asked.body)).encode(), **STRONG)
    if name == "posted":
        return Answer(200, b"for GET as well", content_location="/posted", **STRONG)
    if name == "empty":
        return Answer(204, **STRONG)
    if name == "short":
        return Answer(200, b"x" * 1000, "short", **STRONG)
    if name == "private":
        return Answer(200, b"mine", cache_control="private, max-age=60", set_cookie="a=b")
    if name == "teapot":
        return Answer(418, b"short and stout", x_fields=",".join(sorted(asked.fields)))
    if name == "slow":
        return Answer(200, noise(3 * MIB, 5), pause=0.3, etag='"slow"', **STRONG)
    if name == "weak":
        return Answer(200, noise(2 * MIB, 6), pause=0.3, etag='W/"weak"', **STRONG)
    if name in ("surplus", "swollen"):
        answer = ranged(asked, SERIES, '"series"', **STRONG)
        if answer.status == 206 and "if-range" in asked.fields:
            answer.body = noise(1000, 8) + answer.body
            answer.framing = "length" if name == "surplus" else "chunked"
        return answer
    if name == "rangeless":
        return Answer(200, FILM, etag='"film"', **STRONG)
    if name == "lapsed":
        if "if-range" in asked.fields:
            asked.fields.pop("range", None)
        return ranged(asked, FILM, '"film"', **STRONG)
    if name == "weakly":
        return ranged(asked, FILM, 'W/"film"', **STRONG)
    if name == "renewed":
        return ranged(asked, *CURRENT[name], **{"cache-control": "no-cache"})
    if name in ("digested", "digested-weakly"):
        answer = ranged(asked, SERIES, '"series"' if name == "digested" else 'W/"series"', **STRONG)
        answer.fields["Content-Digest"] = digest(answer.body).decode()
        return answer
    if name == "coded":
        if "gzip" in asked.fields.get("accept-encoding", ""):
            return ranged(asked, FILM, '"coded"', content_encoding="gzip", **STRONG)
        return ranged(asked, SERIES, '"series"', **STRONG)
    if name == "members":
        if asked.fields.get("cookie") == "bad":
            return Answer(403, b"no", pause=1)
        return ranged(asked, SERIES, '"series"', **STRONG)
    return Answer(404, b"nothing here", **STRONG)


def stored(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    first, second = fetch(server.address, at("chunked")), fetch(server.address, at("chunked"))
    out.check(first.body == second.body == b"in two chunks" and "; hit" in status(second)
              and second.header("content-length") == "13" and second.header("age") is not None
              and origin.count("/chunked") == 1,
              "proxy: a response of unknown length is stored when it is whole", f"{status(first)} | {status(second)}")
    english = [("Accept-Language", "en")]
    bodies = [fetch(server.address, at("plain?a=1"), fields=fields).body for fields in ([], english, [], english)]
    out.check(bodies == [b"/plain?a=1 None", b"/plain?a=1 en"] * 2 and origin.count("/plain?a=1") == 2,
              "proxy: variants are told apart by Vary", f"{bodies}")
    head = fetch(server.address, at("plain?a=1"), method="HEAD")
    out.check(head.header("content-length") == "15" and origin.count("/plain?a=1") == 2,
              "proxy: HEAD is answered from the stored GET", status(head))
    missing = [fetch(server.address, at("nothing")).status for _ in range(3)]
    out.check(missing == [404] * 3 and origin.count("/nothing") == 1, "proxy: a 404 is kept as long as it says")
    mine = [fetch(server.address, at("private")) for _ in range(2)]
    out.check(origin.count("/private") == 2 and all(reply.header("set-cookie") == "a=b" for reply in mine),
              "proxy: what is private passes and is not kept", status(mine[1]))


def validated(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    replies = [fetch(server.address, at("stale")) for _ in range(3)]
    out.check([reply.body for reply in replies] == [b"validated"] * 3 and "fwd-status=304" in status(replies[2])
              and replies[2].header("x-again") == "yes",
              "proxy: a stale response is validated, and takes the fields of the 304", status(replies[2]))


def passed(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    body = noise(3 * MIB + 1, 2)
    fetch(server.address, at("changed"))
    with Connection(server.address) as client:
        client.send(b"POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
                    % (at("upload").encode(), len(body)) + body)
        sent = client.reply()
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9], body[9:70000], body[70000:]))
        client.send(b"PUT %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" % at("upload").encode()
                    + chunks + b"0\r\n\r\nGET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
        chunked, after = client.reply(), client.reply()
    out.check(sent.body == chunked.body == digest(body) and after.body == b"pong",
              "proxy: bodies of requests are streamed, and the connection goes on",
              f"{sent.header('x-length')} and {chunked.header('x-length')} bytes")
    again = fetch(server.address, at("changed"))
    out.check(origin.count("/changed") == 2, "proxy: a POST makes what its Location names invalid", status(again))
    fetch(server.address, at("posted"), method="POST")
    posted = fetch(server.address, at("posted"))
    empty = [fetch(server.address, at("empty")) for _ in range(2)][1]
    out.check("; hit" in status(posted) and posted.body == b"for GET as well" and "; hit" in status(empty),
              "proxy: an answer to POST that is one to GET is kept, and so is one without a body", status(posted))
    other = fetch(server.address, at("anything"), method="PROPFIND")
    strange = fetch(server.address, at("teapot"), fields=[("X-Own", "1"), ("Cookie", "c"), ("Connection", "x-hop"),
                                                          ("X-Hop", "1")])
    fields = (strange.header("x-fields") or "").split(",")
    out.check(other.status == 207 and strange.status == 418 and {"x-own", "cookie", "via", "x-forwarded-for"} <= set(fields)
              and "x-hop" not in fields, "proxy: any method, status and end-to-end field passes", ",".join(fields))
    socket = fetch(server.address, at("chat"), fields=[("Connection", "upgrade"), ("Upgrade", "websocket"),
                                                       ("Sec-WebSocket-Key", "x")])
    out.check(socket.status == 501, "proxy: a WebSocket is refused", f"{socket.status}")
    outside = [fetch(server.address, at(path)).status for path in ("../x", "%2e%2e/x", "a/..%2f../x")]
    out.check(set(outside) <= {400, 404}, "proxy: nothing leaves the base URL", f"{outside}")


def limited(root: Path, origin: ScriptedOrigin, out: report.Report) -> None:
    with proxy(root, origin.base, request_body_limit="1MiB") as server:
        with Connection(server.address) as client:
            client.send(b"POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (at("upload").encode(), 9 * MIB))
            announced = client.reply().status
        with Connection(server.address) as client:
            client.send(b"POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" % at("upload").encode())
            try:
                for _ in range(20):
                    client.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            except OSError:
                pass
            streamed = client.reply().status
    out.check(announced == streamed == 413, "proxy: a body over the limit is refused", f"{announced}, {streamed}")


def ranges(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    before = origin.sent
    place = 11 * MIB + 700 * 1024
    seek = fetch(server.address, at("film"), fields=[("Range", f"bytes={place}-{place + 31}")])
    cost = origin.sent - before
    out.check(seek.status == 206 and seek.body == FILM[place:place + 32] and cost <= CHUNK,
              "proxy: 32 bytes of a cold object cost at most one chunk", f"{cost} bytes from the origin, {status(seek)}")
    wrong = many(20, lambda _: fetch(server.address, at("film")).body == FILM)
    cost = origin.sent - before
    out.check(wrong == 0 and cost <= len(FILM) + 6 * CHUNK, "proxy: 20 readers of a cold object, each byte fetched once",
              f"{cost} bytes from the origin of {len(FILM)}, {wrong} wrong")
    generator, bad, before = random.Random(3), 0, origin.sent
    for _ in range(200):
        first = generator.randrange(len(FILM))
        last = min(first + generator.choice((0, 1, 1000, CHUNK, 3 * CHUNK)), len(FILM) - 1)
        reply = fetch(server.address, at("film"), fields=[("Range", f"bytes={first}-{last}")])
        bad += reply.status != 206 or reply.body != FILM[first:last + 1]
    out.check(bad == 0 and origin.sent == before, "proxy: ranges of what is stored",
              f"200 ranges, {bad} wrong, {origin.sent - before} bytes from the origin")
    beyond = fetch(server.address, at("film"), fields=[("Range", f"bytes={len(FILM)}-")])
    condition = fetch(server.address, at("film"), fields=[("Range", "bytes=0-9"), ("If-Range", '"other"')])
    same = fetch(server.address, at("film"), fields=[("If-None-Match", '"film"')])
    out.check(beyond.status == 416 and condition.status == 200 and len(condition.body) == len(FILM) and same.status == 304,
              "proxy: 416, If-Range and 304 from the cache", f"{beyond.status}, {condition.status}, {same.status}")


def part(server: OriginGateway, name: str, first: int, count: int = 100, **fields: str) -> Reply:
    return fetch(server.address, at(name), fields=[("Range", f"bytes={first}-{first + count - 1}"), *fields.items()])


def measured(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    del origin
    place = 2 * MIB + 10
    for name in ("surplus", "swollen"):
        part(server, name, 0)
        middle = part(server, name, place)
        wholes = [fetch(server.address, at(name)).body for _ in range(2)]
        out.check(middle.status == 206 and middle.body == SERIES[place:place + 100] and wholes == [SERIES] * 2,
                  f"proxy: a 206 that does not have the length of its Content-Range is not used ({name})",
                  f"{middle}, {status(middle)}")


def without_ranges(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    del origin
    place = 18 * MIB
    seek = part(server, "rangeless", place)
    out.check(seek.status == 200 and seek.body == FILM, "proxy: a far seek at an origin without ranges gets what it sends",
              f"{seek}")
    before, whole, after = part(server, "lapsed", place), fetch(server.address, at("lapsed")), part(server, "lapsed", place)
    out.check(before.status == after.status == 206 and before.body == after.body == FILM[place:place + 100]
              and whole.body == FILM, "proxy: an origin that gives no ranges any more is read up to what is missing",
              f"{before}, {whole}, {after}")


def unshared(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    del origin
    with Connection(server.address, receive_buffer=4096) as slow:
        slow.send(b"GET %s HTTP/1.1\r\nHost: h\r\nRange: bytes=0-\r\n\r\n" % at("weakly").encode())
        slow.head_only()
        began = time.monotonic()
        replies = [part(server, "weakly", first, 5) for first in (5, 15 * MIB)]
        took = time.monotonic() - began
    out.check([reply.body for reply in replies] == [FILM[5:10], FILM[15 * MIB:15 * MIB + 5]] and took < 3,
              "proxy: nobody waits for a range that cannot be shared", f"{took:.1f} s")


def renewed(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    part(server, "renewed", 0)
    CURRENT["renewed"] = (FILM[::-1], '"two"')
    place, before = 15 * MIB, origin.sent
    seek = part(server, "renewed", place)
    cost = origin.sent - before
    # What the origin has sent before it notices that nobody wants all of the new one lies in buffers of sockets.
    out.check(seek.status == 206 and seek.body == FILM[::-1][place:place + 100] and cost < 10 * MIB,
              "proxy: a seek in what has changed does not fetch what lies before", f"{cost} bytes, {status(seek)}")


def digested(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    del origin
    replies = [part(server, "digested", 10), fetch(server.address, at("digested")), part(server, "digested-weakly", 10),
               fetch(server.address, at("digested?whole")), part(server, "digested?whole", 10)]
    digests = [reply.header("content-digest") for reply in replies]
    wrong = [number for number, (value, reply) in enumerate(zip(digests, replies))
             if value not in (None, digest(reply.body).decode())]
    out.check(not wrong and digests[3], "proxy: a digest is that of the bytes it comes with", f"{wrong} of 5 wrong")


def refused(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    part(server, "members", 0)
    outsider = threading.Thread(target=part, args=(server, "members", MIB), kwargs={"Cookie": "bad"})
    outsider.start()
    began = time.monotonic()
    while not any(asked.fields.get("cookie") == "bad" for asked in origin.asked) and time.monotonic() < began + 10:
        time.sleep(0.01)
    whole = fetch(server.address, at("members"))
    outsider.join()
    out.check(whole.body == SERIES, "proxy: what the origin refuses to one client does not end another's body", f"{whole}")


def coded(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    del origin
    plain = part(server, "coded", 0)
    other = part(server, "coded", 2 * MIB, **{"Accept-Encoding": "gzip"})
    again = until_hit(lambda: part(server, "coded", 0))
    out.check(plain.body == again.body == SERIES[:100] and "; hit" in status(again)
              and other.body == SERIES[2 * MIB:2 * MIB + 100] and other.header("content-encoding") is None,
              "proxy: what is missing of a body is asked for in the coding that is kept", f"{other}, {status(again)}")


def collapsed(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    for name, size, seed in (("slow", 3 * MIB, 5), ("weak", 2 * MIB, 6)):
        whole = noise(size, seed)
        wrong = many(30, lambda _: fetch(server.address, at(name)).body == whole)
        asked = origin.count(f"/{name}")
        limit = 1 if name == "slow" else 30
        out.check(wrong == 0 and asked <= limit, f"proxy: 30 clients at once on one cold response ({name} tag)",
                  f"{asked} requests to the origin, {wrong} wrong")


def broken(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    kinds = []
    for _ in range(2):
        try:
            kinds.append(f"whole of {len(fetch(server.address, at('short')).body)}")
        except ShortBody as error:
            kinds.append(f"cut at {len(error.reply.body)}")
    out.check(all(kind.startswith("cut") for kind in kinds), "proxy: a short body never looks whole and is not kept",
              f"{kinds}")


def outage(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    kept = fetch(server.address, at("film"), fields=[("Range", "bytes=0-99")])
    origin.stop()
    stale = fetch(server.address, at("stale"))
    hit = fetch(server.address, at("film"), fields=[("Range", "bytes=0-99")])
    began = time.monotonic()
    failures = [fetch(server.address, at(f"lost{number}")) for number in range(8)]
    lost = [reply.status for reply in failures]
    slowest = (time.monotonic() - began) / 8
    out.check(all("; detail=" in status(reply) for reply in failures), "proxy: failures have a Cache-Status too",
              status(failures[0]))
    only = fetch(server.address, at("lost"), fields=[("Cache-Control", "only-if-cached")]).status
    origin.start()
    began = time.monotonic()
    while fetch(server.address, at("lost")).status != 404 and time.monotonic() < began + 10:
        time.sleep(0.1)
    back = time.monotonic() - began
    out.check(kept.body == hit.body and stale.body == b"validated" and set(lost) <= {502, 503, 504} and slowest < 1,
              "proxy: an origin that is down: what is kept goes on, stale-if-error counts, the rest fails at once",
              f"{sorted(set(lost))}, {slowest:.2f} s each, {status(stale)}")
    out.check(only == 504 and back < 5, "proxy: only-if-cached is 504; back within 5 s", f"{only}, {back:.1f} s")


def restarted(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    for name in ("plain?b=2", "film"):
        until_hit(lambda: fetch(server.address, at(name)))
    before = origin.sent
    server.restart()
    again = [fetch(server.address, at(name)) for name in ("plain?b=2", "film")]
    out.check(all("; hit" in status(reply) for reply in again) and again[1].body == FILM and origin.sent == before,
              "proxy: what is stored survives a restart", f"{[status(reply) for reply in again]}")


def purged(origin: ScriptedOrigin, server: OriginGateway, out: report.Report) -> None:
    before = origin.count("/plain?b=2")
    ask(server, "POST", "/admin/v1/cache/purge?scope=object&source=origin&path=plain")
    fetch(server.address, at("plain?b=2"))
    out.check(origin.count("/plain?b=2") == before + 1, "proxy: a purge of a path takes all its queries and variants")
    by_method = fetch(("127.0.0.1", server.admin_port), at("plain"), method="PURGE")
    fetch(server.address, at("plain?b=2"))
    soft = fetch(("127.0.0.1", server.admin_port), at("film"), method="PURGE", fields=[("Soft-Purge", "1")])
    sent = origin.sent
    again = fetch(server.address, at("film"))
    out.check(by_method.status == soft.status == 200 and origin.count("/plain?b=2") == before + 2
              and again.body == FILM and "fwd-status=304" in status(again) and origin.sent == sent,
              "proxy: PURGE by path; a soft one asks the origin and keeps the bytes", status(again))


def ask(server: OriginGateway, method: str, path: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{server.admin_port}{path}", method=method, data=b"")
    return urllib.request.urlopen(request, timeout=20).read()


def tiers(root: Path, origin: ScriptedOrigin, out: report.Report) -> None:
    with proxy(root, origin.base) as shield:
        base = f"{shield.origin}{MOUNT}/"
        with proxy(root, base) as one, proxy(root, base) as two:
            before = origin.sent
            wrong = many(50, lambda number: fetch((one, two)[number % 2].address, at("film")).body == FILM)
            reply = until_hit(lambda: fetch(one.address, at("film"), fields=[("Range", "bytes=5-9")]))
            cost = origin.sent - before
            for server in (shield, one):
                ask(server, "POST", "/admin/v1/cache/purge?scope=all")
            before = origin.sent
            fetch(one.address, at("film"), fields=[("Range", "bytes=5-9")])
            emptied = origin.sent - before
    # What was on its way when somebody else had the next chunk already is asked for anew.
    out.check(wrong == 0 and cost <= len(FILM) + 6 * CHUNK, "proxy: two edges, a shield, 50 clients: one fetch from the origin",
              f"{cost} bytes of {len(FILM)}, {wrong} wrong")
    out.check(status(reply).count(",") == 1 and "; hit" in status(reply), "proxy: Cache-Status shows both tiers",
              status(reply))
    out.check(emptied > 0, "proxy: a purge on shield and edge empties both", f"{emptied} bytes from the origin")


def looped(root: Path, out: report.Report) -> None:
    with ScriptedOrigin(lambda _: Answer()) as spare:
        port = spare.port
    with proxy(root, f"http://127.0.0.1:{port}{MOUNT}/") as server:
        server.terminate()
        server.process.wait(30)
        server.port = port
        server.start()
        began = time.monotonic()
        reply = fetch(server.address, at("round"))
    out.check(reply.status == 508 and time.monotonic() - began < 5, "proxy: a loop ends at once",
              f"{reply.status}")


def main(out: report.Report, quick: bool) -> None:
    del quick
    with gateway.folder("proxy.") as root, ScriptedOrigin(script) as origin:
        with proxy(root, origin.base) as server:
            for check in (stored, validated, passed, ranges, measured, without_ranges, unshared, renewed, digested, refused,
                          coded, collapsed, broken, outage, restarted, purged):
                with out.guarded(f"http proxy, {check.__name__}"):
                    check(origin, server, out)
        for check in (limited, tiers):
            with out.guarded(f"http proxy, {check.__name__}"):
                check(root, origin, out)
        with out.guarded("http proxy, a loop"):
            looped(root, out)
