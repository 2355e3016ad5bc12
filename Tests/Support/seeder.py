#!/usr/bin/python3
"""Seeds a torrent of made-up content over loopback until its standard input ends. Needs python3-libtorrent.

    seeder.py --file film.mkv:4000000 --file film.srt:1000 --name Film --piece-size 65536 --version hybrid

What to seed:
    --file PATH:BYTES     a file, several times; parts of PATH are separated by "/". The same PATH may come twice.
    --name NAME           name of the torrent; without it one file stands alone and several are called "content"
    --content PATH        a folder whose files have the bytes, instead of made-up ones
    --zeros               one file of zeros, which takes no room on the disk; with v1 and a single --file only
    --seed NUMBER         other numbers give other bytes; the same arguments always give the same torrent (default 1)
    --version v1|v2|hybrid
    --piece-size BYTES    v1 takes any; the others a power of two from 16384 on (default 65536)
    --private             peers come from its trackers alone; with v1 only
    --torrent PATH        takes everything but the bytes, which --seed gives, from a .torrent made with the same --seed
    --directory PATH      where the files go, kept afterwards; without it a temporary folder
    --save-torrent PATH   writes the .torrent

How to seed:
    --address ADDRESS     (default 127.0.0.1)
    --port NUMBER         0 is any (default)
    --rate BYTES          bytes a second to all peers together
    --bad-blocks LIST     pieces whose first block is sent with wrong bytes: "all" or "0,3,17"
    --tracker URL         goes into the .torrent and the magnet link, several times; the seeder itself asks none

Several seeders of one torrent are several of these with the same content. When ready it prints one line of JSON: port,
address, magnet (with this seeder as a peer), info_hash_v1, info_hash_v2 (hex or null), directory, torrent (path or
null), piece_length, pieces, and files: path (below directory, as it stands on the disk), offset, size, is_pad.
For each line that it then reads it prints one with a number: how many connections peers have made to it.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import urllib.parse

try:
    import libtorrent as lt
except ImportError:
    sys.exit("python3-libtorrent is not installed")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--file", action="append", default=[])
    parser.add_argument("--name")
    parser.add_argument("--content")
    parser.add_argument("--zeros", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--version", choices=["v1", "v2", "hybrid"], default="v1")
    parser.add_argument("--piece-size", type=int, default=65536)
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--torrent")
    parser.add_argument("--directory")
    parser.add_argument("--save-torrent")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--bad-blocks", default="")
    parser.add_argument("--tracker", action="append", default=[])
    return parser.parse_args()


def content(options, index, path, size):
    """Made-up bytes of a file depend on its place among the files that are not padding, and on nothing else."""
    if options.content:
        with open(os.path.join(options.content, path), "rb") as file:
            return file.read()
    return random.Random(options.seed * 1_000_003 + index).randbytes(size)


def listed_files(options):
    files = []
    for text in options.file:
        path, _, size = text.rpartition(":")
        files.append((path, int(size)))
    if not files:
        sys.exit("nothing to seed: give --file or --torrent")
    return files


def v1_info(options):
    """Written by hand: any size of piece, files in the order given, names that are not unique."""
    files = listed_files(options)
    whole = b"".join(content(options, index, path, size) for index, (path, size) in enumerate(files))
    step = options.piece_size
    hashes = (hashlib.sha1(whole[start : start + step]).digest() for start in range(0, len(whole), step))
    info = {b"piece length": step, b"pieces": b"".join(hashes)} | ({b"private": 1} if options.private else {})
    if len(files) == 1 and options.name is None:
        return info | {b"name": files[0][0].encode(), b"length": files[0][1]}
    paths = [{b"length": size, b"path": [part.encode() for part in path.split("/")]} for path, size in files]
    return info | {b"name": (options.name or "content").encode(), b"files": paths}


def zeros_info(options):
    (path, size), step = listed_files(options)[0], options.piece_size
    count, rest = divmod(size, step)
    pieces = hashlib.sha1(bytes(step)).digest() * count
    if rest:
        pieces += hashlib.sha1(bytes(rest)).digest()
    return {b"name": path.encode(), b"length": size, b"piece length": step, b"pieces": pieces}


def made_torrent(options, directory):
    """The .torrent as a dictionary."""
    if options.zeros:
        return {b"info": zeros_info(options)}
    if options.version == "v1":
        return {b"info": v1_info(options)}
    # In the order of the file tree, as write_content() finds them.
    files = sorted(listed_files(options), key=lambda file: [part.encode() for part in file[0].split("/")])
    is_single = len(files) == 1 and options.name is None
    name = options.name or "content"
    storage = lt.file_storage()
    for index, (path, size) in enumerate(files):
        full = path if is_single else f"{name}/{path}"
        storage.add_file(full, size)
        write(os.path.join(directory, full), content(options, index, path, size))
    flags = lt.create_torrent.v2_only if options.version == "v2" else 0
    made = lt.create_torrent(storage, options.piece_size, flags)
    lt.set_piece_hashes(made, directory)
    return {key: value for key, value in made.generate().items() if key in (b"info", b"piece layers")}


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def relative(files, index):
    """The path without the torrent's name, as --file has it."""
    path = files.file_path(index)
    return path.split("/", 1)[1] if "/" in path else path


