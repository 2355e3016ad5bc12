"""The faults of an origin, one function each, and what may come of them."""

from __future__ import annotations

import random
import socket
import time
from dataclasses import dataclass
from functools import partial
from typing import Callable

from faulty_origin import KIB, PLACE, Answer, Ended, FaultyOrigin, Reset, Talk, labelled


@dataclass
class Fault:
    name: str
    act: Callable[[Talk], None] | None = None
    # What it does beyond single requests, when it begins.
    begin: Callable[[FaultyOrigin], None] | None = None
    # The profiles in which it has to do no harm.
    harmless: tuple[str, ...] = ()
    # The profiles in which nobody but the origin can tell that bytes are wrong.
    unnoticeable: tuple[str, ...] = ()
    # The version that the origin has afterwards; 0: the one it has anyway.
    after: int = 0
    # The profile "media" has to refuse it before anything is sent.
    forbidden: bool = False
    # HEAD is asked for first.
    head_first: bool = False
    # The client leaves in the middle; or stays until others were there.
    endless: bool = False
    stays: bool = False
    # Before it begins, the gateway has several connections that it keeps.
    several: bool = False
    note: str = ""


BOTH = ("media", "proxy")


# The body ends, stops or crawls


def truncated(talk: Talk, framing: str = "length") -> None:
    if talk.up_to_place(talk.right(framing=framing)):
        raise Ended


def reset(talk: Talk, **right) -> None:
    if talk.up_to_place(talk.right(**right)):
        raise Reset


def reset_once(talk: Talk) -> None:
    answer = talk.right()
    if talk.origin.was_reset or answer.first + len(answer.body) <= PLACE:
        return talk.send(answer)
    talk.origin.was_reset = True
    talk.up_to_place(answer)
    raise Reset


def stalled(talk: Talk) -> None:
    if talk.up_to_place(talk.right()):
        talk.wait(30)
        raise Ended


def dripping(talk: Talk) -> None:
    for byte in talk.up_to_place(talk.right()):
        talk.raw(bytes([byte]))
        talk.wait(1)


def dripping_head(talk: Talk) -> None:
    for byte in talk.right().head:
        talk.raw(bytes([byte]))
        talk.wait(1)


# Ranges


def relabelled(talk: Talk, moves_bytes: bool) -> None:
    """A 206 whose Content-Range names another interval; the bytes are those of it, or those that were asked for."""
    answer = talk.right()
    if answer.status == 206:
        whole = talk.origin.body(talk.origin.version)
        move = -1000 if answer.first + len(answer.body) + 1000 > len(whole) else 1000
        first = max(answer.first + move, 0)
        answer.change(*labelled(first, first + len(answer.body) - 1, len(whole)))
        if moves_bytes:
            answer.body = whole[first:first + len(answer.body)]
    talk.send(answer)


def shifted(talk: Talk) -> None:
    answer = talk.right()
    if answer.status == 206:
        whole = talk.origin.body(talk.origin.version)
        answer.body = (whole + whole)[answer.first + 7:answer.first + 7 + len(answer.body)]
    talk.send(answer)


def rangeless(talk: Talk) -> None:
    talk.asked.fields.pop("range", None)
    talk.send(talk.right())


def resized(talk: Talk, most: int = 1 << 40, more: int = 0, version: int = 0, conditions: bool = True) -> None:
    """A 206 of fewer or more bytes than were asked for, with the Content-Range that is right for them."""
    version = version or talk.origin.version
    answer = talk.right(version, conditions=conditions)
    if answer.status == 206:
        whole = talk.origin.body(version)
        end = min(answer.first + min(len(answer.body), most) + more, len(whole))
        answer.body = whole[answer.first:end]
        answer.change(*labelled(answer.first, end - 1, len(whole)))
    talk.send(answer)


def contradicting(talk: Talk) -> None:
    """A Content-Length below what Content-Range says, and a body as short."""
    answer = talk.right()
    if answer.status == 206:
        answer.body = answer.body[:-10]
    talk.send(answer)


def without_content_range(talk: Talk) -> None:
    answer = talk.right()
    answer.fields = [line for line in answer.fields if line[0] != "Content-Range"]
    talk.send(answer)


