"""Faults of an HTTP origin, one at a time: what the client gets, and what the next one gets once the origin is well.

    python3 Tests/Acceptance/origin_faults.py [--quick] [--table FILE]

Each fault meets both profiles, a range in the second chunk and the whole object, and three caches: ``cold`` has
nothing, ``warm`` has the whole object and has to ask for it again, ``changed`` has a version that the origin has no
longer. Each case has a source and an origin of its own. A second client, which asks for the other of range and whole a
moment later, is held to the same as the first.

Nothing that is complete by its framing may be anything but bytes of one version, and nothing that was cut may begin
otherwise. Once the origin is well, range and whole are right. Nobody waits longer than the source's first-byte deadline
and five seconds more.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import gateway
import report
from faulty_answers import Fault, faults, slowly, upload_faults
from faulty_origin import RANGE, FaultyOrigin
from read_to_end import Got, parsed, read_to_end

PROFILES = ("media", "proxy")
STATES = ("cold", "warm", "changed")
DEADLINE = 4.0  # of the sources, for a first byte
SPARE = 5.0  # how much later a client has to be answered or cut
PATIENCE = 6.0  # of a client whose answer does not end
AT_ONCE = 24
UPLOAD = 3 << 20
MOST_SOURCES = 240  # of one gateway; it takes 256

OPTIONS = """
connect_timeout = "2s"
first_byte_timeout = "2s"
idle_timeout = "2s"
breaker_pause = "100ms"
retries = 1
"""


@dataclass
class Case:
    fault: Fault
    profile: str
    state: str
    is_range: bool
    origin: FaultyOrigin
    name: str
    verdict: str = "not run"
    beside: str = "not run"
    after: str = "not run"
    # When nobody could notice the fault: what comes once the origin has another version.
    renewed: str = "right"
    seconds: float = 0
    seconds_after: float = 0

    @property
    def interval(self) -> tuple[int, int] | None:
        return RANGE if self.is_range else None

    @property
    def what(self) -> str:
        return f"{self.profile} {self.state} {'range' if self.is_range else 'whole'}"


def ask(server: gateway.Server, case: Case, patience: float, method: str = "GET", ranged: bool | None = None,
        path: str = "object") -> Got:
    is_range = case.is_range if ranged is None else ranged
    fields = ["Range: bytes=%d-%d" % RANGE] if is_range else []
    return read_to_end(server.address, f"/{case.name}/{path}", patience, method, fields)


# What it is worth


def judged(got: Got, case: Case, is_range: bool | None = None, is_after: bool = False) -> str:
    """``right``; ``part``: right bytes, labelled as another range than was asked for; ``as sent``: one answer of the
    origin, unchanged; ``cut`` and ``slow``: the beginning of one of them; a status; or something that may not be."""
    if not got.status:
        return "hung" if got.is_open else "no answer"
    if got.status not in (200, 206):
        return str(got.status) if got.is_whole else "cut"
    if got.is_open and not case.fault.endless:
        return "hung"
    kind = matched(got, case, case.is_range if is_range is None else is_range, is_after)
    if got.is_whole:
        return kind or "wrong"
    if not kind:
        return "mixed"
    return "slow" if got.is_open else "cut"


def matched(got: Got, case: Case, is_range: bool, is_after: bool) -> str:
    """How an answer, or its beginning, is right; empty if it is not."""
    origin, label = case.origin, got.value("content-range")
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", label)
    for (version, coding), whole in origin.bodies.items():
        if is_after and origin.tags[version] != origin.tags[origin.version]:
            continue
        if got.value("content-encoding") != coding or coding and case.profile == "media":
            continue
        if got.value("etag") in origin.tags.values() and got.value("etag") != origin.tags[version]:
            continue
        first, last = (int(found[1]), int(found[2])) if found else (0, len(whole) - 1)
        if (got.status == 206) != bool(found) or found and int(found[3]) != len(whole):
            continue
        expected = whole[first:last + 1]
        if got.body == expected if got.is_whole else expected.startswith(got.body):
            wanted = (RANGE[0], min(RANGE[1], len(whole) - 1)) if is_range else None
            return "right" if got.status == 200 or (first, last) == wanted else "part"
    if case.profile == "proxy" and not is_after:
        for status, sent_label, body in origin.answers:
            if (status, sent_label or "") == (got.status, label) and (
                    body == got.body if got.is_whole else body.startswith(got.body)):
                return "as sent"
    return ""


# Cases


def run(server: gateway.Server, case: Case) -> None:
    origin, fault = case.origin, case.fault
    origin.start()
    try:
        if case.state != "cold":
            warm(server, case)
        if fault.several:
            connect(server, case)
        origin.is_cold = case.state == "cold"
        origin.version = 2 if case.state == "changed" else 1
        origin.turns, origin.fault = 0, fault.act
        if fault.begin:
            fault.begin(origin)
        patience = PATIENCE if fault.endless else DEADLINE + SPARE
        if fault.head_first:
            ask(server, case, patience, "HEAD")
        with ThreadPoolExecutor(2) as clients:
            first = clients.submit(ask, server, case, 15 if fault.stays else patience)
            beside = clients.submit(later, server, case, patience)
            if fault.stays:
                time.sleep(1.5)
                origin.heal()
                case.after = well(server, case)
            for one in (first, beside):
                case.seconds = max(case.seconds, one.result().seconds)
            case.verdict = judged(first.result(), case)
            case.beside = judged(beside.result(), case, is_range=not case.is_range)
        if fault.stays:
            return
        origin.version = fault.after or origin.version
        origin.heal()
        # The pause of the circuit breaker, and more; or until the gateway sees that a client left which gets bytes.
        time.sleep(3 if fault.endless else 0.25)
        case.after = well(server, case)
        if case.profile in fault.unnoticeable:
            origin.version = 5
            case.renewed = well(server, case)
    except (OSError, AssertionError) as error:
        case.verdict = f"{type(error).__name__}: {error}"
    finally:
        origin.stop()


def connect(server: gateway.Server, case: Case) -> None:
    """Has the gateway make several connections to the origin."""
    case.origin.fault = slowly
    with ThreadPoolExecutor(4) as clients:
        list(clients.map(lambda number: ask(server, case, DEADLINE + SPARE, path=f"other{number}"), range(4)))
    time.sleep(1)  # what lies before a range is fetched behind it


def later(server: gateway.Server, case: Case, patience: float) -> Got:
    """The second client's request."""
    time.sleep(0.1)
    return ask(server, case, patience, ranged=not case.is_range)


