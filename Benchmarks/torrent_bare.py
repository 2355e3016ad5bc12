#!/usr/bin/python3
"""A bare libtorrent program for ``torrent.py`` to measure the gateway beside. Needs python3-libtorrent.

It reads one JSON command a line and answers each with a line:

    {"do": "start", "has_own_disk": bool}                           opens the session; libtorrent's disk settings?
    {"do": "add", "magnet": "…", "directory": "…"}                  → {"metadata": s, "first": s}, the latter from there
    {"do": "download", "magnet": "…", "directory": "…"}             → {"metadata": s, "all": s, "bytes": n}
    {"do": "seek", "piece": n, "seconds": s, "rate": bytes or null} → {"seek": s}, then reads on for so long
    {"do": "read", "magnet": "…", "directory": "…"}                 → as download, but one piece after the other

``add``, ``seek`` and ``read`` have the settings of Sources/CLibtorrent/session_defaults.cpp and the figures of
Sources/SourcePlugins/Torrent/Reading/ReadingPolicy.swift, in the shortest program that has them; keep them alike.
"""

import json
import os
import sys
import time

import libtorrent as lt

SETTINGS = {
    "listen_interfaces": "127.0.0.1:0", "allow_multiple_connections_per_ip": True,
    "close_redundant_connections": False, "tick_interval": 100, "initial_picker_threshold": 0,
    "whole_pieces_threshold": 0, "request_queue_time": 1, "min_reconnect_time": 10, "piece_timeout": 10,
    "request_timeout": 15, "peer_connect_timeout": 7, "handshake_timeout": 7, "connection_speed": 60,
    "torrent_connect_boost": 50, "smooth_connects": False, "connections_limit": 400, "enable_outgoing_utp": False,
    "enable_incoming_utp": False, "mixed_mode_algorithm": 0, "stop_tracker_timeout": 1, "enable_dht": False,
    "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False, "max_web_seed_connections": 0,
    "alert_queue_size": 200_000,
    "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.error_notification
    | lt.alert.category_t.storage_notification | (1 << 22),  # piece_progress
}
DISK = {"aio_threads": 2, "max_queued_disk_bytes": 8 << 20}
MIB = 1 << 20
FRONT_BYTES, FRONT_PIECES = 2 * MIB, (2, 8)
SPACING, DAY = 250, 86_400_000
REACH = 8 * MIB
FIRST_WINDOW, INITIAL_WINDOW, LARGEST_WINDOW, WINDOW_PRIORITY = 256 << 10, 4 * MIB, 32 * MIB, 4
OPENING, OPENING_TIME, OPENING_PRIORITY = 8 * MIB, 1.0, 1
SWIFT_RATE, SWIFT_SPAN, SWIFT_MEMORY = 32 * MIB, 0.1, 0.2


