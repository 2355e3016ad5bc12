"""Writes hostile and odd .torrent files and magnet links, and what a gateway must make of each.

    hostile_torrents.py DIRECTORY

DIRECTORY gets the files and manifest.json, which has "torrents" and "magnets". Each entry says "accept" with the exact
files, trackers and hashes, or "reject" with the reason. A path is percent-encoded bytes, as it stands in a URL.
Standard library only; nothing is read but the arguments.
"""

from __future__ import annotations

import hashlib
import json
import sys
from base64 import b32encode
from pathlib import Path
from urllib.parse import quote, quote_plus

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
PIECE = 16 * KIB


class Raw(bytes):
    """Bytes that are bencoded already."""


class Unsorted(dict):
    """A dictionary that is written in its own order."""


def bencode(value) -> bytes:
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    pairs = [(key.encode() if isinstance(key, str) else key, item) for key, item in value.items()]
    if not isinstance(value, Unsorted):
        pairs.sort(key=lambda pair: pair[0])
    return b"d" + b"".join(bencode(key) + bencode(item) for key, item in pairs) + b"e"


def encoded_path(names: list[bytes]) -> str:
    return "/".join(quote(name, safe="") for name in names)


class Entry:
    """A file as it must be shown."""

    def __init__(self, path: list[bytes], size: int, pad: bool = False, link: bool = False):
        self.path, self.size, self.pad, self.link = path, size, pad, link


def listed(entries: list[Entry]) -> list[dict]:
    shown, offset = [], 0
    for index, entry in enumerate(entries):
        shown.append({
            "index": index, "path": encoded_path(entry.path), "size": entry.size, "offset": offset,
            "pad": entry.pad, "link": entry.link,
        })
        offset += entry.size
    return shown


