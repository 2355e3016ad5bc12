"""Every form and every border of a range, and the conditional headers, through the socket.

Policy: an unknown unit or bad syntax is ignored (200), several ranges give the whole (200), one that the file cannot
satisfy is 416 with its size. Ranges are GET's alone.
"""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path

import content
import gateway
import report
from content import GIB, KIB, MIB
from wire import Connection, WireError

HUGE = 2**63 - 1


class Client:
    """One connection that is kept for as long as the server keeps it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.connection: Connection | None = None

    def get(self, path: str, method: str, fields: list[tuple[str, str]]):
        if self.connection is None:
            self.connection = Connection(self.address)
        try:
            reply = self.connection.get(path, method, fields)
        except Exception:
            self.close()
            raise
        if (reply.header("connection") or "").lower() == "close" or reply.until_close:
            self.close()
        return reply

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None


def satisfiable(size: int) -> list[tuple[str, int, int]]:
    """Range specifiers with the half-open range each asks of a file of ``size`` bytes."""
    piece, chunk = 256 * KIB, MIB
    borders = {0, 1, 2, 9, size // 2, size - 2, size - 1}
    for border in (piece, chunk, 2 * piece, 2 * chunk, 2**32):
        borders |= {border - 1, border, border + 1}
    borders = sorted(border for border in borders if 0 <= border < size)
    table = []
    for first in borders:
        if size - first <= 64 * MIB:
            table.append((f"{first}-", first, size))
            for last in (size, size + 1, 2**31, 2**32, 2**53, HUGE):
                if last >= size - 1:
                    table.append((f"{first}-{last}", first, size))
        for last in borders:
            if first <= last and last - first < 64 * MIB:
                table.append((f"{first}-{last}", first, last + 1))
    lengths = {1, 5, piece - 1, piece, piece + 1, chunk - 1, chunk, chunk + 1, size - 1, size, size + 1, HUGE}
    for length in sorted(lengths):
        first = max(size - length, 0)
        if 0 < length and size - first <= 64 * MIB:
            table.append((f"-{length}", first, size))
    for spelled, first, last in (("000-00000000000000000000001", 0, 1), ("0-0", 0, 0), ("00000-0", 0, 0)):
        table.append((spelled, first, min(last + 1, size)))
    return table


def unsatisfiable(size: int) -> list[str]:
    table = [f"{size}-", f"{size}-{size}", f"{size + 1}-", f"{size + 1000}-{size + 2000}", "-0", f"{HUGE}-",
             f"{HUGE}-{HUGE}", f"{max(size, 2**53)}-"]
    return table if size > 0 else [value for value in table if value != "0-"] + ["0-0", "0-9"]


#: Not a range of bytes that RFC 9110 knows: ignored. Complete values of the field.
IGNORED = [
    "bytes=", "bytes", "bytes=-", "bytes=--1", "bytes=abc", "bytes=5-2", "bytes=1-0", "bytes=0-9-", "bytes=0--9",
    "bytes=0- 9", "bytes=0 -9", "bytes=0x0-9", "bytes=0-0x9", "bytes=+0-9", "bytes=0-+9", "bytes=-1-9", "bytes=1.0-9",
    "bytes=1e3-", "bytes:0-9", "bytes 0-9", "bytes 0-9/10", "bytes =0-9", "items=0-1", "byte=0-9", "bytess=0-9",
    "seconds=0-9", "none", "=0-9", "0-9", "bytes=0-9;", "bytes=0-9;q=1", 'bytes="0-9"', "bytes=\xb20-9",
    "bytes=\xd9\xa0-\xd9\xa9", "bytes=0-9, abc", "bytes=5-2,0-9", "bytes=-9223372036854775808-",
    "bytes=--9223372036854775808", "bytes==0-9", "bytes=0-9=",
]
#: Several ranges: the whole.
SEVERAL = [
    "bytes=0-0,2-2", "bytes=0-9, 20-29", "bytes=0-,0-", "bytes=-1,0-0", "bytes=0-4,2-6", "bytes=1-2,5-6,9-10,0-0",
    "bytes=" + ",".join(["5-"] * 1300), "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 500, 2)),
]
#: The RFC leaves a choice, or the number fits no 64 bits: a right answer of the listed statuses.
EITHER = [
    ("bytes= 0-9", (0, 10), {200, 206, 400}), ("bytes=0-9 ", (0, 10), {200, 206}), ("bytes=0-9,", (0, 10), {200, 206}),
    ("bytes=,0-9", (0, 10), {200, 206}),
    ("bytes=0-18446744073709551615", (0, None), {200, 206}), ("bytes=0-18446744073709551616", (0, None), {200, 206}),
    ("bytes=0-9223372036854775808", (0, None), {200, 206}), ("bytes=-18446744073709551616", (0, None), {200, 206}),
    ("bytes=9223372036854775808-", None, {200, 416}), ("bytes=18446744073709551616-", None, {200, 416}),
    ("bytes=18446744073709551617-18446744073709551618", None, {200, 416}),
    ("bytes=4294967296-4294967297", None, {200, 416}), ("bytes=" + "9" * 100 + "-", None, {200, 416}),
    ("bytes=0-" + "9" * 10_000, (0, None), {200, 206, 400, 431}), ("bytes=" + "9" * 10_000 + "-", None,
                                                                   {200, 400, 416, 431}),
]


class Table:
    """Asks, and compares status, fields and bytes with those of the file."""

    def __init__(self, client: Client, path: str, file: Path) -> None:
        self.client = client
        self.path = path
        self.file = os.open(file, os.O_RDONLY)
        self.size = os.fstat(self.file).st_size
        self.tally = report.Tally()
        head = client.get(path, "HEAD", [])
        self.etag = head.header("etag")
        self.modified = head.header("last-modified")

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, *_) -> None:
        os.close(self.file)

    def expect(self, value: str | None, status: int, span: tuple[int, int] | None = None, method: str = "GET",
               extra: list[tuple[str, str]] | None = None) -> None:
        fields = ([] if value is None else [("Range", value)]) + (extra or [])
        self._judge(method, fields, {status}, span)

    def expect_either(self, value: str, span: tuple[int, int | None] | None, statuses: set[int]) -> None:
        span = span and (span[0], self.size if span[1] is None else min(span[1], self.size))
        self._judge("GET", [("Range", value)], statuses, span)

    def _judge(self, method: str, fields: list[tuple[str, str]], statuses: set[int],
               span: tuple[int, int] | None) -> None:
        shown = " ".join(f"{name}: {value if len(value) < 50 else value[:47] + '...'}" for name, value in fields)
        what = f"{method} {self.size} B {shown}".strip()
        try:
            reply = self.client.get(self.path, method, fields)
        except (WireError, OSError) as error:
            self.tally.expect(False, f"{what}: {error}")
            return
        fault = self._fault(method, reply, statuses, span)
        self.tally.expect(fault is None, f"{what}: {fault}")

    def _fault(self, method, reply, statuses, span) -> str | None:
        if reply.status not in statuses:
            return f"{reply.status}, not {' or '.join(map(str, sorted(statuses)))}"
        content_range, length = reply.header("content-range"), reply.header("content-length")
        if reply.status == 206:
            first, end = span
            if content_range != f"bytes {first}-{end - 1}/{self.size}":
                return f"Content-Range {content_range}"
            return self._body_fault(method, reply, first, end)
        if reply.status == 416:
            return None if content_range == f"bytes */{self.size}" else f"416 with Content-Range {content_range}"
        if content_range is not None:
            return f"{reply.status} with Content-Range {content_range}"
        if reply.status == 200:
            return self._body_fault(method, reply, 0, self.size)
        if reply.status == 304 and length not in (None, str(self.size)):
            return f"304 with Content-Length {length}"
        return None

    def _body_fault(self, method, reply, first: int, end: int) -> str | None:
        if reply.header("content-length") != str(end - first):
            return f"Content-Length {reply.header('content-length')}, not {end - first}"
        if reply.header("accept-ranges") != "bytes":
            return f"Accept-Ranges {reply.header('accept-ranges')}"
        for name, value in (("etag", self.etag), ("last-modified", self.modified)):
            if reply.header(name) != value:
                return f"{name} {reply.header(name)}, on HEAD {value}"
        if method == "HEAD":
            return None
        if reply.body == os.pread(self.file, end - first, first):
            return None
        return f"wrong bytes ({len(reply.body)})"


def range_table(table: Table) -> None:
    size = table.size
    small = size <= 64 * MIB
    if small:
        table.expect(None, 200)
        for value in IGNORED:
            table.expect(value, 200)
        for value in SEVERAL:
            table.expect(value, 200)
    for value, span, statuses in EITHER:
        if small and size > 0:
            table.expect_either(value, span, statuses)
    if size > 0:
        for value, first, end in satisfiable(size):
            table.expect(f"bytes={value}", 206, (first, end))
        for unit in ("Bytes", "BYTES", "bYtEs"):
            table.expect(f"{unit}=0-0", 206, (0, 1))
    elif small:
        table.expect("bytes=0-", 200)
        for value in ("bytes=-1", "bytes=-5"):
            table.expect_either(value, None, {200, 416})
    for value in unsatisfiable(size):
        table.expect(f"bytes={value}", 416)
    for value in (None, "bytes=0-0", "bytes=1-", "bytes=-1", f"bytes={size}-", "bytes=0-0,2-2", "items=0-1", "bytes="):
        table.expect(value, 200, method="HEAD")
    if small:
        table._judge("GET", [("Range", "bytes=0-0"), ("Range", "bytes=1-1")], {200, 400}, None)


def conditional_table(table: Table) -> None:
    """RFC 9110 §13: the preconditions in their order, before the range."""
    etag, date = table.etag, table.modified
    if not table.tally.expect(bool(etag) and etag.startswith('"'), f"ETag {etag} is not strong") \
            or not table.tally.expect(bool(date), "no Last-Modified"):
        return
    earlier, later = "Sat, 01 Jan 2000 00:00:00 GMT", formatdate(4102444800, usegmt=True)
    part, whole = ("bytes=1-3", 206, (1, 4)), (None, 200, None)
    unmet = ("bytes=999999999-", 416, None)
    plain = (part, whole, unmet)
    for conditions, answers in [
        ([("If-None-Match", etag)], 304), ([("If-None-Match", "*")], 304), ([("If-None-Match", f"W/{etag}")], 304),
        ([("If-None-Match", f'"other", {etag}')], 304), ([("If-None-Match", f'W/"a",{etag} , "b"')], 304),
        ([("If-None-Match", '"other"')], plain), ([("If-None-Match", 'W/"other"')], plain),
        ([("If-Match", etag)], plain), ([("If-Match", "*")], plain), ([("If-Match", f'"other", {etag}')], plain),
        ([("If-Match", '"other"')], 412), ([("If-Match", f"W/{etag}")], 412),
        ([("If-Modified-Since", date)], 304), ([("If-Modified-Since", later)], 304),
        ([("If-Modified-Since", earlier)], plain), ([("If-Modified-Since", "yesterday")], plain),
        ([("If-Modified-Since", "")], plain),
        ([("If-Unmodified-Since", date)], plain), ([("If-Unmodified-Since", later)], plain),
        ([("If-Unmodified-Since", earlier)], 412), ([("If-Unmodified-Since", "never")], plain),
        # A tag that is there silences the date beside it.
        ([("If-None-Match", '"other"'), ("If-Modified-Since", date)], plain),
        ([("If-None-Match", etag), ("If-Modified-Since", earlier)], 304),
        ([("If-Match", etag), ("If-Unmodified-Since", earlier)], plain),
        ([("If-Match", '"other"'), ("If-Unmodified-Since", date)], 412),
        ([("If-Match", '"other"'), ("If-None-Match", etag)], 412),
        ([("If-Match", etag), ("If-None-Match", etag)], 304),
        ([("If-Range", etag)], plain), ([("If-Range", date)], plain),
        # With another validator the range is as if it were not there, satisfiable or not.
        ([("If-Range", '"other"')], (("bytes=1-3", 200, None), whole, ("bytes=999999999-", 200, None))),
        ([("If-Range", f"W/{etag}")], (("bytes=1-3", 200, None), whole, ("bytes=999999999-", 200, None))),
        ([("If-Range", earlier)], (("bytes=1-3", 200, None),)), ([("If-Range", later)], (("bytes=1-3", 200, None),)),
        ([("If-Range", "junk")], (("bytes=1-3", 200, None),)), ([("If-Range", "")], (("bytes=1-3", 200, None),)),
        ([("If-Range", "*")], (("bytes=1-3", 200, None),)),
        ([("If-Range", '"other"'), ("If-Match", '"other"')], 412),
        ([("If-Range", etag), ("If-None-Match", etag)], 304),
    ]:
        if isinstance(answers, int):
            answers = tuple((value, answers, None) for value, _, _ in plain)
        for value, status, span in answers:
            table.expect(value, status, span, extra=conditions)
        head = answers[0][1] if answers[0][1] in (304, 412) else 200
        table.expect("bytes=1-3", head, method="HEAD", extra=conditions)


def main(out: report.Report, quick: bool) -> None:
    sizes = [0, 1, 2, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MIB - 1, MIB, MIB + 1, 5 * MIB + 12345]
    if quick:
        sizes = [0, 1, 256 * KIB, MIB - 1, MIB, MIB + 1]
    with gateway.folder() as root:
        files = [content.write(root / f"bytes-{size}.bin", size) for size in sizes]
        size = 4 * GIB + 2 * MIB
        large = content.sparse(root / "sparse.bin", size, [0, 2**31, 2**32 - MIB, 2**32, 2**32 + MIB, size])
        with gateway.server(root) as server:
            client = Client(server.address)
            for file in files + [large]:
                what = f"range table, {file.stat().st_size} bytes"
                with out.guarded(what), Table(client, server.path(file.name), file) as table:
                    range_table(table)
                    table.tally.into(out, what)
            with out.guarded("conditional headers"), Table(client, server.path(files[-1].name), files[-1]) as table:
                conditional_table(table)
                table.tally.into(out, "conditional headers")
            client.close()


if __name__ == "__main__":
    report.run(main)
