"""Hostile metadata from peers of a swarm, and peers that misbehave: nothing bad is taken, and nothing else happens.

    python3 Tests/Acceptance/hostile_swarm.py [--quick] [--list FILE]

The set is that of hostile_torrents.py, asked for by magnet links whose peer (hostile_peer.py) sends the info dictionary
(BEP 9), has all pieces of everything, and gives zeros for them. Where a fault of the set lies beside the dictionary,
that is made to have it. The misbehaviour is that of hostile_manners.py. Network, name server and strace are those of
hostile.py; without a network of its own all is on loopback, and the lines that need it are skipped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import gateway
import hostile
import report
import torrent_probe
from hostile import MEMORY, MIB, SECONDS, Answer, LimitedServer, LyingNames, Target, Watch
from hostile_manners import EITHER, FOUND, MANNERS, NOTHING, SPOILT
from hostile_peer import Peer, Talk, honest
from hostile_torrents import PIECE, bencode, v1
from wire import Connection, WireError, fetch, request

# How long peers may take to send metadata.
PATIENCE = 5.0
# An answer behind that; many are waited for at once.
SLACK = 2.0
# What peers may send of metadata.
LARGEST = 8 * MIB
# What the gateway may take of memory at all, so that one that takes all does not take this machine's.
MOST_MEMORY = 4096 * MIB
# Its empty files, which are more than there may be, are made and deleted by libtorrent before it is refused, for which
# metadata_timeout may be too short; its removal is waited for as long again.
SLOW = {"count-tree"}
# What took most memory or time of those that libtorrent has to take before they are judged: asked for in any case.
DEAREST = {"depth-100000", "count-tree", "count-10000"}
# Peers that must not be tried, which a peer tells of.
INSIDE = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "224.0.0.1", "0.0.0.0")
TOLD = "9.9.9.77"  # and one that may
TRACKER = "http://tracker.example.com:6969/announce"


def source(**changed: str) -> str:
    lines = hostile.SOURCE
    for key, value in {"metadata_timeout": f'"{PATIENCE:.0f}s"', "first_byte_deadline": '"20s"', **changed}.items():
        lines = re.sub(rf"^{key} = .*$", f"{key} = {value}", lines, flags=re.MULTILINE)
    return lines


# Statuses by what is to come of a peer's manner: if nobody else has the metadata, and beside one that has it.
OUTCOMES_ALONE = {NOTHING: (504,), SPOILT: (504,), FOUND: (201,), EITHER: (201, 504)}
OUTCOMES_BESIDE = {NOTHING: (201,), SPOILT: (201, 504), FOUND: (201,), EITHER: (201,)}
# Where the peers listen, where they are found, from which port on, and what the gateway may do.
OUTSIDE = "0.0.0.0", [hostile.ALLOWED[0], "9.9.9.10"], hostile.ALLOWED[1], source()
LOOPBACK = "127.0.0.1", ["127.0.0.1"] * 2, 0, source(allow_private_addresses="true", peer_listen='["127.0.0.1:0"]')


@dataclass
class Case:
    """An info dictionary, and what is to come of it: "accept", "reject", or "nothing" where it is no peer's to send."""

    name: str
    info: bytes
    expect: str
    expected: dict
    version: int = 1

    @property
    def topic(self) -> str:
        return topic(self.info, self.version)


def topic(info: bytes, version: int = 1) -> str:
    if version == 2:
        return f"urn:btmh:1220{hashlib.sha256(info).hexdigest()}"
    return f"urn:btih:{hashlib.sha1(info).hexdigest()}"


# The set, as info dictionaries


def value_end(data: bytes, at: int) -> int:
    """Where the bencoded value ends that begins there, whatever else is wrong with it."""
    depth = 0
    while True:
        kind = data[at:at + 1]
        if kind in (b"d", b"l"):
            depth, at = depth + 1, at + 1
        elif kind == b"e":
            depth, at = depth - 1, at + 1
        elif kind == b"i":
            at = data.index(b"e", at) + 1
        else:
            colon = data.index(b":", at, at + 20)
            at = colon + 1 + int(data[at:colon])
            if at > len(data):
                raise ValueError("a string beyond the end")
        if depth <= 0:
            return at


