"""Peers that leave and come back, which no tracker names anew."""

from __future__ import annotations

import time

import content
import gateway
import report
import torrent_probe
from content import KIB, MIB
from torrent_probe import TorrentServer, await_true, seed_files
from wire import seconds

PART = 64 * KIB
# Until libtorrent has tried to reach a peer that it lost.
RECONNECT = 4.0


def main(out: report.Report, quick: bool) -> None:
    if missing := torrent_probe.missing():
        out.skip("peers that come back", missing)
        return
    turns = 3 if quick else 8
    with gateway.folder("seed.") as folder, TorrentServer(torrents_cached=False, first_byte="25s") as server:
        file = content.write(folder / "film.mkv", turns * 8 * MIB)
        seeder = seed_files([file], piece_size=256 * KIB)
        torrent, whole = seeder.torrent, file.read_bytes()
        server.bring_in(torrent)
        waits, faults = [], []
        for first in range(0, len(whole), 8 * MIB):
            took, reply = seconds(lambda: server.get(torrent.path(), [("Range", f"bytes={first}-{first + PART - 1}")]))
            waits.append(took)
            if reply.body != whole[first:first + PART]:
                faults.append(f"from {first}: {reply.status}, {server.told(torrent)}")
            seeder.kill()
            if await_true(lambda: (server.status(torrent) or {}).get("peers") == 0, 5) is None:
                faults.append(f"after {first}: still {server.told(torrent)}")
            time.sleep(RECONNECT)
            seeder = seed_files([file], piece_size=256 * KIB, port=torrent.port)
        seeder.kill()
    out.check(not faults, f"the only peer goes {turns - 1} times while nobody reads, and comes back: so does the film",
              f"read after {', '.join(f'{wait:.1f} s' for wait in waits)}" + "".join(f"; {fault}" for fault in faults))


if __name__ == "__main__":
    report.run(main)
