"""How quickly a page of stored results stands, beside the same app with torch, torchvision and timm in its process.

Both are real servers, asked in turns by a real Chromium: the first visit after the start, later visits, a press on a control,
and the memory that the server holds after the first visit.  Of the first visit and the press also the script alone, by the messages
on the page's websocket: its first element, its end.  A ratio is peer / lab, the median over the rounds; more is better for the lab.

    python benchmarks/pages.py [--rounds 5] [--page frequency]
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).resolve().parents[1]
STILL = "[data-testid='stApp'][data-test-connection-state='CONNECTED'][data-test-script-state='notRunning']"
PEER = "import torch, torchvision, timm, sys\nfrom streamlit.web.cli import main\nsys.argv = ['streamlit', *sys.argv[1:]]\nmain()"
#: seconds and MB; a page of stored results should stay below
LIMITS = {
    "first visit [s]": 2.5, "- its first element": 0.06, "- its script": 0.25, "later visit [s]": 1.5,
    "press [s]": 0.6, "- its script again": 0.11, "memory [MB]": 180,
}  # fmt: skip
Heard = list[tuple[float, str]]


def start(how: list[str], home: str) -> tuple[subprocess.Popen, str]:
    """A server and its address, as soon as it says that it is well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*how, "run", "app.py", "--server.port", str(port)]
    env = {**os.environ, "ALTERLAB_HOME": home}
    server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).read()
            return server, url
        except OSError:
            time.sleep(0.1)
    raise SystemExit("The server did not start within a minute.")


def listen(page: Page) -> Heard:
    """When which message of a script came, from now on: new_session, delta, script_finished."""
    heard: Heard = []

    def note(frame: bytes | str) -> None:
        if isinstance(frame, bytes):
            heard.append((time.perf_counter(), ForwardMsg.FromString(frame).WhichOneof("type") or ""))

    page.on("websocket", lambda socket: socket.on("framereceived", note))
    return heard


def script(heard: Heard) -> tuple[float, float]:
    """Seconds from a script's start to its first element and to its end; forgets what was heard."""
    begun = next(when for when, what in heard if what == "new_session")
    first = next(when for when, what in heard if what == "delta" and when >= begun)
    last = max(when for when, what in heard if what == "script_finished")
    heard.clear()
    return first - begun, last - begun


def still(page: Page, begun: float) -> float:
    """Seconds from `begun` until the page's script has run."""
    page.wait_for_timeout(60)
    page.locator(STILL).wait_for(state="attached", timeout=60_000)
    return time.perf_counter() - begun


def visit(page: Page, url: str) -> float:
    """Seconds from the address to a heading and a script that has run."""
    begun = time.perf_counter()
    page.goto(url, wait_until="domcontentloaded")
    page.locator("h1").first.wait_for()
    return still(page, begun)


def press(page: Page) -> float:
    """Seconds from a press on the page's first unpressed segment to the script having run."""
    button = page.locator("[data-testid=stMain] [data-testid=stButtonGroup] button[aria-checked=false]").first
    begun = time.perf_counter()
    button.click()
    return still(page, begun)


def memory(server: subprocess.Popen) -> float:
    """What the server holds now, MB."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> int:
    """Print the table; 1 if the lab misses a limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--page", default="frequency")
    args = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {side: {name: [] for name in LIMITS} for side in ("lab", "peer")}
    sides = {"lab": [sys.executable, "-m", "streamlit"], "peer": [sys.executable, "-c", PEER]}
    with sync_playwright() as play, tempfile.TemporaryDirectory() as home:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        for number in range(args.rounds):
            for side in sorted(sides, reverse=bool(number % 2)):
                server, url = start(sides[side], home)
                try:
                    page = browser.new_page(viewport={"width": 1280, "height": 900})
                    values = found[side]
                    heard = listen(page)
                    values["first visit [s]"].append(visit(page, f"{url}/{args.page}"))
                    for name, seconds in zip(("- its first element", "- its script"), script(heard), strict=True):
                        values[name].append(seconds)
                    values["memory [MB]"].append(memory(server))
                    values["later visit [s]"].append(visit(page, f"{url}/{args.page}"))
                    heard.clear()
                    values["press [s]"].append(press(page))
                    heard.clear()
                    press(page)  # back to what was drawn before
                    values["- its script again"].append(script(heard)[1])
                    page.close()
                finally:
                    server.terminate()
                    server.wait(20)
    print(f"page {args.page}, {args.rounds} rounds, medians\n{'':20}{'lab':>8}{'peer':>8}{'ratio':>8}{'limit':>8}")
    missed = 0
    for name, limit in LIMITS.items():
        lab, peer = (found[side][name] for side in ("lab", "peer"))
        ratio = statistics.median(p / own for p, own in zip(peer, lab, strict=True))
        middle = statistics.median(lab)
        missed += middle > limit
        mark = "" if middle <= limit else "  over the limit"
        print(f"{name:20}{middle:8.2f}{statistics.median(peer):8.2f}{ratio:8.2f}{limit:8.2f}{mark}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
