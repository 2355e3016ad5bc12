"""Drives headless Chromium over its debugging pipe: messages of JSON, each ended by a NUL."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time

import gateway

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


class Browser:
    """A browser with one page."""

    @staticmethod
    def program() -> str | None:
        return next(filter(None, map(shutil.which, PROGRAMS)), None)

    def __enter__(self) -> "Browser":
        self.folder = gateway.folder("chromium.")
        home = self.folder.__enter__()
        # The browser reads at descriptor 3 and writes at 4.
        inward, self.outward = os.pipe()
        self.inward, outward = os.pipe()
        arguments = [self.program(), "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--mute-audio",
                     "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--disable-sync",
                     "--disable-background-networking", "--disable-component-update", "--window-size=800,600",
                     f"--user-data-dir={home}/profile", "about:blank"]
        if os.geteuid() == 0:
            arguments.insert(1, "--no-sandbox")

        def prepare() -> None:
            gateway.die_with_parent()
            spare = [os.dup2(inward, 98), os.dup2(outward, 99)]
            os.dup2(spare[0], 3)
            os.dup2(spare[1], 4)

        # close_fds=False: prepare() has put the pipe where the browser looks for it; the others are not inheritable.
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=prepare, start_new_session=True, env={**os.environ, "HOME": str(home), "TMPDIR": str(home)})
        os.close(inward)
        os.close(outward)
        self.pending = b""
        self.number = 0
        self.session = None
        targets = self.command("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self.command("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self.session = attached["sessionId"]
        self.command("Page.enable")
        return self

    def __exit__(self, *_) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        except ProcessLookupError:
            pass
        os.close(self.inward)
        os.close(self.outward)
        self.folder.__exit__(None, None, None)

    def command(self, method: str, **parameters):
        """Sends one command to the page and gives its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.outward, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + 20
        while True:
            answer = self._message(until)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error'].get('message')}")
                return answer["result"]

    def evaluate(self, script: str):
        """The value of an expression in the page; a promise is awaited."""
        result = self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"].get("exception", {}).get("description", "script failed"))
        return result["result"].get("value")

    def open(self, url: str) -> str | None:
        """Goes to a page and waits for it; the reason if it does not open."""
        failed = self.command("Page.navigate", url=url).get("errorText")
        if not failed:
            self.wait_for("document.readyState == 'complete' || document.readyState == 'interactive'", 10)
        return failed

    def wait_for(self, script: str, seconds: float):
        """Waits until an expression is true, through navigations; its last value."""
        until = time.monotonic() + seconds
        value = None
        while time.monotonic() < until:
            try:
                value = self.evaluate(script)
                if value:
                    return value
            except RuntimeError:
                pass  # between two pages there is none to ask
            time.sleep(0.1)
        return value

    def click(self, script: str) -> None:
        """Clicks, as a mouse does, on the element that an expression gives."""
        place = self.evaluate(f"(() => {{ const e = {script}; e.scrollIntoView({{block: 'center'}});"
                              "const r = e.getClientRects()[0]; return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def _message(self, until: float) -> dict:
        while b"\0" not in self.pending:
            ready, _, _ = select.select([self.inward], [], [], max(until - time.monotonic(), 0))
            part = os.read(self.inward, 1 << 16) if ready else b""
            if not part:
                raise RuntimeError("no answer from the browser" if not ready else "the browser ended")
            self.pending += part
        line, _, self.pending = self.pending.partition(b"\0")
        return json.loads(line)


class Chromium:
    """Plays a film in the page that the server gives for it, else in a ``<video>`` put on its landing page."""

    name = "Chromium"

    @staticmethod
    def missing() -> str | None:
        return None if Browser.program() else "Chromium is not installed"

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> "Chromium":
        self.browser = Browser()
        self.browser.__enter__()
        try:
            self._open()
        except BaseException:
            self.browser.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.browser.__exit__()

    def position(self) -> float | None:
        return self.browser.evaluate("document.querySelector('video')?.currentTime")

    def in_hand(self) -> float | None:
        """The time up to which it has read ahead."""
        return self.browser.evaluate("(v => { for (let n = 0; n < v.buffered.length; n++)"
                                     " if (v.buffered.start(n) <= v.currentTime && v.currentTime <= v.buffered.end(n))"
                                     " return v.buffered.end(n); return v.currentTime; })"
                                     "(document.querySelector('video'))")

    def seek(self, target: float) -> None:
        self.browser.evaluate(f"document.querySelector('video').currentTime = {target}; 0")

    def problem(self) -> str | None:
        error = self.browser.evaluate("(e => e && `MediaError ${e.code} ${e.message}`)"
                                      "(document.querySelector('video')?.error)")
        return error or ("the browser ended" if self.browser.process.poll() is not None else None)

    def _open(self) -> None:
        browser = self.browser
        refused = browser.open(self.url)
        self.page = "the film's own page"
        if refused or not browser.wait_for("!!document.querySelector('video')", 3):
            self.page = "a <video> on the landing page"
            origin = "/".join(self.url.split("/")[:3])
            failed = browser.open(origin + "/")
            if failed:
                raise RuntimeError(f"the landing page does not open: {failed}")
            browser.evaluate("(() => { const v = document.createElement('video');"
                             f" v.src = {json.dumps(self.url)}; v.controls = true;"
                             " document.body.prepend(v); })(); 0")
        # A page's script may not start sound without a gesture; these clocks are read without one.
        browser.evaluate("(() => { const v = document.querySelector('video'); v.muted = true; v.play(); })(); 0")