def entries(data: bytes) -> list[tuple[bytes, bytes]]:
    """Keys and values of a dictionary, as they are encoded; as many as can be told apart."""
    found, at = [], 1
    with contextlib.suppress(ValueError):
        while data[:1] == b"d" and data[at:at + 1] not in (b"e", b""):
            middle = value_end(data, at)
            end = value_end(data, middle)
            found.append((data[at:middle], data[middle:end]))
            at = end
    return found


def info_of(data: bytes) -> bytes | None:
    return next((value for key, value in entries(data) if key == b"4:info"), None)


def version_of(info: bytes) -> int:
    if b"file tree" not in info and b"meta version" not in info:
        return 1
    names = {key.partition(b":")[2] for key, _ in entries(info)}
    return 2 if names & {b"file tree", b"meta version"} and not names & {b"files", b"length"} else 1


def moved_inside(data: bytes) -> bytes:
    """What is around the info dictionary as a part of it; all of it if it is not there whole."""
    plain = bencode(v1().info)
    return data.replace(b"4:info" + plain, plain[1:-1]).removeprefix(b"d4:info")


def cases(directory: Path, manifest: list[dict]) -> tuple[list[Case], list[str]]:
    """Each info dictionary once; and the names of those of which a peer has nothing else to send."""
    found: dict[bytes, Case] = {}
    left: list[str] = []

    def add(name: str, info: bytes, expected: dict) -> None:
        expect = expected["expect"] if 0 < len(info) <= LARGEST else "nothing"
        found.setdefault(info, Case(name, info, expect, expected, version_of(info)))

    def is_bare(expected: dict) -> bool:
        return expected["expect"] == "accept" and expected["category"] != "bencode"

    # Those that are right first: what is refused with the same info is so for what is beside it.
    for expected in sorted(manifest, key=lambda expected: not is_bare(expected)):
        name, data = expected["file"].removesuffix(".torrent"), (directory / expected["file"]).read_bytes()
        info = info_of(data)
        if info is not None and info not in found:
            add(name, info, expected)
        elif expected["category"] == "bencode":
            inside = moved_inside(data)
            add(f"{name}, inside", inside, {**expected, "v1": hashlib.sha1(inside).hexdigest()})
        else:
            left.append(name)
    return sorted(found.values(), key=lambda case: case.name), left


# The gateway, and whom it asks


