"""What a process wrote to the files of a directory, by its strace, and what of that a loss of power may leave.

Names and lengths reach the disk in order, as in the journals of ext4 and XFS, and all of them with the next ``fsync``
of anything. Contents reach it in any order, in part or not at all, until an ``fsync`` or ``fdatasync`` of that file,
or, of one that was opened with ``O_DSYNC``, until the write returns.
"""

from __future__ import annotations

import random
import re
import struct
from pathlib import Path

PAGE = 4096
SECTOR = 512
WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
SYNCS = ("fsync", "fdatasync")
CALLS = (*WRITES, *SYNCS, "sync_file_range", "msync", "lseek", "ftruncate", "rename", "renameat", "renameat2", "unlink",
         "unlinkat", "openat")
LONGEST = 1 << 17


def tracer(directory: Path, names: tuple[str, ...], output: Path) -> list[str]:
    """What is put before a command to trace what it does to ``names`` in ``directory``, behind what is there."""
    files = [directory / name for name in names]
    places = sorted({directory, *files, *(file.parent for file in files)})
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-xx", "-s", str(LONGEST), "-e", "signal=none",
            "-e", f"trace={','.join(CALLS)}", *(part for place in places for part in ("-P", str(place))),
            "-A", "-o", str(output)]


class Call:
    """One call that came back without an error."""

    def __init__(self, name: str, arguments: bytes, result: int) -> None:
        self.name = name
        self.result = result
        parts = arguments.split(b'"')
        if any(part.startswith(b"...") for part in parts[2::2]):
            raise ValueError(f"a {name} of more than {LONGEST} bytes")
        # With -xx there is nothing else between quotes.
        strings = [bytes.fromhex(part.replace(b"\\x", b"").decode()) for part in parts[1::2]]
        if name in ("openat", "rename", "renameat", "renameat2", "unlink", "unlinkat"):
            self.paths = [string.decode() for string in strings]
            self.flags = parts[2] if name == "openat" else b""
            return
        self.descriptor = int(arguments.split(b",")[0])
        self.data = b"".join(strings)[:max(result, 0)]
        self.last = int(parts[-1].split(b",")[-1]) if name in ("pwrite64", "pwritev", "ftruncate") else 0


def calls(trace: Path):
    """The calls in the order in which they came back."""
    begun: dict[bytes, bytes] = {}
    with open(trace, "rb") as lines:
        for line in lines:
            thread, _, rest = line.strip().partition(b" ")
            rest = rest.lstrip()
            if rest.endswith(b"<unfinished ...>"):
                begun[thread] = rest.removesuffix(b"<unfinished ...>").rstrip()
                continue
            if resumed := re.match(rb"<\.\.\. \w+ resumed>", rest):
                rest = begun.pop(thread) + rest[resumed.end():]
            head, _, result = rest.rpartition(b" = ")
            if re.match(rb"\d+", result):
                name, _, arguments = head.rstrip().removesuffix(b")").partition(b"(")
                yield Call(name.decode(), arguments, int(re.match(rb"\d+", result)[0]))


class Write:
    def __init__(self, offset: int, data: bytes) -> None:
        self.offset = offset
        self.data = data


class Truncation:
    def __init__(self, size: int) -> None:
        self.size = size


class File:
    """``held`` is on the disk, and of ``pending`` nobody knows."""

    def __init__(self) -> None:
        self.held = bytearray()
        self.pending: list[Write | Truncation] = []

    def content(self, fate) -> bytes:
        """What is there if ``fate(write, size)`` gives the parts that a write left."""
        data = bytearray(self.held)
        for change in self.pending:
            if isinstance(change, Truncation):
                if not fate(change, len(data)):
                    break
                resize(data, change.size)
                continue
            for offset, part in fate(change, len(data)):
                overwrite(data, offset, part)
        return bytes(data)


class Entry:
    """A change of names: ``name`` is that of ``file`` from now on, or gone."""

    def __init__(self, name: str, file: File | None) -> None:
        self.name = name
        self.file = file


