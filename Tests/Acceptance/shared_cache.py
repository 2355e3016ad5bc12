"""An http source with profile "proxy" as a shared cache: variants, invalidation, staleness, errors, what ends in time."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import gateway
import report
from content import MIB
from http_origin import MOUNT
from http_proxy import STRONG, at, noise, proxy, status
from scripted_origin import Answer, Asked, ScriptedOrigin, ranged
from wire import Reply, fetch, until_hit

FILM = noise(4 * MIB, 8)
LONG_AGO = "Mon, 01 Jan 2001 00:00:00 GMT"


def variants(root: Path, out: report.Report) -> None:
    """One tag for all, and an origin whose 304 says nothing of who may read the answer."""

    def script(asked: Asked) -> Answer:
        if asked.fields.get("if-none-match") == '"one"':
            return Answer(304, etag='"one"', vary="Origin")
        return ranged(asked, FILM, '"one"', vary="Origin", access_control_allow_origin=asked.fields["origin"], **STRONG)

    with ScriptedOrigin(script) as origin, proxy(root, origin.base) as server:
        wrong = []
        for who in ("https://a.example", "https://b.example") * 2:
            for more in ([], [("Range", "bytes=3000000-3000009")]):
                reply = fetch(server.address, at("film"), fields=[("Origin", who), *more])
                if reply.header("access-control-allow-origin") != who or reply.status != (206 if more else 200):
                    wrong.append(f"{who}: {reply.status}, {reply.header('access-control-allow-origin')}")
        out.check(not wrong, "shared cache: variants with one tag keep their own fields", f"{wrong}")


def invalidated(root: Path, out: report.Report) -> None:
    """An answer from before a PUT comes after it, where answers are kept for each host apart."""
    came, go, body = threading.Event(), threading.Event(), [b"old"]

    def script(asked: Asked) -> Answer:
        if asked.method == "PUT":
            body[0] = b"new"
            return Answer(204)
        answer = Answer(200, body[0], **STRONG)
        came.set()
        go.wait(10)
        return answer

    with ScriptedOrigin(script) as origin:
        lines = ['[cache]', 'min_free_disk = "0B"', '[sources.origin]', 'kind = "http"', f'mount = "{MOUNT}"',
                 '[sources.origin.options]', f'base_url = "{origin.base}"', 'profile = "proxy"',
                 'forward_host = true', ""]
        with gateway.Server(root, config="\n".join(lines)) as server:
            reader = threading.Thread(target=fetch, args=(server.address, at("thing")))
            reader.start()
            came.wait(10)
            changed = fetch(server.address, at("thing"), method="PUT").status
            go.set()
            reader.join()
            after = fetch(server.address, at("thing"))
    out.check(changed == 204 and after.body == b"new", "shared cache: what was asked for before a PUT is not kept",
              f"{after.body!r}, {status(after)}")


def late(root: Path, out: report.Report) -> None:
    def script(asked: Asked) -> Answer:
        if "if-none-match" in asked.fields:
            return Answer(500, b"failed", pause=2.5 if asked.target == "/late" else 0)
        return Answer(200, b"kept", etag='"v"', cache_control="max-age=0, stale-if-error=2")

    with ScriptedOrigin(script) as origin, proxy(root, origin.base) as server:
        bodies = [fetch(server.address, at(name)).body for name in ("soon", "soon", "late", "late")]
    out.check(bodies == [b"kept", b"kept", b"kept", b"failed"],
              "shared cache: stale-if-error ends when it says, however long the origin takes to fail", f"{bodies}")


def clients_own(root: Path, out: report.Report) -> None:
    def script(asked: Asked) -> Answer:
        if '"client"' in asked.fields.get("if-none-match", ""):
            return Answer(304, etag='"client"', content_length="5000000")
        return Answer(200, b"another", etag='"kept"', cache_control="max-age=0")

    with ScriptedOrigin(script) as origin, proxy(root, origin.base) as server:
        fetch(server.address, at("long"))
        fields = [("If-None-Match", '"client"')]
        wrong = [code for code in (fetch(server.address, at("long"), fields=fields).status for _ in range(500))
                 if code != 304]
    out.check(not wrong, "shared cache: a 304 to the client's own tag is passed on, whatever length it names",
              f"500 of them, {len(wrong)} wrong {wrong[:3]}")


def dripping(root: Path, out: report.Report) -> None:
    def script(asked: Asked) -> Answer:
        fields = {"etag": f'"{origin.count("/drip")}"', "cache_control": "max-age=0, stale-while-revalidate=600"}
        if origin.count("/drip") == 2:
            return Answer(200, b"x" * 600, "drip", **fields)
        return Answer(200, b"first" if origin.count("/drip") == 1 else b"third", **fields)

    with ScriptedOrigin(script) as origin, proxy(root, origin.base, idle_timeout="1s") as server:
        began, body = time.monotonic(), b""
        while body != b"third" and time.monotonic() < began + 15 + report.spare(15):
            body = fetch(server.address, at("drip")).body
            time.sleep(0.1)
        out.check(body == b"third", "shared cache: a refresh that drips makes way for the next",
                  f"{time.monotonic() - began:.1f} s, {origin.count('/drip')} requests")


def errors(root: Path, out: report.Report) -> None:
    def script(asked: Asked) -> Answer:
        return Answer(500 if asked.target == "/failed" else 404, b"nothing", last_modified=LONG_AGO)

    with ScriptedOrigin(script) as origin:
        with proxy(root, origin.base) as server:
            missing = [fetch(server.address, at("missing")) for _ in range(2)][1]
        left = int(status(missing).rpartition("ttl=")[2] or 99)
        with proxy(root, origin.base, negative_lifetime="60s") as server:
            failed = [fetch(server.address, at("failed")).status for _ in range(2)]
        out.check(0 <= left <= 10, "shared cache: a 404 that says nothing is kept for seconds", status(missing))
        out.check(failed == [500, 500] and origin.count("/failed") == 2, "shared cache: a failure is not kept")


def only_if_cached(root: Path, out: report.Report) -> None:
    def part(first: int, only: bool) -> Reply:
        fields = [("Range", f"bytes={first}-{first + 99}")] + ([("Cache-Control", "only-if-cached")] if only else [])
        return fetch(server.address, at("film"), fields=fields)

    with (ScriptedOrigin(lambda asked: ranged(asked, FILM, '"film"', **STRONG)) as origin,
          proxy(root, origin.base) as server):
        until_hit(lambda: part(0, False))
        asked = len(origin.asked)
        there, missing = part(0, True).status, part(3 * MIB, True).status
        whole = fetch(server.address, at("film"), fields=[("Cache-Control", "only-if-cached")]).status
        out.check((there, missing, whole, len(origin.asked)) == (206, 504, 504, asked),
                  "shared cache: only-if-cached asks the origin for nothing", f"{there}, {missing}, {whole}")


def main(out: report.Report, quick: bool) -> None:
    del quick
    with gateway.folder("shared.") as root:
        for check in (variants, invalidated, late, clients_own, dripping, errors, only_if_cached):
            with out.guarded(f"shared cache, {check.__name__}"):
                check(root, out)