class Program:
    def __init__(self):
        self.session = self.torrent = self.info = None
        self.have = set()
        self.told, self.anchor = {}, None
        self.span, self.swift_until, self.opening_end = (0.0, 0), 0.0, 0.0

    # Commands

    def start(self, has_own_disk=False):
        self.session = lt.session(SETTINGS if has_own_disk else SETTINGS | DISK)
        return {}

    def add(self, magnet, directory):
        began = self.begin(magnet, directory, [7, 7] + [0] * 65_534)
        self.until(lambda: self.info)
        found = time.monotonic()
        self.opening_end = found + OPENING_TIME
        start = range(2, min(OPENING // self.info.piece_length(), self.info.num_pieces()))
        self.torrent.prioritize_pieces([(piece, OPENING_PRIORITY) for piece in start])
        self.told = {piece: OPENING_PRIORITY for piece in start}
        self.until(lambda: 0 in self.have)
        return {"metadata": found - began, "first": time.monotonic() - found}

    def download(self, magnet, directory):
        began = self.begin(magnet, directory, [], sequential=False)
        self.until(lambda: self.info)
        found = time.monotonic()
        self.until(lambda: len(self.have) == self.info.num_pieces())
        return {"metadata": found - began, "all": time.monotonic() - began, "bytes": self.info.total_size()}

    def read(self, magnet, directory):
        began = time.monotonic()
        found = self.add(magnet, directory)["metadata"]
        length, count = self.info.piece_length(), self.info.num_pieces()
        piece = 0
        while piece < count:
            self.want(piece * length, 0)
            self.until(lambda: piece in self.have)
            while piece in self.have:
                piece += 1
        return {"metadata": found, "all": time.monotonic() - began, "bytes": self.info.total_size()}

    def seek(self, piece, seconds, rate):
        length = self.info.piece_length()
        start = position = piece * length
        began = time.monotonic()
        self.want(position, start)
        self.until(lambda: piece in self.have)
        needed = time.monotonic() - began
        playing = time.monotonic()
        while (now := time.monotonic()) < playing + seconds:
            last = position // length
            while last in self.have:
                last += 1
            reach = start + (rate * (now - playing) if rate else 1 << 50)
            position = int(max(position, min(reach, last * length, self.info.total_size() - 1)))
            self.want(position, start)
            self.take_alerts(20)
        return {"seek": needed}

    # How it reads

    def note_pace(self, count):
        now = time.monotonic()
        began, fetched = self.span
        self.span = (began, fetched + count) if now - began < SWIFT_SPAN else (now, count)
        if self.span[1] >= SWIFT_RATE * SWIFT_SPAN:
            self.swift_until = now + SWIFT_MEMORY

    def want(self, position, start):
        """Deadlines for the first missing pieces of the window, a priority for the others, and nothing for the rest."""
        length, count = self.info.piece_length(), self.info.num_pieces()
        is_swift = time.monotonic() < self.swift_until
        is_first = position == start and position // length not in self.have
        is_opening = time.monotonic() < self.opening_end
        first = max(FIRST_WINDOW, length - position % length)
        least = max(INITIAL_WINDOW + (position - start) // 2, OPENING if is_opening else 0)
        window = LARGEST_WINDOW if is_swift else min(least, LARGEST_WINDOW)
        if is_first and not is_opening:
            window = min(window, first)
        last = min((position + window - 1) // length + 1, count)
        missing = [piece for piece in range(position // length, last) if piece not in self.have]
        reach = first - 1 if is_first else max(REACH, length)
        front = [piece for piece in missing if piece * length <= position + reach]
        front = front[:min(max(-(-FRONT_BYTES // length), FRONT_PIECES[0]), FRONT_PIECES[1])]
        priority = OPENING_PRIORITY if is_first and is_opening else WINDOW_PRIORITY
        wanted = {piece: priority for piece in missing} | {
            piece: 7 if is_swift and not is_first else ("deadline", rank * SPACING) for rank, piece in enumerate(front)}
        # Keeps libtorrent from having no deadline when several are met at once, which would cancel what is requested.
        rest = [piece for piece, value in wanted.items() if value == priority]
        self.anchor = self.anchor if self.anchor in rest else rest[-1] if rest else None
        if any(isinstance(value, tuple) for value in wanted.values()) and self.anchor is not None:
            wanted[self.anchor] = ("anchor", DAY)
        else:
            self.anchor = None
        timed = [piece for piece, value in self.told.items() if isinstance(value, tuple) and piece not in self.have]
        abandoned = [piece for piece in timed if not isinstance(wanted.get(piece), tuple)]
        if abandoned and len(abandoned) == len(timed):
            self.torrent.clear_piece_deadlines()
        else:
            for piece in abandoned:
                self.torrent.reset_piece_deadline(piece)
        priorities = [(piece, 0) for piece in self.told if piece not in wanted]
        priorities += [(piece, value) for piece, value in wanted.items()
                       if not isinstance(value, tuple) and (self.told.get(piece) != value or piece in abandoned)]
        if priorities:
            self.torrent.prioritize_pieces(priorities)
        for piece in [self.anchor, *front]:
            if piece is not None and self.told.get(piece) != wanted[piece] and isinstance(wanted[piece], tuple):
                self.torrent.set_piece_deadline(piece, wanted[piece][1])
        if self.anchor is not None and self.told.get(self.anchor) != wanted[self.anchor]:
            self.torrent.piece_priority(self.anchor, priority)
        self.told = wanted

    def begin(self, magnet, directory, priorities, sequential=True):
        if self.torrent:
            self.session.remove_torrent(self.torrent, lt.session.delete_files)
        self.have, self.told, self.anchor, self.info = set(), {}, None, None
        parameters = lt.parse_magnet_uri(magnet)
        parameters.flags = lt.torrent_flags.paused | lt.torrent_flags.update_subscribe
        if sequential:
            parameters.flags |= lt.torrent_flags.sequential_download
        parameters.save_path = directory
        parameters.piece_priorities = priorities
        began = time.monotonic()
        self.torrent = self.session.add_torrent(parameters)
        # Connects to the link's peers at once; what is added running waits for the next tick of a second.
        self.torrent.resume()
        return began

    def until(self, condition):
        end = time.monotonic() + 120
        while not condition():
            if time.monotonic() > end:
                sys.exit("nothing came for two minutes")
            self.take_alerts(100)

    def take_alerts(self, patience):
        self.session.wait_for_alert(patience)
        for alert in self.session.pop_alerts():
            if isinstance(alert, lt.metadata_received_alert) and alert.handle == self.torrent:
                self.info = alert.handle.torrent_file()
            elif isinstance(alert, lt.piece_finished_alert) and alert.handle == self.torrent:
                self.have.add(alert.piece_index)
                self.note_pace(self.info.piece_length())


def main():
    program = Program()
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(program, command.pop("do"))(**command)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