class Disk:
    """Files by name as the calls so far have left them."""

    def __init__(self, directory: Path, names: tuple[str, ...]) -> None:
        self.directory = directory
        self.watched = set(names)
        self.names: dict[str, File] = {}
        self.held: dict[str, File] = {}
        self.journal: list[Entry | Truncation] = []
        self._open: dict[int, tuple[File, bool]] = {}
        self._position: dict[int, int] = {}

    def apply(self, call: Call) -> None:
        if call.name == "openat":
            self._opened(call)
        elif call.name.startswith("rename"):
            old, new = (self._name(path) for path in call.paths)
            file = self.names.get(old)
            self._enter(old, None)
            if new in self.watched:
                self._enter(new, file)
        elif call.name.startswith("unlink"):
            self._enter(self._name(call.paths[0]), None)
        elif call.name in SYNCS:
            self._synced(call)
        elif call.descriptor in self._open:
            self._changed(call, *self._open[call.descriptor])

    def _name(self, path: str) -> str:
        return path.removeprefix(f"{self.directory}/")

    def _enter(self, name: str, file: File | None) -> None:
        if name not in self.watched or self.names.get(name) is file:
            return
        self.journal.append(Entry(name, file))
        self.names.pop(name, None)
        if file:
            self.names[name] = file

    def _opened(self, call: Call) -> None:
        name = self._name(call.paths[0])
        self._open.pop(call.result, None)
        if name not in self.watched:
            return
        if name not in self.names:
            self._enter(name, File())
        file = self.names[name]
        self._open[call.result] = (file, b"SYNC" in call.flags)
        self._position[call.result] = 0
        if b"O_TRUNC" in call.flags and file.content(everything):
            self._truncate(file, 0)

    def _truncate(self, file: File, size: int) -> None:
        change = Truncation(size)
        file.pending.append(change)
        self.journal.append(change)

    def _synced(self, call: Call) -> None:
        if found := self._open.get(call.descriptor):
            self._settle(found[0])
        for entry in self.journal:
            if isinstance(entry, Entry):
                enter(self.held, entry)
        self.journal.clear()

    @staticmethod
    def _settle(file: File) -> None:
        file.held = bytearray(file.content(everything))
        file.pending.clear()

    def _changed(self, call: Call, file: File, is_synced: bool) -> None:
        if call.name == "ftruncate":
            self._truncate(file, call.last)
            return
        if call.name == "lseek":
            self._position[call.descriptor] = call.result
            return
        if call.name in ("write", "writev"):
            offset = self._position[call.descriptor]
            self._position[call.descriptor] += call.result
        elif call.name in ("pwrite64", "pwritev"):
            offset = call.last
        else:
            raise ValueError(f"{call.name} is not expected")
        write = Write(offset, call.data)
        if is_synced:
            # What was written there before must not come over it.
            if any(not isinstance(old, Write) or old.offset < offset + len(call.data)
                   and offset < old.offset + len(old.data) for old in file.pending):
                self._settle(file)
            overwrite(file.held, offset, call.data)
        else:
            file.pending.append(write)

    # What is left

    def left(self, fate=None, entries: int = 0) -> dict[str, bytes]:
        """Of what waits, ``entries`` changes of names and what ``fate`` leaves of contents; without: nothing of it."""
        names = dict(self.held)
        for entry in self.journal[:entries]:
            if isinstance(entry, Entry):
                enter(names, entry)
        # Those that are not in the journal any more have happened.
        waiting = {id(entry) for entry in self.journal[entries:]}

        def of(change: Write | Truncation, size: int):
            if isinstance(change, Truncation):
                return id(change) not in waiting
            return fate(change, size) if fate else []

        return {name: file.content(of) for name, file in names.items()}

    def all(self) -> dict[str, bytes]:
        return self.left(everything, len(self.journal))

    def lost(self, source: random.Random) -> dict[str, bytes]:
        """What may be there after a loss of power now."""
        kept = source.choice((0.02, 0.3, 0.5, 0.7, 0.98))

        def fate(write: Write, size: int):
            drawn = source.random()
            if drawn < kept * 0.7:
                return [(write.offset, write.data)]
            if drawn < kept:
                return torn(write, source.choice((SECTOR, PAGE)), source)
            # The length may be there without the bytes.
            end = write.offset + len(write.data)
            return [(end - 1, b"\0")] if end > size and drawn > 0.8 else []

        return self.left(fate, source.randint(0, len(self.journal)))


def everything(change: Write | Truncation, _: int):
    return [(change.offset, change.data)] if isinstance(change, Write) else True


def torn(write: Write, unit: int, source: random.Random):
    """Some of the units of a disk that a write has."""
    first = write.offset - write.offset % unit
    for start in range(first, write.offset + len(write.data), unit):
        if source.random() < 0.5:
            begin = max(start, write.offset)
            yield begin, write.data[begin - write.offset:start + unit - write.offset]


def enter(names: dict[str, File], entry: Entry) -> None:
    names.pop(entry.name, None)
    if entry.file:
        names[entry.name] = entry.file


def resize(data: bytearray, size: int) -> None:
    data[size:] = bytes(max(size - len(data), 0))


def overwrite(data: bytearray, offset: int, part: bytes) -> None:
    if len(data) < offset:
        resize(data, offset)
    data[offset:offset + len(part)] = part


# What an LMDB file says


def tables(data: bytes) -> dict[str, dict[bytes, bytes]]:
    """The records of each table, by the newer meta page of a file that is whole. Of a value that has pages of its own
    there is the number of the first."""
    if len(data) < 2 * PAGE:
        return {}
    meta = max((0, PAGE), key=lambda place: struct.unpack_from("<Q", data, place + 144)[0])
    return {name.decode(): dict(_nodes(data, struct.unpack_from("<Q", record, 40)[0]))
            for name, record in _nodes(data, struct.unpack_from("<Q", data, meta + 128)[0])}


def _nodes(data: bytes, root: int):
    if root == (1 << 64) - 1:
        return
    start = root * PAGE
    flags, lower = struct.unpack_from("<HH", data, start + 10)
    for (place,) in struct.iter_unpack("<H", data[start + 16:start + lower]):
        low, high, upper, size = struct.unpack_from("<4H", data, start + place)
        if flags & 1:
            yield from _nodes(data, low | high << 16 | upper << 32)
            continue
        key = start + place + 8
        length = 8 if upper & 1 else low | high << 16
        yield data[key:key + size], data[key + size:key + size + length]