def pieces_for(total: int, piece_length: int) -> bytes:
    count = max(0, -(-total // piece_length)) if piece_length > 0 else 0
    return b"\xaa" * 20 * count


def root_of(names: list[bytes]) -> bytes:
    return hashlib.sha256(b"root " + b"/".join(names)).digest()


class Torrent:
    """A torrent to be bent. Keys given as keywords go into the info; `outer` goes beside it."""

    def __init__(self, entries: list[Entry], info: dict, outer: dict | None = None):
        self.entries, self.info, self.outer = entries, info, dict(outer or {})

    def with_info(self, **changes) -> "Torrent":
        info = type(self.info)(self.info)
        for key, value in changes.items():
            key = key.replace("__", "-").replace("_", " ")
            if value is None:
                info.pop(key, None)
            else:
                info[key] = value
        return Torrent(self.entries, info, self.outer)

    def with_outer(self, outer: dict) -> "Torrent":
        return Torrent(self.entries, self.info, {**self.outer, **outer})

    def bytes(self) -> bytes:
        return bencode({**self.outer, "info": self.info})

    def accepted(self, trackers: list[str]) -> dict:
        raw = bencode(self.info)
        total = sum(entry.size for entry in self.entries)
        length = self.info["piece length"]
        is_v2 = self.info.get("meta version") == 2
        has_v1 = not is_v2 or "files" in self.info or "length" in self.info
        return {
            "files": listed(self.entries), "trackers": trackers,
            "piece_length": length, "pieces": -(-total // length), "total": total,
            "private": bool(self.info.get("private", 0)),
            "v1": hashlib.sha1(raw).hexdigest() if has_v1 else None,
            "v2": hashlib.sha256(raw).hexdigest() if is_v2 else None,
        }


def v1(files=None, name=b"T", piece_length=PIECE, length=None, **extra) -> Torrent:
    """`files` are (path, size) or (path, size, keys, Entry flags); without any it is one file of `length` bytes."""
    info: dict = {"name": name, "piece length": piece_length}
    if files is None:
        length = 40_000 if length is None else length
        entries = [Entry([name], length)]
        info["length"] = length
    else:
        entries, info["files"] = [], []
        for path, size, *rest in files:
            keys, flags = (rest + [{}, {}])[:2]
            entries.append(Entry([name, *path], size, **flags))
            info["files"].append({"path": list(path), "length": size, **keys})
    info["pieces"] = pieces_for(sum(entry.size for entry in entries), piece_length)
    info.update(extra)
    return Torrent(entries, info)


def tree_of(files, piece_length=PIECE, name=b"T", tail=True) -> tuple[list[Entry], dict]:
    """Files in byte order of their paths, as a version 2 tree has them, with the padding libtorrent puts in."""
    tree: dict = {}
    entries: list[Entry] = []
    single = len(files) == 1 and len(files[0][0]) == 1
    ordered = sorted(files, key=lambda file: file[0])
    for number, (path, size, *rest) in enumerate(ordered):
        node = tree
        for part in path[:-1]:
            node = node.setdefault(part, {})
        leaf = {"length": size, **(rest[0] if rest else {})}
        if size > 0:
            leaf.setdefault("pieces root", root_of(path))
        node[path[-1]] = {"": leaf}
        link = "l" in str(leaf.get("attr", ""))
        entries.append(Entry(list(path) if single else [name, *path], size, link=link))
        fill = -size % piece_length
        if fill and (tail or number < len(ordered) - 1):
            entries.append(Entry([name, b".pad", b"%d" % fill], fill, pad=True))
    return entries, tree


def layers_of(files, piece_length=PIECE) -> dict:
    return {
        root_of(path): b"\xbb" * 32 * -(-size // piece_length)
        for path, size, *_ in files if size > piece_length
    }


def v2(files, piece_length=PIECE, name=b"T", **extra) -> Torrent:
    entries, tree = tree_of(files, piece_length, name)
    info = {"file tree": tree, "meta version": 2, "name": name, "piece length": piece_length, **extra}
    return Torrent(entries, info, {"piece layers": layers_of(files, piece_length)})


def hybrid(files, piece_length=PIECE, name=b"T", tail=True) -> Torrent:
    entries, tree = tree_of(files, piece_length, name, tail)
    info = {"file tree": tree, "meta version": 2, "name": name, "piece length": piece_length}
    if len(files) == 1:
        entries = [entry for entry in entries if not entry.pad]
        info["length"] = files[0][1]
    else:
        info["files"] = [
            {"path": entry.path[1:], "length": entry.size, **({"attr": "p"} if entry.pad else {})}
            for entry in entries
        ]
    info["pieces"] = pieces_for(sum(entry.size for entry in entries), piece_length)
    return Torrent(entries, info, {"piece layers": layers_of(files, piece_length)})


class Collection:
    def __init__(self, directory: Path):
        self.directory = directory
        self.torrents: list[dict] = []
        self.magnets: list[dict] = []

    def write(self, name: str, content: bytes, expected: dict):
        category = name.split("-")[0]
        file = f"{name}.torrent"
        if (self.directory / file).exists():
            raise ValueError(f"two torrents are named {name}")
        (self.directory / file).write_bytes(content)
        self.torrents.append({"file": file, "category": category, **expected})

    def accept(self, name: str, torrent: Torrent, trackers=()):
        self.write(name, torrent.bytes(), {"expect": "accept", **torrent.accepted(list(trackers))})

    def reject(self, name: str, torrent: Torrent | bytes, reason: str):
        content = torrent if isinstance(torrent, bytes) else torrent.bytes()
        self.write(name, content, {"expect": "reject", "reason": reason})

    def magnet(self, link: str, reason: str | None = None, *, hashes=(None, None), name=None, trackers=(), peers=()):
        if reason:
            self.magnets.append({"link": link, "expect": "reject", "reason": reason})
        else:
            self.magnets.append({
                "link": link, "expect": "accept", "v1": hashes[0], "v2": hashes[1], "name": name,
                "trackers": list(trackers), "peers": list(peers),
            })


# Not bencoded, or not quite.

def broken_data(to: Collection):
    whole = v1().bytes()
    inside = bencode(v1().info)
    raw = {
        "empty": (b"", "no data"),
        "open": (b"d", "the end is missing"),
        "end-alone": (b"e", "an end without a start"),
        "no-info": (b"de", "no info"),
        "list": (b"le", "not a dictionary"),
        "number": (b"i0e", "not a dictionary"),
        "string": (b"4:info", "not a dictionary"),
        "cut-half": (whole[: len(whole) // 2], "cut off"),
        "cut-one": (whole[:-1], "cut off"),
        "newline-after": (whole + b"\n", "something follows"),
        "twice": (whole + whole, "something follows"),
        "blank-before": (b" " + whole, "a blank in front"),
        "bom": (b"\xef\xbb\xbf" + whole, "a byte order mark in front"),
        "html": (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        "gzip": (b"\x1f\x8b\x08\x00" + whole, "compressed"),
        "zeros": (bytes(4096), "zeros"),
        "random": (hashlib.sha512(b"seed").digest() * 64, "noise"),
        "number-zero-first": (b"d1:ai01e4:info" + inside + b"e", "a zero before a number"),
        "number-minus-zero": (b"d1:ai-0e4:info" + inside + b"e", "minus zero"),
        "number-none": (b"d1:aie4:info" + inside + b"e", "a number without digits"),
        "number-minus": (b"d1:ai-e4:info" + inside + b"e", "a number without digits"),
        "number-two-minus": (b"d1:ai--1e4:info" + inside + b"e", "two signs"),
        "number-plus": (b"d1:ai+1e4:info" + inside + b"e", "a plus"),
        "number-point": (b"d1:ai1.5e4:info" + inside + b"e", "not whole"),
        "number-hex": (b"d1:ai0x1e4:info" + inside + b"e", "not decimal"),
        "number-blank": (b"d1:ai 1e4:info" + inside + b"e", "a blank"),
        "number-2-63": (b"d1:ai9223372036854775808e4:info" + inside + b"e", "more than 64 bits"),
        "number-megabyte": (b"d1:ai" + b"9" * MIB + b"e4:info" + inside + b"e", "more than 64 bits"),
        "number-open": (b"d1:ai1", "a number without an end"),
        "length-zero-first": (b"d02:aai1e4:info" + inside + b"e", "a zero before a length"),
        "length-negative": (b"d1:a-1:x4:info" + inside + b"e", "a negative length"),
        "length-beyond": (b"d1:a999999:x4:info" + inside + b"e", "longer than the data"),
        "length-2-64": (b"d1:a18446744073709551617:x4:info" + inside + b"e", "longer than the data"),
        "length-megabyte": (b"d1:a" + b"1" * MIB + b":x4:info" + inside + b"e", "longer than the data"),
        "length-zeros": (b"d1:a" + b"0" * MIB + b":4:info" + inside + b"e", "zeros before a length"),
        "length-no-colon": (b"d1:a1x4:info" + inside + b"e", "no colon"),
        "key-number": (b"di1e1:a4:info" + inside + b"e", "a key that is a number"),
        "key-list": (b"dle1:a4:info" + inside + b"e", "a key that is a list"),
        "key-alone": (b"d4:info" + inside + b"1:ze", "a key without a value"),
        "key-twice": (b"d4:info" + inside + b"4:info" + inside + b"e", "the same key twice"),
        "key-twice-apart": (b"d1:b0:1:ai1e1:bi2e4:info" + inside + b"e", "the same key twice"),
        "key-twice-inside": (v1().bytes().replace(b"4:name1:T", b"4:name1:T4:name1:U"), "the same key twice"),
        "depth-lists": (b"d1:a" + b"l" * 1000 + b"e" * 1000 + b"4:info" + inside + b"e", "too deep"),
        "depth-open": (b"l" * (2 * MIB), "too deep"),
        "depth-dictionaries": (b"d1:a" + b"d0:" * 90_000 + b"0:" + b"e" * 90_000 + b"4:info" + inside + b"e",
        "too deep"),
        "many-values": (b"d1:al" + b"0:" * 900_000 + b"e4:info" + inside + b"e", "too many values"),
        "too-large": (b"d1:a" + bencode(bytes(10 * MIB)) + b"4:info" + inside + b"e", "more than 10 MiB"),
        "info-list": (b"d4:infolee", "the info is a list"),
        "info-string": (b"d4:info" + bencode(inside) + b"e", "the info is a string"),
        "info-number": (b"d4:infoi1ee", "the info is a number"),
        "info-empty": (b"d4:infodee", "the info is empty"),
        "info-too-large": (
            v1().with_info(x=bytes(9 * MIB)).bytes(), "an info of more than 8 MiB"),
        "magnet-uri": (
            bencode({"magnet-uri": "magnet:?xt=urn:btih:" + "a" * 40}), "no info"),
    }
    for name, (content, reason) in raw.items():
        to.reject(f"bencode-{name}", content, reason)
    to.reject(
        "bencode-many-keys-unsorted",
        b"d4:info" + inside + b"".join(b"%d:%d0:" % (len(str(i)), i) for i in range(50_000, 0, -1)) + b"e",
        "thousands of keys out of order")

    plain = v1()
    swapped = Torrent(plain.entries, Unsorted(reversed(list(plain.info.items()))))
    to.accept("bencode-unsorted-info", swapped)
    to.accept("bencode-unknown-keys", plain.with_outer({"x": [1, -1, {"": ""}, ""], "": 0, "zz": -(1 << 63)}))
    to.accept("bencode-depth-40", plain.with_outer({"x": Raw(b"l" * 40 + b"e" * 40)}))
    to.accept("bencode-64-bit", plain.with_outer({"creation date": (1 << 63) - 1}))


# Names.

def names(to: Collection):
    bad = {
        "empty": b"", "dot": b".", "dot-dot": b"..", "slash": b"a/b", "absolute": b"/etc/passwd", "climb": b"../../x",
        "nul": b"a\0.mkv", "nul-alone": b"\0", "long": b"n" * 256,
    }
    for name, text in bad.items():
        to.reject(f"path-{name}", v1([([b"ok.mkv"], 1000), ([text], 1000)]), "a name that is none")
        to.reject(f"path-{name}-folder", v1([([text, b"a.mkv"], 1000)]), "a name that is none")
        to.reject(f"path-{name}-torrent", v1(name=text), "a name that is none")
    plain = [([b"a.mkv"], 1000)]
    one = {"length": 1000}
    shapes = {
        "missing": ([one], "no path"),
        "no-names": ([{**one, "path": []}], "an empty path"),
        "string": ([{**one, "path": b"a.mkv"}], "a path that is a string"),
        "number-in-it": ([{**one, "path": [1]}], "a name that is a number"),
        "list-in-it": ([{**one, "path": [[b"a"]]}], "a name that is a list"),
        "utf8-climbs": ([{**one, "path": [b"a"], "path.utf-8": [b"..", b"a"]}], "a name that is none"),
        "utf8-no-names": ([{**one, "path": [b"a"], "path.utf-8": []}], "an empty path"),
        "files-empty": ([], "no files"),
        "files-of-strings": ([b"a.mkv"], "a file that is a string"),
        "files-string": (b"a.mkv", "files that are a string"),
        "files-dictionary": ({"a": one}, "files that are a dictionary"),
    }
    for name, (files, reason) in shapes.items():
        to.reject(f"path-{name}", v1(plain).with_info(files=files), reason)
    to.reject("path-name-missing", v1().with_info(name=None), "no name")
    to.reject("path-name-number", v1().with_info(name=7), "a name that is a number")
    to.reject("path-name-list", v1().with_info(name=[b"a"]), "a name that is a list")

    odd = {
        "control": b"a\x01\x07\x7f.mkv", "crlf": b"a\r\nSet-Cookie: x=1\r\n.mkv",
        "markup": b"<img src=x onerror=alert(1)>&lt;.mkv",
        "escape-codes": b"\x1b[2J\x1b]0;x\x07.mkv", "right-to-left": "film\u202egpj.mkv".encode(),
        "not-utf8": b"\xff\xfe\x80film.mkv", "latin1": "Amélie.mkv".encode("latin-1"),
        "overlong": b"\xc0\xaf\xc0\xae.mkv",
        "surrogate": b"\xed\xa0\x80.mkv", "backslash": b"..\\..\\windows.mkv", "drive": b"C:\\film.mkv",
        "device": b"CON.mkv", "dot-at-end": b"film.mkv.", "blank-at-end": b"film.mkv ", "three-dots": b"...",
        "dots-inside": b"a..b.mkv", "encoded-climb": b"%2e%2e%2fetc", "percent": b"100%.mkv",
        "question": b"what?.mkv#x",
        "tilde": b"~root", "option": b"-rf", "shell": b"$(id)`id`;|&.mkv", "quotes": b"\"a'b\".mkv",
        "m3u": b"a\n#EXTINF:1,x\nhttp:127.0.0.1\n.mkv", "255-bytes": b"n" * 251 + b".mkv", "emoji": "🎬.mkv".encode(),
        "tilde-number": b"~1", "colon": b"a:b.mkv", "blanks": b"  a  b  .mkv",
    }
    for name, text in odd.items():
        to.accept(f"name-{name}", v1([([text], 20_000), ([text, b"in.mkv"], 5)], name=b"T " + text[:200]))
    twins = [["é.mkv".encode()], [b"e\xcc\x81.mkv"], [b"a.mkv"], [b"a.mkv"], [b"A.mkv"], [b"a.mkv", b"a.mkv"]]
    to.accept("name-twins", v1([(path, 100 + i) for i, path in enumerate(twins)]))
    utf8 = v1([([b"good.mkv"], 1000, {"path": [b"b\xe4d.mkv"], "path.utf-8": [b"good.mkv"]})])
    to.accept("name-utf8-preferred", utf8)
    to.accept("name-utf8-invalid", v1([([b"plain.mkv"], 1000, {"path.utf-8": [b"\xff"]})]))
    named = v1(name=b"good").with_info(name=b"b\xe4d")
    named.info["name.utf-8"] = b"good"
    to.accept("name-torrent-utf8", named)
    invalid = v1(name=b"plain")
    invalid.info["name.utf-8"] = b"\xff"
    to.accept("name-torrent-utf8-invalid", invalid)

    to.accept("depth-32", v1([([b"d"] * 30 + [b"a.mkv"], 1000)]))
    to.reject("depth-33", v1([([b"d"] * 31 + [b"a.mkv"], 1000)]), "a path too deep")
    to.reject("depth-100000", v1([([b"d"] * 100_000, 1000)]), "a path too deep")
    to.reject("depth-bytes", v1([([b"d" * 250] * 17, 1000)]), "a path of more than 4,096 bytes")
    to.reject("depth-tree-33", v2([([b"d"] * 33, 1000)]), "a path too deep")
    deep = b"d0:d6:lengthi1e11:pieces root32:" + b"r" * 32 + b"ee"
    for levels in (60, 200, 100_000):
        tree = Raw(b"d1:d" * levels + deep + b"e" * levels)
        to.reject(f"depth-tree-{levels}", v2([([b"a"], 1000)]).with_info(file_tree=tree), "a tree too deep")


# Sizes and pieces.

def sizes(to: Collection):
    single = v1()
    for name, value in {"missing": None, "negative": -1, "string": b"40000", "list": [1], "min": -(1 << 63)}.items():
        to.reject(f"size-{name}", single.with_info(length=value), "no length, or none that is a size")
        file = {"path": [b"b"]} if value is None else {"path": [b"b"], "length": value}
        to.reject(
            f"size-{name}-in-list", v1([([b"a"], 100)]).with_info(files=[{"path": [b"a"], "length": 100}, file]),
            "no length, or none that is a size")
    huge = (1 << 63) - 1
    some = pieces_for(1, PIECE)
    to.reject("size-max", single.with_info(length=huge, pieces=some), "more than 64 TiB")
    to.reject("size-65tib", single.with_info(length=65 * TIB, pieces=some), "more than 64 TiB")
    to.reject(
        "size-sum-overflows",
        single.with_info(length=None, pieces=some, files=[{"path": [b"%d" % i], "length": huge} for i in range(3)]),
        "a sum of more than 64 bits")
    to.reject(
        "size-sum-wraps-to-small",
        single.with_info(length=None, pieces=some, files=[
            {"path": [b"a"], "length": huge}, {"path": [b"b"], "length": huge}, {"path": [b"c"], "length": 102}]),
        "a sum of more than 64 bits")
    to.reject("size-zero", v1(length=0), "no bytes at all")
    to.reject("size-all-empty", v1([([b"a"], 0), ([b"b"], 0)]), "no bytes at all")
    to.accept("size-one", v1(length=1))
    to.accept("size-empty-among", v1([([b"e0"], 0), ([b"a.mkv"], 16_384), ([b"e1"], 0), ([b"b.mkv"], 1), ([b"e2"], 0)]))
    to.accept("size-piece-exact", v1(length=PIECE * 3))
    to.accept("size-piece-and-one", v1(length=PIECE * 3 + 1))
    to.accept("size-both-length-and-files", v1([([b"a.mkv"], 1000)]).with_info(length=7))

    lengths = {
        "0": 0, "minus": -16_384, "1": 1, "8k": 8192, "16383": 16_383, "33m": 33 * MIB, "64m": 64 * MIB,
        "512m": 512 * MIB,
        "2-31": 1 << 31, "2-40": 1 << 40, "2-62": 1 << 62, "max": huge,
    }
    for name, length in lengths.items():
        torrent = v1(piece_length=PIECE, length=1).with_info(piece_length=length)
        to.reject(f"pieces-length-{name}", torrent, "a piece length that is not supported")
    to.reject("pieces-length-missing", single.with_info(piece_length=None), "no piece length")
    to.reject("pieces-length-string", single.with_info(piece_length=b"16384"), "a piece length that is a string")
    to.accept("pieces-length-odd", v1(piece_length=20_000, length=100_001))
    to.accept("pieces-length-32m", v1(piece_length=32 * MIB, length=100 * MIB + 1))
    hashes = single.info["pieces"]
    wrong = {
        "missing": None, "number": 1, "list": [hashes], "empty": b"", "few": hashes[:-20], "many": hashes + hashes[:20],
        "ragged": hashes[:-1], "one-byte-more": hashes + b"x",
    }
    for name, value in wrong.items():
        to.reject(f"pieces-{name}", single.with_info(pieces=value), "pieces that do not fit the size")
    to.accept("pieces-65536", v1(length=65_536 * PIECE))
    to.reject("pieces-65537", v1(length=65_536 * PIECE + 1), "too many pieces")

    def padded(size: int, count: int) -> Torrent:
        pad = ([b".pad", b"%d" % size], size, {"attr": "p"}, {"pad": True})
        return v1([([b"a.mkv"], 1000)] + [pad] * count, piece_length=32 * MIB)
    to.accept("pads-1gib", padded(GIB, 1))
    to.reject("pads-above-1gib", padded(GIB + 1, 1), "too many bytes of padding")
    to.reject("pads-sum", padded(GIB // 4, 5), "too many bytes of padding")
    to.reject("pads-max", v1([([b"a"], 1)]).with_info(
        files=[{"path": [b"a"], "length": 1}, {"attr": "p", "length": huge, "path": [b"p"]}]), "padding beyond 64 bits")
    no_path = v1([([b"a.mkv"], 1000), ([b".pad", b"15384"], 15_384, {"attr": "p"}, {"pad": True}), ([b"b.mkv"], 5)])
    no_path.info["files"][1].pop("path")
    to.accept("pads-without-path", no_path)
    to.accept("pads-by-name", v1([
        ([b"a.mkv"], 1000), ([b".pad", b"15384"], 15_384, {}, {"pad": True}), ([b"b.mkv"], 5),
        ([b".pad", b"7"], 8), ([b".pad", b"film.mkv"], 9),
        ([b"_____padding_file_0_if you see this file, please update to BitComet_"], 10, {}, {"pad": True})]))
    to.accept("pads-attributes", v1([
        ([b"a.mkv"], 1000, {"attr": "xh"}), ([b"p"], 10, {"attr": "hp"}, {"pad": True}), ([b"c"], 5, {"attr": "?"})]))


def counts(to: Collection):
    to.accept("count-10000", v1([([b"%05d.mkv" % i], 100) for i in range(10_000)]))
    to.reject("count-10001", v1([([b"%05d.mkv" % i], 100) for i in range(10_001)]), "too many files")
    files = b"".join(b"d6:lengthi1e4:pathl6:%06dee" % i for i in range(200_000))
    to.reject(
        "count-200000", v1(length=200_000).with_info(length=None, files=Raw(b"l" + files + b"e")),
        "too many files or values")
    to.reject(
        "count-pads", v1([([b"a"], 1)] + [([b"p"], 1, {"attr": "p"}, {"pad": True})] * 10_001), "too many pad files")
    to.reject("count-tree", v2([([b"%05d" % i], 0) for i in range(10_001)] + [([b"x"], 1)]), "too many files")
    directories = b"".join(b"6:%06dde" % i for i in range(300_000))
    to.reject("count-directories", v2([([b"a"], 1)]).with_info(
        file_tree=Raw(b"d" + directories + b"e")), "too many values, and no files")


# Where it wants us to connect.

def outgoing(to: Collection):
    inward = [
        "http://127.0.0.1:9080/announce", "http://127.1/announce", "http://2130706433/announce",
        "http://0x7f.1/announce",
        "http://0177.0.0.1/announce", "http://0/announce", "http://0.0.0.0:80/announce", "http://[::1]:9080/announce",
        "http://[::]/announce", "http://[::ffff:127.0.0.1]/announce", "http://[::ffff:7f00:1]/announce",
        "http://[64:ff9b::7f00:1]/announce", "http://[64:ff9b::a9fe:a9fe]/announce", "http://[2002:7f00:1::]/announce",
        "http://[fe80::1]/announce", "http://[fc00::1]/announce", "http://[ff02::1]/announce",
        "http://localhost/announce",
        "http://LOCALHOST:80/announce", "http://a.localhost/announce", "http://localhost./announce",
        "http://169.254.169.254/latest/meta-data/", "http://169.254.169.254:80/announce?x=", "http://10.0.0.1/announce",
        "http://172.16.0.1/announce", "http://192.168.1.1/announce", "http://100.64.0.1/announce",
        "http://metadata.google.internal/announce", "http://router/announce", "http://printer.local/announce",
        "udp://127.0.0.1:53", "udp://224.0.0.1:1900", "udp://255.255.255.255:1", "udp://192.0.2.1:80",
    ]
    for number, url in enumerate(inward):
        to.accept(f"url-inward-{number:02}", v1().with_outer({"announce": url}), [])
    shapes = [
        "file:///etc/passwd", "ftp://tracker.example.com/", "gopher://tracker.example.com:70/",
        "ws://tracker.example.com/",
        "wss://tracker.example.com/", "unix:/run/x", "data:text/plain,x", "http://user:pw@tracker.example.com/announce",
        "http://tracker.example.com@127.0.0.1/announce", "http://tracker.example.com:0/a",
        "http://tracker.example.com:99999/a",
        "http://tracker.example.com:x/a", "http://tracker.example.com:/a", "udp://tracker.example.com/announce",
        "http:///announce",
        "http://", "", "//tracker.example.com/a", "http:/tracker.example.com",
        "http://tracker.example.com\\@127.0.0.1/",
        "http://tracker.example.com/a b", "http://tracker.example.com/\r\nX: y", "http://-x.example.com/",
        "http://a..b.com/",
        "http://[::1/announce", "http://tracker.example.com./a", "http://" + "a" * 64 + ".com/",
        "http://t.example.com/" + "a" * 2100,
        "http://träcker.example.com/", "http://1.2.3.4.5/", "http://1.2.3/", "http://256.1.1.1/",
    ]
    for number, url in enumerate(shapes):
        to.accept(f"url-shape-{number:02}", v1().with_outer({"announce": url}), [])
    good = "http://tracker.example.com:6969/announce?key=a%20b&x=1"
    to.accept("url-good", v1().with_outer({"announce": good}), [good])
    to.accept(
        "url-tiers",
        v1().with_outer({
            "announce": " HTTP://Tracker.Example.COM/Announce#x ",
            "announce-list": [
                [inward[0], "udp://9.9.9.9:80", 1], "http://no.example.com/", [[b"x"]],
                ["https://[2606:4700::1]:443/a", "udp://9.9.9.9:80"]],
        }),
        ["http://tracker.example.com/Announce", "udp://9.9.9.9:80", "https://[2606:4700::1]:443/a"])
    many = [f"http://t{i}.example.com/announce" for i in range(5000)]
    to.accept("url-many", v1().with_outer({"announce-list": [[url] for url in many]}), many[:20])
    to.accept("url-good-after-200", v1().with_outer({"announce-list": [[inward[0]] * 200 + [good]]}), [])
    to.accept("url-announce-list-string", v1().with_outer({"announce-list": good}), [])
    to.accept("url-announce-number", v1().with_outer({"announce": 1, "announce-list": 2}), [])
    for number, url in enumerate([inward[0], inward[21], "http://seed.example.com/f/", "file:///etc/"]):
        to.accept(f"url-web-seed-{number}", v1().with_outer({"url-list": url}), [])
        to.accept(f"url-web-seeds-{number}", v1().with_outer({"url-list": [url] * 50, "httpseeds": [url] * 50}), [])
    to.accept("url-nodes", v1().with_outer({"nodes": [["127.0.0.1", 6881], ["169.254.169.254", 80], ["x", -1]]}), [])
    to.accept("url-similar", v1().with_outer({"similar": [b"s" * 20], "collections": [b"c"]}), [])


def links(to: Collection):
    targets = {"absolute": [b"/etc/passwd"], "climb": [b"..", b"..", b"..", b"etc", b"passwd"], "self": [b"l"],
    "file": [b"a.mkv"]}
    for name, target in targets.items():
        to.accept(f"link-{name}", v1([
            ([b"a.mkv"], 1000), ([b"l"], 0, {"attr": "l", "symlink path": target}, {"link": True}), ([b"l", b"in.mkv"],
            5)]))
    lying = v1([([b"a.mkv"], 1000), ([b"l"], 0, {"attr": "l", "symlink path": [b"a.mkv"]}, {"link": True}),
        ([b"b.mkv"], 5)])
    lying.info["files"][1]["length"] = 1 << 62
    to.accept("link-with-length", lying)
    to.accept("link-without-target", v1([([b"a.mkv"], 1000), ([b"l"], 0, {"attr": "l"}, {"link": True})]))
    to.accept("link-tree", v2([([b"a.mkv"], 1000), ([b"l"], 0, {"attr": "l", "symlink path": [b"..", b".."]})]))
    to.reject("link-alone", v1([([b"l"], 0, {"attr": "l", "symlink path": [b"/etc/passwd"]}, {"link": True})]),
        "no bytes at all")


# Version 2.

def version_2(to: Collection):
    files = [([b"b", b"x.mkv"], 100_000), ([b"a.mkv"], 40_000), ([b"c"], 16_384), ([b"e"], 0), ([b"z.mkv"], 5)]
    one = [([b"T"], 50_000)]
    to.accept("tree-files", v2(files))
    to.accept("tree-single", v2(one))
    to.accept("tree-single-other-name", v2([([b"film.mkv"], 50_000)]))
    to.accept("tree-one-in-folder", v2([([b"d", b"film.mkv"], 50_000)]))
    to.accept("tree-without-layers", Torrent(v2(files).entries, v2(files).info))
    to.accept("tree-private", v2(files).with_info(private=1))
    to.accept("tree-empty-directory", v2(files).with_info(file_tree={**v2(files).info["file tree"], b"zz": {}}))
    to.accept("hybrid-files", hybrid(files))
    to.accept("hybrid-no-tail", hybrid(files, tail=False))
    to.accept("hybrid-single", hybrid(one))

    tree = v2(files)
    base = tree.info["file tree"]

    def leaf(**keys) -> dict:
        keys = {key.replace("_", " "): value for key, value in keys.items() if value is not None}
        return {**base, b"a.mkv": {"": {"length": 40_000, "pieces root": b"r" * 32, **keys}}}

    bad_trees = {
        "root-missing": ({**base, b"a.mkv": {"": {"length": 40_000}}}, "no pieces root"),
        "root-short": (leaf(pieces_root=b"r" * 31), "a short pieces root"),
        "root-zero": (leaf(pieces_root=bytes(32)), "a pieces root of zeros"),
        "root-number": (leaf(pieces_root=1), "a pieces root that is a number"),
        "length-negative": (leaf(length=-1), "a negative length"),
        "length-max": (leaf(length=(1 << 63) - 1), "a length of more than 64 TiB"),
        "length-string": (leaf(length=b"1"), "a length that is a string"),
        "length-missing": ({**base, b"a.mkv": {"": {"pieces root": b"r" * 32}}}, "no length"),
        "pad": (leaf(attr="p"), "a pad file, which version 2 has not"),
        "leaf-string": ({**base, b"a.mkv": {"": b"x"}}, "a file that is a string"),
        "node-string": ({**base, b"a.mkv": b"x"}, "a directory that is a string"),
        "node-list": ({**base, b"a.mkv": []}, "a directory that is a list"),
        "file-and-directory": ({**base, b"d": {"": {"length": 0}, b"x": {"": {"length": 0}}}},
        "a file that is a directory"),
        "nameless": ({"": {"length": 5, "pieces root": b"r" * 32}}, "a file without a name"),
        "dot-dot": ({b"..": base}, "a name that is none"),
        "slash": ({b"a/b": {"": {"length": 0}}, **base}, "a name that is none"),
        "nul": ({b"a\0b": {"": {"length": 0}}, **base}, "a name that is none"),
        "long-name": ({b"n" * 256: {"": {"length": 0}}, **base}, "a name that is too long"),
        "empty": ({}, "no files"),
        "only-directories": ({b"a": {b"b": {}}}, "no files"),
        "only-empty-files": ({b"a": {"": {"length": 0}}, b"b": {"": {"length": 0}}}, "no bytes at all"),
        "list": ([base], "a tree that is a list"),
        "string": (b"x", "a tree that is a string"),
        "unsorted": (Unsorted(reversed(sorted(base.items()))), "keys out of order"),
    }
    for name, (bad, reason) in bad_trees.items():
        to.reject(f"tree-{name}", tree.with_info(file_tree=bad), reason)
    to.reject("tree-missing", tree.with_info(file_tree=None), "no tree")
    for name, version in {"none": None, "0": 0, "1": 1, "3": 3, "minus": -2, "string": b"2",
    "2-32": (1 << 32) + 2}.items():
        to.reject(f"tree-version-{name}", tree.with_info(meta_version=version), "not a version there is")
    to.reject("tree-piece-length", tree.with_info(piece_length=20_000), "not a power of two")
    to.reject("tree-piece-length-8k", tree.with_info(piece_length=8192), "pieces that are too small")
    to.reject("tree-pieces-wrong", tree.with_info(pieces=b"p" * 20), "pieces that do not fit the size")
    to.reject("tree-pads", v2([([b"%03d" % i], 1) for i in range(40)], piece_length=32 * MIB),
        "too many bytes of padding")

    layers = tree.outer["piece layers"]
    root = root_of([b"a.mkv"])
    for name, bad in {
        "list": [layers], "string": b"x", "short": {**layers, root: layers[root][:-32]}, "ragged": {**layers,
        root: b"x" * 95},
        "long": {**layers, root: layers[root] + b"y" * 32}, "unknown": {**layers, b"u" * 32: b"v" * 64},
        "short-key": {**layers, b"k" * 31: b"v" * 64}, "number": {**layers, root: 1},
        "of-small-file": {**layers, root_of([b"z.mkv"]): b"v" * 32},
    }.items():
        to.reject(f"layers-{name}", tree.with_outer({"piece layers": bad}), "piece layers that do not fit the files")

    both = hybrid(files)
    first = both.info["files"]
    pieces = both.info["pieces"]
    for name, changed in {
        "size": [{**first[0], "length": 39_999}, {**first[1], "length": first[1]["length"] + 1}, *first[2:]],
        "path": [{**first[0], "path": [b"other.mkv"]}, *first[1:]],
        "order": [first[2], first[1], first[0], *first[3:]],
        "less": first[:2],
        "more": [*first, {"path": [b"more"], "length": 0}],
        "pad-is-file": [first[0], {"path": [b"p"], "length": first[1]["length"]}, *first[2:]],
    }.items():
        to.reject(f"hybrid-{name}", both.with_info(files=changed), "the two versions disagree")
    to.reject("hybrid-pieces-missing", both.with_info(pieces=None), "no pieces")
    to.reject("hybrid-pieces-few", both.with_info(pieces=pieces[:-20]), "pieces that do not fit the size")
    to.reject("hybrid-single-size", hybrid(one).with_info(length=49_999), "the two versions disagree")
    to.reject("hybrid-single-name", hybrid([([b"U"], 50_000)]), "the two versions disagree")


def kinds(to: Collection):
    to.accept("kind-private", v1().with_info(private=1))
    to.accept("kind-private-0", v1().with_info(private=0))
    to.reject("kind-private-string", v1().with_info(private=b"1"), "a private that is no number")
    to.reject("kind-ssl", v1().with_info(ssl__cert=b"-----BEGIN CERTIFICATE-----"), "peers with a certificate only")
    to.accept("kind-film", v1([([b"Film", b"film.mkv"], 900_000), ([b"Film", b"film.de.srt"], 30_000),
        ([b"readme.txt"], 10)]))
    to.accept("kind-single", v1(name=b"film.mkv", length=900_000))


def magnets(to: Collection):
    sha1 = hashlib.sha1(b"a film").hexdigest()
    sha256 = hashlib.sha256(b"a film").hexdigest()
    base32 = b32encode(bytes.fromhex(sha1)).decode()
    tracker = "http://tracker.example.com:6969/announce?k=a%20b"
    escaped = quote(tracker, safe="")
    topic = f"xt=urn:btih:{sha1}"
    full = f"magnet:?{topic}&dn=A+Film%20%28x%29&tr={escaped}&x.pe=9.9.9.9:6881"
    known = {"hashes": (sha1, None)}
    filled = {**known, "name": "A Film (x)", "trackers": [tracker], "peers": ["9.9.9.9:6881"]}
    either = {"hashes": (sha1, sha256)}
    for link, expected in [
        (f"magnet:?{topic}", known), (full, filled), (f"  <{full}>\n", filled), (f"\"{full}\"", filled),
        (full.replace("&", "&amp;"), filled), (full.replace("&", "&amp;amp;"), filled), (quote(full, safe=""), filled),
        (quote(quote(full, safe=""), safe=""), filled), (quote_plus(full), filled), (full[:40] + "\r\n" + full[40:],
        filled),
        (full[:30] + " " + full[30:], filled), (full.replace("magnet", "MAGNET").replace("urn:btih", "URN:BTIH"),
        filled),
        (full.split("?", 1)[1], filled), ("?" + full.split("?", 1)[1], filled), (full.replace("xt=", "xt.1="), filled),
        (sha1, known), (sha1.upper(), known), (base32, known), (base32.lower(), known), (f" {sha1}\n", known),
        (sha256, {"hashes": (None, sha256)}), (f"magnet:?xt=urn:btih:{base32}", known),
        (f"magnet:?xt=urn:btmh:1220{sha256}", {"hashes": (None, sha256)}),
        (f"magnet:?{topic}&xt=urn:btmh:1220{sha256}", either),
        (f"magnet:?xt.1=urn:btmh:1220{sha256}&xt.2=urn:btih:{sha1}", either),
        (f"magnet:?{topic}&{topic}", known), (f"magnet:?xt=urn:ed2k:{'0' * 32}&{topic}", known),
        (f"magnet:?{topic}&ws=http://127.0.0.1/&so=0&xs=http://10.0.0.1/x.torrent&as=http://127.0.0.1/", known),
        (f"magnet:?{topic}&tr=http://127.0.0.1:9080/announce&tr=http://169.254.169.254/&tr=file:///etc/passwd", known),
        (f"magnet:?{topic}&x.pe=127.0.0.1:22&x.pe=10.0.0.1:80&x.pe=host.example.com:80&x.pe=[::1]:80&x.pe=9.9.9.9:0",
        known),
        (f"magnet:?{topic}&x.pe=[2606:4700::1]:80&x.pe=[2606:4700:0::1]:80", {**known, "peers": ["[2606:4700::1]:80"]}),
        (f"magnet:?{topic}&dn=..%2F..%2Fetc%2Fpasswd", {**known, "name": "../../etc/passwd"}),
        (f"magnet:?{topic}&dn=%0d%0aSet-Cookie:%20x%00", {**known, "name": "Set-Cookie: x"}),
        (f"magnet:?{topic}" + "".join(f"&tr=http://t{i}.example.com/a" for i in range(1000)),
         {**known, "trackers": [f"http://t{i}.example.com/a" for i in range(20)]}),
        (f"magnet:?{topic}" + "&tr=http://127.0.0.1/a" * 200 + f"&tr={escaped}", known),
    ]:
        to.magnet(link, **expected)
    for link, reason in [
        ("", "nothing"), ("magnet:", "no hash"), ("magnet:?dn=x", "no hash"), ("magnet:?xt=", "no hash"),
        (f"magnet:?xt=urn:btih:{sha1[:-1]}", "39 digits"), (f"magnet:?xt=urn:btih:{sha1}0", "41 digits"),
        (f"magnet:?xt=urn:btih:{sha1[:-1]}g", "no digit"), (f"magnet:?xt=urn:btih:{'0' * 40}", "zeros"),
        (f"magnet:?xt=urn:btih:{base32[:-1]}1", "no digit of base32"), (f"magnet:?xt=urn:btmh:1114{sha1}",
        "another digest"),
        (f"magnet:?xt=urn:btmh:1220{sha256[:-2]}", "a short hash"), (f"magnet:?xt=urn:sha1:{base32}",
        "another network"),
        (f"magnet:?{topic}&xt=urn:btih:{'1' * 40}", "two torrents"), ("http://example.com/x.torrent", "another scheme"),
        ("../../etc/passwd", "a path"), ("%", "noise"), ("%25" * 2000, "noise"), ("a" * 39, "39 digits"),
        (f"magnet:?{topic}&dn={'x' * 70_000}", "more than 64 KiB"), ("&" * 60_000, "noise"), ("=" * 60_000, "noise"),
    ]:
        to.magnet(link, reason)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    collection = Collection(directory)
    for part in (broken_data, names, sizes, counts, outgoing, links, version_2, kinds, magnets):
        part(collection)
    manifest = {"torrents": collection.torrents, "magnets": collection.magnets}
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{len(collection.torrents)} torrents, {len(collection.magnets)} magnets in {directory}")


if __name__ == "__main__":
    main()
