"""A dispatcher whose clock is wrong by the seconds in a file: `python -m tests.jobs.matrix_clock core.jobs.dispatcher <file>`."""

import sys
import time
from pathlib import Path

from core.jobs import dispatcher

if __name__ == "__main__":
    right, wrong = time.time, Path(sys.argv[2])
    time.time = lambda: right() + float(wrong.read_text())
    sys.exit(dispatcher.main())