# Versions


def alternating(talk: Talk, **right) -> None:
    """Two servers behind one name, with a version each, that take turns."""
    talk.send(talk.right(1 + (talk.turn + (not talk.origin.is_cold)) % 2, **right))


def alternating_and_reset(talk: Talk, tag: str | None) -> None:
    if talk.up_to_place(talk.right(1 + talk.turn % 2, tag)):
        raise Reset


def flipping(talk: Talk, conditions: bool) -> None:
    """Answers are short, and from ``PLACE`` on they are of another version."""
    interval = talk.interval(1 << 40)
    resized(talk, 200 * KIB, version=2 if interval and interval[0] >= PLACE else 1, conditions=conditions)


def replaced(talk: Talk, version: int, tag: str = "") -> None:
    """The object is another one from the second request on."""
    if tag:
        talk.origin.tags[version] = tag
    talk.send(talk.right(talk.origin.version if talk.origin.is_cold and talk.turn == 0 else version))


def vanished(talk: Talk) -> None:
    if talk.origin.is_cold and talk.turn == 0:
        return talk.send(talk.right())
    talk.send(Answer(404, b"gone", [("Cache-Control", "no-cache")]))


def not_modified(talk: Talk) -> None:
    talk.send(Answer(304, fields=[("ETag", talk.origin.tags[talk.origin.version]), ("Cache-Control", "no-cache")]))


# Codings and framing


def compressed(talk: Talk, ranges: bool) -> None:
    """Compressed under the tag of what is not; a range of it is one of the compressed bytes."""
    if not ranges:
        talk.asked.fields.pop("range", None)
    talk.asked.fields.pop("if-none-match", None)
    talk.send(talk.right(coding="gzip"))


def answered(talk: Talk, **right) -> None:
    talk.send(talk.right(**right))


def badly_chunked(talk: Talk) -> None:
    if rest := talk.up_to_place(talk.right(framing="chunked")):
        talk.raw(b"zz\r\n" + rest + b"\r\n0\r\n\r\n")