def write_content(options, info, directory):
    files = info.files()
    if options.zeros:
        write(os.path.join(directory, files.file_path(0)), b"")
        os.truncate(os.path.join(directory, files.file_path(0)), files.file_size(0))
        return
    place = 0
    for index in range(files.num_files()):
        if files.file_flags(index) & lt.file_storage.flag_pad_file:
            continue
        write(os.path.join(directory, files.file_path(index)), content(options, place, relative(files, index), files.file_size(index)))
        place += 1


def spoil(options, info, directory):
    files = info.files()
    count = info.num_pieces()
    chosen = [int(text) for text in options.bad_blocks.split(",") if text.isdigit()]
    pieces = range(count) if options.bad_blocks == "all" else chosen
    for piece in pieces:
        for part in info.map_block(piece, 0, 1):
            with open(os.path.join(directory, files.file_path(part.file_index)), "r+b") as file:
                file.seek(part.offset)
                byte = file.read(1)
                file.seek(part.offset)
                file.write(bytes([byte[0] ^ 0xFF]))


def start(options, info, directory):
    session = lt.session({
        "listen_interfaces": f"{options.address}:{options.port}",
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "enable_incoming_utp": False, "enable_outgoing_utp": False,
        "close_redundant_connections": False, "allow_multiple_connections_per_ip": True,
        "unchoke_slots_limit": -1, "upload_rate_limit": options.rate, "tick_interval": 100,
        "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.error_notification
        | lt.alert.category_t.peer_notification,
    })
    # A limit holds for the addresses of this machine only in this class.
    if options.rate:
        local = session.get_peer_class(lt.session.local_peer_class_id)
        local["upload_limit"] = options.rate
        session.set_peer_class(lt.session.local_peer_class_id, local)
    parameters = lt.add_torrent_params()
    parameters.ti = info
    parameters.save_path = directory
    # Neither checked nor managed: it says that it has what it was given, bad blocks too.
    parameters.have_pieces = [True] * info.num_pieces()
    parameters.flags = lt.torrent_flags.override_trackers | lt.torrent_flags.override_web_seeds
    return session, session.add_torrent(parameters)


def wait_until_ready(session, torrent):
    port = 0
    is_seeding = False
    while not (port and is_seeding):
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            if isinstance(alert, (lt.listen_failed_alert, lt.torrent_error_alert)):
                sys.exit(alert.message())
        port = session.listen_port()
        is_seeding = torrent.status().is_seeding
    return port


def answer_questions(session):
    connections = 0
    for _ in sys.stdin.buffer:
        connections += sum(isinstance(alert, lt.incoming_connection_alert) for alert in session.pop_alerts())
        print(connections, flush=True)


def magnet(options, info, port):
    hashes = info.info_hashes()
    parts = []
    if hashes.has_v1():
        parts.append(f"xt=urn:btih:{hashes.v1}")
    if hashes.has_v2():
        parts.append(f"xt=urn:btmh:1220{hashes.v2}")
    parts.append("dn=" + urllib.parse.quote(info.name()))
    parts += ["tr=" + urllib.parse.quote(url, safe="") for url in options.tracker]
    parts.append(f"x.pe={options.address}:{port}")
    return "magnet:?" + "&".join(parts)


def description(options, info, directory, port):
    files = info.files()
    hashes = info.info_hashes()
    return {
        "port": port,
        "address": options.address,
        "magnet": magnet(options, info, port),
        "info_hash_v1": str(hashes.v1) if hashes.has_v1() else None,
        "info_hash_v2": str(hashes.v2) if hashes.has_v2() else None,
        "directory": directory,
        "torrent": options.save_torrent,
        "piece_length": info.piece_length(),
        "pieces": info.num_pieces(),
        "files": [
            {
                "path": files.file_path(index),
                "offset": files.file_offset(index),
                "size": files.file_size(index),
                "is_pad": bool(files.file_flags(index) & lt.file_storage.flag_pad_file),
            }
            for index in range(files.num_files())
        ],
    }


def main():
    options = arguments()
    directory = os.path.abspath(options.directory or tempfile.mkdtemp(prefix="media-gateway-seeder-"))
    try:
        if options.torrent:
            with open(options.torrent, "rb") as file:
                torrent = lt.bdecode(file.read())
        else:
            torrent = made_torrent(options, directory)
        if options.tracker:
            torrent[b"announce-list"] = [[url.encode()] for url in options.tracker]
        encoded = lt.bencode(torrent)
        info = lt.torrent_info(encoded)
        write_content(options, info, directory)
        spoil(options, info, directory)
        if options.save_torrent:
            options.save_torrent = os.path.abspath(options.save_torrent)
            with open(options.save_torrent, "wb") as file:
                file.write(encoded)
        session, handle = start(options, info, directory)
        port = wait_until_ready(session, handle)
        print(json.dumps(description(options, info, directory, port)), flush=True)
        answer_questions(session)
    finally:
        if not options.directory:
            shutil.rmtree(directory, ignore_errors=True)
    sys.stdout.flush()
    # The session would take its time to say goodbye.
    os._exit(0)


if __name__ == "__main__":
    main()
