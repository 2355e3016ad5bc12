#!/usr/bin/python3
"""Seeds what is there, each file or folder a torrent of its own, until its standard input ends.

    torrent_seed.py [--address 127.0.0.1] [--port 0] [--rate BYTES] [--piece-size BYTES] [--save FOLDER] PATH...

One session for all of them. When ready it prints one line of JSON: an array with what Tests/Support/seeder.py says of a
torrent. ``--save`` puts the .torrents into a folder, as HASH.torrent.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Support"))

import seeder  # noqa: E402
from seeder import lt  # noqa: E402


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--piece-size", type=int, default=262144)
    parser.add_argument("--save", type=Path)
    parser.add_argument("paths", nargs="+", type=Path)
    # What Tests/Support/seeder.py wants to know besides.
    return parser.parse_args(namespace=argparse.Namespace(tracker=[], save_torrent=None))


def made(path: Path, options: argparse.Namespace) -> "lt.torrent_info":
    storage = lt.file_storage()
    lt.add_files(storage, str(path))
    torrent = lt.create_torrent(storage, options.piece_size, lt.create_torrent.v1_only)
    lt.set_piece_hashes(torrent, str(path.parent))
    encoded = lt.bencode({b"info": torrent.generate()[b"info"]})
    info = lt.torrent_info(encoded)
    if options.save:
        (options.save / f"{info.info_hashes().v1}.torrent").write_bytes(encoded)
    return info


def main() -> None:
    options = arguments()
    torrents = [(made(path.resolve(), options), str(path.resolve().parent)) for path in options.paths]
    session, first = seeder.start(options, *torrents[0])
    for info, directory in torrents[1:]:
        parameters = lt.add_torrent_params()
        parameters.ti, parameters.save_path = info, directory
        parameters.have_pieces = [True] * info.num_pieces()
        parameters.flags = lt.torrent_flags.override_trackers | lt.torrent_flags.override_web_seeds
        session.add_torrent(parameters)
    port = seeder.wait_until_ready(session, first)
    print(json.dumps([seeder.description(options, info, directory, port) for info, directory in torrents]), flush=True)
    sys.stdin.buffer.read()
    # The session would take its time to say goodbye.
    os._exit(0)


if __name__ == "__main__":
    main()