def two_framings(talk: Talk) -> None:
    answer = talk.right(framing="chunked")
    answer.fields.append(("Content-Length", str(len(answer.body) // 2)))
    talk.send(answer)


def two_lengths(talk: Talk) -> None:
    answer = talk.right()
    if answer.status != 304:
        answer.fields += [("Content-Length", str(len(answer.body))), ("Content-Length", str(len(answer.body) // 2))]
    talk.send(answer)


EVIL = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: "v1"\r\n\r\nevil'


def surplus(talk: Talk) -> None:
    """A second answer at the end of the right one, for whoever asks next on the connection."""
    answer = talk.right()
    talk.begin(answer)
    talk.raw(answer.body + EVIL)


def late_surplus(talk: Talk) -> None:
    talk.send(talk.right())
    time.sleep(0.05)
    talk.raw(EVIL)


def more_fields(talk: Talk, fields: list[tuple[str, str]]) -> None:
    answer = talk.right()
    answer.fields += fields
    talk.send(answer)


MANY_FIELDS = [(f"X-{number}", "a") for number in range(100_000)]
LONG_FIELD = [("X-Long", "a" * (1 << 20))]


# Statuses and redirects


def redirected(talk: Talk, hops: int) -> None:
    """To a longer path each time."""
    if talk.asked.target.count("~") >= hops:
        return talk.send(talk.right())
    talk.send(Answer(302, fields=[("Location", talk.asked.target + "~")]))


def circling(talk: Talk) -> None:
    target = talk.asked.target
    talk.send(Answer(302, fields=[("Location", target[:-1] if target.endswith("~") else target + "~")]))


def led_away(talk: Talk, place: str) -> None:
    talk.send(Answer(302, fields=[("Location", f"http://{place}/object")]))


def failing(talk: Talk, times: int) -> None:
    talk.send(Answer(500, b"no") if talk.turn < times else talk.right())


# Connections


def closing(talk: Talk) -> None:
    answer = talk.right()
    answer.fields.append(("Connection", "keep-alive"))
    talk.send(answer)
    raise Ended


def closing_on_second(talk: Talk) -> None:
    if talk.number > 0:
        raise Ended
    talk.send(talk.right())


def slowly(talk: Talk) -> None:
    """Right, and late enough for requests to come together."""
    time.sleep(0.2)
    talk.send(talk.right())


def lying_head(talk: Talk) -> None:
    answer = talk.right()
    if talk.asked.method == "HEAD":
        answer.fields.append(("Content-Length", "1000"))
    talk.send(answer)


def head_with_body(talk: Talk) -> None:
    talk.send(talk.right(), b"x" * 1000 if talk.asked.method == "HEAD" else b"")


def early(origin: FaultyOrigin) -> None:
    """The whole object is sent before anything is asked for."""

    def answer(connection: socket.socket) -> None:
        right = Answer(200, origin.body(origin.version), [("ETag", origin.tags[origin.version]),
                                                          ("Cache-Control", "no-cache")])
        origin.note(right)
        connection.sendall(right.head + right.body)
        connection.settimeout(1)
        connection.recv(65536)
        raise Ended

    origin.on_accept = answer
    origin.forget_connections()


def refused_early(talk: Talk, closes: bool) -> None:
    """Says no to an upload at its head; then ends the connection, or reads on for nothing."""
    talk.send(Answer(403, b"no", [("Connection", "close")] if closes else []))
    while not closes:
        talk.wait(30)
    raise Ended


def garbage(talk: Talk) -> None:
    talk.raw(b"SSH-2.0-OpenSSH_9.2\r\n" + random.Random(1).randbytes(4096))
    talk.wait(30)
    raise Ended


def interim(talk: Talk) -> None:
    while True:
        talk.raw(b"HTTP/1.1 102 Processing\r\n\r\n")
        talk.wait(0.2)


def silent(talk: Talk) -> None:
    talk.wait(30)
    raise Ended


def faults(trap: int) -> list[Fault]:
    """All of them. ``trap`` is a port at which nobody may arrive."""
    return [
        Fault("body ends early", truncated),
        Fault("body in chunks ends early", partial(truncated, framing="chunked")),
        Fault("body without a length ends early", partial(truncated, framing="close"), unnoticeable=("proxy",),
              note="An answer whose length is neither said nor in chunks ends where its connection ends. Nobody "
                   "can tell that something is missing. With profile `proxy` the short body is `wrong`, and not kept. "
                   "With profile `media`, and for a range, the length is known from `Content-Range`."),
        Fault("reset in mid-body", reset),
        Fault("reset in mid-body, then another version", reset, after=5),
        Fault("one reset in mid-body, then right", reset_once, harmless=("media",)),
        Fault("stall in mid-body", stalled),
        Fault("a byte a second from mid-body on", dripping, endless=True,
              note="`slow`: bytes come, so no limit ends it. The client left after 6 s; what it had was right."),
        Fault("a byte a second from mid-body on, the next client comes meanwhile", dripping, endless=True, stays=True,
              note="The first client is still there when the next ones come. New requests would be answered at "
                   "once."),
        Fault("a head of a byte a second", dripping_head),
        Fault("206 with the bytes asked for, labelled as others", partial(relabelled, moves_bytes=False)),
        Fault("206 with other bytes, labelled as such", partial(relabelled, moves_bytes=True)),
        Fault("206 with other bytes, labelled as those asked for", shifted, unnoticeable=BOTH,
              note="Nobody can tell. What came so is `wrong`, is kept, and is sent to the next client as well, "
                   "until the ETag changes or the object is purged."),
        Fault("200 to a range", rangeless, harmless=BOTH),
        Fault("206 shorter than asked", partial(resized, most=200 * KIB), harmless=("media",)),
        Fault("206 longer than asked", partial(resized, more=100 * KIB)),
        Fault("206 shorter than its Content-Range", contradicting),
        Fault("206 without Content-Range", without_content_range),
        Fault("ETag alternates", alternating, after=2),
        Fault("ETag alternates, If-Range is ignored", partial(alternating, conditions=False), after=2),
        Fault("ETag flips in mid-file, answers are short", partial(flipping, conditions=True), after=2),
        Fault("ETag flips in mid-file, answers are short, If-Range is ignored", partial(flipping, conditions=False),
              after=2),
        Fault("weak ETag", partial(answered, tag='W/"w"'), harmless=BOTH),
        Fault("weak ETag, bytes alternate", partial(alternating, tag='W/"w"'), harmless=BOTH, after=2),
        Fault("weak ETag, bytes alternate, reset in mid-body", partial(alternating_and_reset, tag='W/"w"'), after=2),
        Fault("no ETag", partial(answered, tag=None), harmless=BOTH),
        Fault("no ETag, bytes alternate", partial(alternating, tag=None), harmless=BOTH, after=2),
        Fault("no ETag, bytes alternate, reset in mid-body", partial(alternating_and_reset, tag=None), after=2),
        Fault("shrinks between requests", partial(replaced, version=3), after=3),
        Fault("shrinks under its old ETag", partial(replaced, version=3, tag='"v1"'), after=3),
        Fault("grows between requests", partial(replaced, version=4), after=4),
        Fault("grows under its old ETag", partial(replaced, version=4, tag='"v1"'), after=4),
        Fault("vanishes between requests", vanished),
        Fault("304 to everything", not_modified),
        Fault("gzip to everything", partial(compressed, ranges=False)),
        Fault("gzip, with ranges of the compressed bytes", partial(compressed, ranges=True)),
        Fault("in chunks, without a length", partial(answered, framing="chunked"), harmless=BOTH),
        Fault("neither chunks nor length", partial(answered, framing="close"), harmless=BOTH),
        Fault("a chunk size that is no number", badly_chunked),
        Fault("chunks and another Content-Length", two_framings),
        Fault("two Content-Length fields that differ", two_lengths),
        Fault("an answer nobody asked for behind the right one", surplus),
        Fault("an answer nobody asked for 50 ms behind the right one", late_surplus, unnoticeable=("proxy",),
              note="It ends a connection on which nothing is asked. Where the next request has gone out already, "
                   "it cannot be told from the answer to that: profile `proxy` sends it on and keeps it if it "
                   "may, so that a client is `wrong` at times; profile `media` refuses it here for its length."),
        Fault("100 000 fields", partial(more_fields, fields=MANY_FIELDS)),
        Fault("a field of 1 MiB", partial(more_fields, fields=LONG_FIELD)),
        Fault("5 redirects", partial(redirected, hops=5), harmless=("media",)),
        Fault("6 redirects", partial(redirected, hops=6)),
        Fault("redirects in a circle", circling),
        *[Fault(f"redirect to {place.replace(str(trap), 'PORT')}", partial(led_away, place=place), forbidden=True)
          for place in ("169.254.169.254", "10.0.0.1", f"127.0.0.1:{trap}", f"localhost:{trap}", f"[::1]:{trap}",
                        f"[::ffff:127.0.0.1]:{trap}", f"0.0.0.0:{trap}")],
        Fault("500 once, then right", partial(failing, times=1), harmless=("media",)),
        Fault("500 to everything", partial(failing, times=1 << 30)),
        Fault("closes after each answer", closing, harmless=BOTH),
        Fault("closes at a connection's second request", closing_on_second, harmless=BOTH, several=True),
        Fault("kept connections are reset when used", begin=FaultyOrigin.lose, harmless=BOTH, several=True),
        Fault("HEAD says another length", lying_head, harmless=BOTH, head_first=True),
        Fault("HEAD with a body", head_with_body, head_first=True),
        Fault("answer before the request", begin=early),
        Fault("garbage instead of HTTP", garbage),
        Fault("interim answers without end", interim),
        Fault("silence", silent),
        Fault("connection refused", begin=FaultyOrigin.refuse),
        Fault("connection not accepted", begin=FaultyOrigin.ignore),
    ]


def upload_faults() -> list[Fault]:
    """Those that only an upload meets."""
    return [Fault("an upload is refused at its head, and the connection ends", partial(refused_early, closes=True)),
            Fault("an upload is refused at its head, and the rest is read", partial(refused_early, closes=False))]