class Swarms:
    """A gateway and two peers that it may reach."""

    def __init__(self, server: gateway.Server, first: Peer, second: Peer, addresses: list[str]) -> None:
        self.server, self.target = server, Target(server)
        self.first, self.second, self.addresses = first, second, addresses

    def link(self, topic: str, both: bool = False, extra: str = "") -> str:
        peers = list(zip(self.addresses, (self.first, self.second)))[:2 if both else 1]
        return f"magnet:?xt={topic}" + "".join(f"&x.pe={address}:{peer.port}" for address, peer in peers) + extra

    def ask(self, case: Case) -> Answer:
        """For one alone, so that its cost can be told."""
        self.first.share(case.info)
        try:
            status, body, seconds, growth = self.target.post(self.link(case.topic).encode(), "text/plain")
        except OSError as error:  # it is not there any more
            return Answer(case.name, case.expect, 0, 0, 0, str(error))
        answer = Answer(case.name, case.expect, status, seconds, growth)
        if status == 201:
            document = json.loads(body)
            answer.detail = hostile.fault_of(document, case.expected) if case.expect == "accept" else "accepted"
        elif 400 <= status < 600:
            answer.detail = json.loads(body).get("detail", "")[:110]
        return answer

    def ask_beside(self, link: str) -> tuple[int, float]:
        """While others ask: status and seconds."""
        began = time.monotonic()
        try:
            with Connection(self.server.address, PATIENCE + 20) as connection:
                connection.send(request("/torrent/", "POST", [("Content-Type", "text/plain")], link.encode()))
                status = connection.reply("POST").status
        except (WireError, OSError):
            status = 0
        return status, time.monotonic() - began

    def known(self) -> set[str]:
        reply = fetch(("127.0.0.1", self.server.admin_port), "/admin/v1/torrents")
        return {status["hash"] for status in json.loads(reply.body)["torrents"]}

    def folders(self) -> set[str]:
        """Of torrents that have one."""
        # Others go meanwhile.
        return {name for _, folders, _ in os.walk(self.server.home) for name in folders
                if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", name)}


def film(name: str, size: int = 2000 * PIECE) -> bytes:
    """The metadata of one, of three pieces."""
    return bencode(v1(name=name.encode(), length=size).info)


# What is checked


def good_one(swarms: Swarms, out: report.Report) -> None:
    """Without this the refusals would say nothing: the same peer, sending what is right."""
    content = b"".join(hashlib.sha512(b"%d" % number).digest() for number in range(4000))
    pieces = b"".join(hashlib.sha1(content[at:at + PIECE]).digest() for at in range(0, len(content), PIECE))
    info = bencode(v1(name=b"film.mkv", length=len(content)).with_info(pieces=pieces).info)
    swarms.first.share(info, telling_of_others, content)
    status, body, seconds, _ = swarms.target.post(
        swarms.link(topic(info), extra=f"&tr={TRACKER}").encode(), "text/plain")
    right = status == 201 and fetch(swarms.server.address, json.loads(body)["files"][0]["url"]).body == content
    out.check(right and seconds < SECONDS, "what is right comes from the same peer, and plays",
              f"{status} after {seconds * 1e3:.0f} ms, {len(content)} bytes")


def telling_of_others(talk: Talk) -> None:
    """Of peers at addresses that must not be tried: by peer exchange (BEP 11) and to be met halfway (BEP 55)."""
    talk.greet()
    talk.introduce()
    contacts = [bytes(map(int, address.split("."))) + (6881).to_bytes(2, "big") for address in (*INSIDE, TOLD)]
    talk.extended(talk.numbers["ut_pex"], bencode({"added": b"".join(contacts), "added.f": bytes(len(contacts))}))
    for contact in contacts[:-1]:
        talk.extended(talk.numbers["ut_holepunch"], b"\1\0" + contact + bytes(4))
    talk.answer()


def metadata(swarms: Swarms, chosen: list[Case], left: list[str], out: report.Report) -> list[Answer]:
    answers = [swarms.ask(case) for case in chosen]
    right, quick, small = report.Tally(), report.Tally(), report.Tally()
    for case, answer in zip(chosen, answers):
        statuses = {"accept": (201,), "reject": (422, 504) if case.name in SLOW else (422,), "nothing": (504,)}
        is_right = answer.status in statuses[case.expect] and (case.expect != "accept" or not answer.detail)
        right.expect(is_right, f"{case.name}: {case.expect}, but {answer.status} {answer.detail}")
        limit = PATIENCE + SLACK if case.expect == "nothing" else 2 * PATIENCE + SLACK if case.name in SLOW else SECONDS
        quick.expect(answer.seconds < limit, f"{case.name}: {answer.seconds:.2f} s")
        small.expect(answer.growth < MEMORY, f"{case.name}: {answer.growth / MIB:.0f} MiB")
    counted = [f"{[case.expect for case in chosen].count(kind)} {what}" for kind, what in
               (("accept", "accepted"), ("reject", "refused"), ("nothing", "not to be had"))]
    right.into(out, "hostile metadata from a peer is refused (422), odd one accepted with exact names",
               f"{', '.join(counted)}; {len(left)} differ from these beside it")
    answered = [answer for answer in answers if answer.status != 504]
    quick.into(out, "each of them in under 1 s, or when metadata_timeout is over",
               f"longest {max(answer.seconds for answer in answered) * 1e3:.0f} ms")
    small.into(out, "each of them with under 50 MB more memory",
               f"most {max(answer.growth for answer in answers) / MIB:.1f} MiB")
    return answers


def nothing_left(swarms: Swarms, chosen: list[Case], out: report.Report) -> None:
    """Of what was refused; libtorrent had taken some of it, and its pieces were on the way."""
    refused = {hash for case in chosen if case.expect != "accept"
               for hash in (hashlib.sha1(case.info).hexdigest(), hashlib.sha256(case.info).hexdigest())}
    gone = torrent_probe.await_true(lambda: not refused & swarms.folders(), 5)
    known = refused & swarms.known()
    out.check(gone is not None and not known, "what is refused leaves nothing behind",
              f"{len(swarms.folders())} torrents have a folder" + "".join(f"; {hash}" for hash in sorted(known)[:3]))


def misbehaving(swarms: Swarms, out: report.Report, is_alone: bool) -> list[Answer]:
    """All at once. With ``is_alone`` nobody else has the metadata; else a second peer has, and comes later."""
    infos = {name: film(f"film {number} {is_alone}") for number, name in enumerate(MANNERS)}
    for name, info in infos.items():
        swarms.first.share(info, MANNERS[name][0])
        if not is_alone:
            swarms.second.share(info, hesitant)
    before = swarms.target.mark()
    with ThreadPoolExecutor(len(MANNERS)) as pool:
        found = list(pool.map(lambda info: swarms.ask_beside(swarms.link(topic(info), not is_alone)), infos.values()))
    growth = swarms.target.peak() - before
    right, quick = report.Tally(), report.Tally()
    for (name, (_, outcome)), (status, seconds) in zip(MANNERS.items(), found):
        wanted = (OUTCOMES_ALONE if is_alone else OUTCOMES_BESIDE)[outcome]
        right.expect(status in wanted and swarms.first.met[hashlib.sha1(infos[name]).digest()] > 0,
                     f"{name}: {status}, not {' or '.join(map(str, wanted))}")
        quick.expect(seconds < PATIENCE + SLACK, f"{name}: {seconds:.1f} s")
    if is_alone:
        right.into(out, "a peer that misbehaves brings 504, or what is right",
                   f"{[status for status, _ in found].count(201)} found all the same")
    else:
        right.into(out, "beside a peer that misbehaves, another one's metadata is found",
                   f"{[status for status, _ in found].count(504)} spoilt by wrong bytes")
    quick.into(out, "and each such wait ends in time", f"longest {max(seconds for _, seconds in found):.1f} s")
    out.check(growth < MEMORY, "and all of them together take under 50 MB", f"{growth / MIB:.1f} MiB")
    return [Answer(name, outcome if is_alone else FOUND, status, seconds, growth)
            for (name, (_, outcome)), (status, seconds) in zip(MANNERS.items(), found)]


def hesitant(talk: Talk) -> None:
    time.sleep(0.5)
    honest(talk)


def limited() -> list[str]:
    """What is put before a command so that it cannot take all the memory of the machine."""
    program = shutil.which("prlimit")
    return [program, f"--data={MOST_MEMORY}"] if program else []


def ask_all(swarms: Swarms, chosen: list[Case], left: list[str], out: report.Report) -> list[Answer]:
    answers: list[Answer] = []
    with out.guarded("what is right comes from the same peer"):
        good_one(swarms, out)
    with out.guarded("hostile metadata"):
        answers += metadata(swarms, chosen, left, out)
        nothing_left(swarms, chosen, out)
    for is_alone in (True, False):
        with out.guarded("peers that misbehave"):
            answers += misbehaving(swarms, out, is_alone)
    return answers


def run(out: report.Report, quick: bool, listing: Path | None) -> None:
    lacks_network = hostile.enter_own_network()
    with gateway.folder("hostile.") as root, tempfile.TemporaryDirectory(prefix="hostile.") as other:
        directory, trace = Path(other) / "set", Path(other) / "trace"
        chosen, left = cases(directory, hostile.written_set(directory)["torrents"])
        watch, names = (None, None) if lacks_network else (Watch(), LyingNames())
        address, addresses, port, config = LOOPBACK if lacks_network else OUTSIDE
        prefix, options = limited() + hostile.traced(trace), 'resolve_per_ip = "off"\n'
        with Peer(address, port) as first, Peer(address) as second, \
                LimitedServer(root, config=config, prefix=prefix, limits=options) as server:
            swarms = Swarms(server, first, second, addresses)
            answers = ask_all(swarms, [case for number, case in enumerate(chosen)
                                       if not quick or number % 3 == 0 or case.name in DEAREST], left, out)
            alive = server.process.poll() is None and fetch(server.address, "/ping").status == 200
            out.check(alive, "the gateway is there all the same", "" if alive else "".join(server.output[-2:]))
            if lacks_network:
                out.skip("0 connections to refused addresses", lacks_network)
            else:
                hostile.judge_network(watch, names, server, out)
                out.check(("tcp", TOLD, 6881) in watch.tried, "and the allowed one of those that a peer told of", TOLD)
            hostile.judge_links(server.home, out)
            home = server.home
        hostile.judge_files(trace, home, out)
        hostile.write_listing(listing, answers)


def main(out: report.Report, quick: bool) -> None:
    hostile.apart(out, "hostile swarm", lambda: run(out, quick, listing))


listing: Path | None = None

if __name__ == "__main__":
    listing = report.file_option("--list")
    report.run(main)
