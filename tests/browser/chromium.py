"""Where a Chromium is on this machine; run as a script it prints the path or fails."""

import os
import shutil
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str:
    """Path of a Chromium: $ALTERLAB_CHROMIUM, one on the PATH, or playwright's own; "" if there is none."""
    if chosen := os.environ.get("ALTERLAB_CHROMIUM"):
        return chosen if Path(chosen).is_file() else ""
    for name in NAMES:
        # Ubuntu's chromium-browser can be a stub that only tells to install a snap
        if (path := shutil.which(name)) and b"snap install" not in Path(path).read_bytes()[:4096]:
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as browsers:
        own = browsers.chromium.executable_path
    return own if Path(own).is_file() else ""


if __name__ == "__main__":
    path = find()
    print(path)
    sys.exit(not path)