def well(server: gateway.Server, case: Case) -> str:
    """What clients get of an origin without a fault: ``right``, or the first verdict that is not."""
    for is_range in (case.is_range, not case.is_range):
        got = ask(server, case, DEADLINE + SPARE, ranged=is_range)
        case.seconds_after = max(case.seconds_after, got.seconds)
        if (verdict := judged(got, case, is_range, is_after=True)) != "right":
            return verdict
    return "right"


def warm(server: gateway.Server, case: Case) -> None:
    """Has the object fetched, until asking again costs no bytes of it."""
    for _ in range(20):
        sent = case.origin.sent
        got = ask(server, case, DEADLINE + SPARE, ranged=False)
        assert got.body == case.origin.body(1), f"not right while the origin was well: {got.status}"
        if case.origin.sent - sent < 2000:
            return
        time.sleep(0.05)
    raise AssertionError("the object is not kept")


def early_refusals(server: gateway.Server, case: Case, out: report.Report) -> None:
    """An upload is refused before its body is complete."""
    case.origin.start()
    case.origin.fault = case.fault.act
    head = f"POST /{case.name}/object HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {UPLOAD}\r\n\r\n"
    began, came = time.monotonic(), bytearray()
    with socket.create_connection(server.address, DEADLINE + SPARE) as connection:
        sending = threading.Thread(target=sent_as_far_as_taken, args=(connection, head.encode() + b"x" * UPLOAD))
        sending.start()
        try:
            while part := connection.recv(65536):
                came += part
        except OSError:
            pass  # What came before counts.
        connection.close()
        sending.join(10)
    got, took = parsed(bytes(came), "POST"), time.monotonic() - began
    case.origin.heal()
    time.sleep(0.25)
    after = well(server, case)
    case.origin.stop()
    out.check(got.status in (403, 502) and got.is_whole and took < DEADLINE + SPARE and after == "right",
              f"origin faults: {case.fault.name}", f"{got.status}, {took:.1f} s, next client {after}")


