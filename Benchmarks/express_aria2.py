"""What somebody would build who has no gateway: Express in front of a torrent client, here aria2 and its JSON-RPC."""

from __future__ import annotations

import time
from pathlib import Path

import measure

import gateway
from peers import EXPRESS, MODULES, PACKAGES, ExpressServer


class ExpressAria2Server(ExpressServer):
    """Answers ``/metadata/:magnet`` with names and lengths of the files; both programs are on the server's core.

    It adds a magnet link once, waits for its metadata, and asks aria2 for the files each time, as the replaced backend
    asks WebTorrent.
    """

    kind = "express, aria2"
    program = EXPRESS + """
        const http = require('http'), [rpcPort, port] = process.argv.slice(2);
        const agent = new http.Agent({ keepAlive: true });
        function rpc(method, ...params) {
          return new Promise((resolve, reject) => {
            const question = http.request({ agent, host: '127.0.0.1', port: rpcPort, path: '/jsonrpc', method: 'POST' },
              (answer) => {
                let text = '';
                answer.on('data', (part) => { text += part; });
                answer.on('end', () => {
                  try {
                    const { result, error } = JSON.parse(text);
                    if (error) reject(new Error(error.message)); else resolve(result);
                  } catch (broken) { reject(broken); }
                });
              });
            question.on('error', reject);
            question.end(JSON.stringify({ jsonrpc: '2.0', id: 1, method: `aria2.${method}`, params }));
          });
        }
        async function add(magnet) {
          const download = await rpc('addUri', [magnet]);
          for (;;) {
            const { status, followedBy, errorMessage } =
              await rpc('tellStatus', download, ['status', 'followedBy', 'errorMessage']);
            if (followedBy) return followedBy[0];
            if (status === 'error') throw new Error(errorMessage);
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
        }
        const known = new Map();
        app.get('/metadata/:magnet', async (request, response) => {
          try {
            const [, hash] = /urn:btih:([0-9a-f]{40})/i.exec(request.params.magnet);
            if (!known.has(hash)) known.set(hash, add(request.params.magnet));
            const { files } = await rpc('tellStatus', await known.get(hash), ['files']);
            response.json(files.map(({ path, length }) => ({ name: path.split('/').pop(), length: Number(length) })));
          } catch (error) {
            response.status(500).json({ error: error.message });
          }
        });
        // Not closed between two questions of a client, which are some seconds apart.
        app.listen(Number(port), '127.0.0.1', 4096).keepAliveTimeout = 60_000;
    """

    @classmethod
    def missing(cls) -> str:
        """What this machine lacks, as an advice, empty if nothing."""
        lacking = measure.missing({"node": PACKAGES["node"], "aria2c": "aria2"})
        return lacking or ("" if Path(MODULES, "express").is_dir() else "no express: apt-get install node-express")

    def start(self) -> None:
        if not hasattr(self, "client"):
            self.rpc_port = gateway.free_port()
            self.client = gateway.child(
                [*self.prefix, measure.found("aria2c"), "--no-conf", "--quiet", "--enable-rpc",
                 f"--rpc-listen-port={self.rpc_port}", f"--dir={self.home}", f"--listen-port={gateway.free_port()}",
                 "--interface=127.0.0.1", "--disable-ipv6", "--no-proxy=127.0.0.1", "--enable-dht=false",
                 "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--pause-metadata"])
            gateway.await_listening(("127.0.0.1", self.rpc_port), time.monotonic() + 10)
        super().start()

    def __exit__(self, *_) -> None:
        if hasattr(self, "client"):
            gateway.end(self.client)
        super().__exit__()

    def _command(self) -> list[str]:
        return self._node(self.rpc_port)