def sent_as_far_as_taken(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        pass  # Refusing the rest is the server's right.


class FaultGateway(gateway.Server):
    """A gateway with a source for each case."""

    def __init__(self, root: Path, cases: list[Case]) -> None:
        sources = [f'[sources.{case.name}]\nkind = "http"\nmount = "/{case.name}"\n'
                   f'first_byte_deadline = "{DEADLINE:.0f}s"\n[sources.{case.name}.options]\n'
                   f'base_url = "{case.origin.base}"\nprofile = "{case.profile}"{OPTIONS}' for case in cases]
        super().__init__(root, config="\n".join(['[cache]\nmin_free_disk = "0B"', *sources]))


class Trap:
    """Counts who arrives at a port of this machine that nobody may be led to."""

    def __init__(self) -> None:
        self.visits = 0
        first = socket.create_server(("127.0.0.1", 0))
        self.port = first.getsockname()[1]
        self.listeners = [first]
        try:
            self.listeners.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        except OSError:
            pass  # Without IPv6 nobody arrives there.
        for listener in self.listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            self.visits += 1
            connection.close()


# Results


def allowed(case: Case) -> str:
    """The verdicts that may be, as a pattern."""
    fault = case.fault
    if case.profile in fault.harmless:
        return "right"
    if fault.forbidden and case.profile == "media":
        return "403"
    kinds = [r"right|cut|[45]\d\d"]
    kinds += ["slow"] if fault.endless else []
    kinds += ["wrong"] if case.profile in fault.unnoticeable else []
    kinds += [r"part|as sent|3\d\d"] if case.profile == "proxy" else []
    return "|".join(kinds)


def complaints(cases: list[Case]) -> list[str]:
    """What may not be, of the cases of one fault."""
    found = []
    for case in cases:
        # Of what was kept of an answer that was not one, a range may not exist.
        after = "right|wrong|416" if case.profile in case.fault.unnoticeable else "right"
        limit = 20 if case.fault.stays else (PATIENCE if case.fault.endless else DEADLINE) + SPARE
        results = [("", case.verdict, allowed(case)), (", second client", case.beside, allowed(case)),
                   (", next client", case.after, after), (", new version", case.renewed, "right")]
        for who, verdict, pattern in results:
            if not re.fullmatch(pattern, verdict):
                found.append(f"{case.what}{who}: {verdict}")
        if max(case.seconds, case.seconds_after) > limit:
            found.append(f"{case.what}: {case.seconds:.1f} s, next client {case.seconds_after:.1f} s")
    return found


def cell(cases: list[Case]) -> str:
    """The verdicts on the range and on the whole, in this order, or the one on both."""
    verdicts = [case.verdict for case in sorted(cases, key=lambda case: not case.is_range)]
    return verdicts[0] if len(set(verdicts)) == 1 else ", ".join(verdicts)


def row(fault: Fault, cases: list[Case], notes: list[str]) -> str:
    mark = ""
    if fault.note:
        notes.append(fault.note)
        mark = f" [{len(notes)}]"
    cells = [cell([case for case in cases if (case.profile, case.state) == (profile, state)])
             for profile in PROFILES for state in STATES]
    after = ", ".join(f"{count} {verdict}" for verdict, count in Counter(case.after for case in cases).items())
    after = "right" if after == f"{len(cases)} right" else after
    slowest = [max(case.seconds for case in cases), max(case.seconds_after for case in cases)]
    return "| " + " | ".join([fault.name + mark, *cells, f"{slowest[0]:.1f}", after, f"{slowest[1]:.1f}"]) + " |"


def table(by_fault: list[tuple[Fault, list[Case]]]) -> str:
    notes: list[str] = []
    columns = ["fault", *(f"{profile} {state}" for profile in PROFILES for state in STATES), "s", "next", "s"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += [row(fault, cases, notes) for fault, cases in by_fault]
    return "\n".join(lines + [""] + [f"{number}. {note}" for number, note in enumerate(notes, 1)]) + "\n"


def cases_of(fault: Fault, first: int) -> list[Case]:
    """Those of one fault, numbered from ``first`` on."""
    kinds = [(profile, state, is_range) for profile in PROFILES for state in STATES for is_range in (True, False)]
    return [Case(fault, *kind, FaultyOrigin(number), f"f{number}") for number, kind in enumerate(kinds, first)]


def run_all(every: list[Case], out: report.Report) -> None:
    """On as many gateways as it takes, some at a time."""
    uploads = [Case(fault, "proxy", "cold", False, FaultyOrigin(number), f"u{number}")
               for number, fault in enumerate(upload_faults())]
    with gateway.folder("faults.") as root, contextlib.ExitStack() as open_until_end:
        work = []
        for first in range(0, len(every), MOST_SOURCES):
            cases = every[first:first + MOST_SOURCES]
            server = open_until_end.enter_context(FaultGateway(root, cases + uploads))
            work += [(server, case) for case in cases]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda pair: run(*pair), work))
        for case in uploads:
            with out.guarded(f"origin faults: {case.fault.name}"):
                early_refusals(server, case, out)
        lost = {server for server, _ in work if server.process.poll() is not None}
        out.check(not lost, "origin faults: every gateway lives on", f"{len(every)} cases")


def main(out: report.Report, quick: bool) -> None:
    """The cases are few enough to be always all of them."""
    del quick
    gateway.descriptor_limit(8192)
    trap = Trap()
    by_fault = []
    for number, fault in enumerate(faults(trap.port)):
        by_fault.append((fault, cases_of(fault, number * len(PROFILES) * len(STATES) * 2)))
    run_all([case for _, cases in by_fault for case in cases], out)
    for fault, cases in by_fault:
        shown = [f"{profile} " + "; ".join(
            f"{state} {cell([case for case in cases if (case.profile, case.state) == (profile, state)])}"
            for state in STATES) for profile in PROFILES]
        bad = complaints(cases)
        shown += ["not allowed: " + "; ".join(bad)] if bad else []
        out.check(not bad, f"origin faults: {fault.name}", " | ".join(shown))
    out.check(trap.visits == 0, "origin faults: nobody arrives where a redirect leads", f"{trap.visits} connections")
    if listing:
        listing.write_text(table(by_fault))


listing: Path | None = None

if __name__ == "__main__":
    listing = report.file_option("--table")
    report.run(main)
