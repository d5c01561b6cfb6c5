"""Zip files from outside.  Nothing is unpacked: pictures are read out of the archive one at a time, each within bounds.

So a path that leads out of the archive leads nowhere, and an archive that blows up is stopped at the size of one picture.
"""

import io
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.data.picture import Unfit
from core.errors import DataError

MOST_RATIO = 200  # bytes that one packed byte may become; pictures are packed already, and deflate ends at about 1,030
MOST_TOTAL = 64 << 30  # bytes unpacked
MOST_FILE = 32 << 20  # bytes of one picture, which is held in memory while it is read
MOST_DIRECTORY = 32 << 20  # bytes of the list of files, about 300,000 of them; it is held in memory
_BOMB_FROM = 1 << 20  # smaller files may have any ratio: a black BMP is no attack


def contents(place: Path) -> tuple[list[tuple[str, int, int]], list[tuple[str, str, str]]]:
    """Files and folders (path with slashes, bytes, checksum; folders end in a slash) and what is left out (path, reason, words).

    Raises DataError if it is no zip file, or too large in all to be one of pictures.
    """
    _check_directory(place)
    found: list[tuple[str, int, int]] = []
    left: list[tuple[str, str, str]] = []
    names: set[str] = set()
    try:
        with zipfile.ZipFile(place) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        # NotImplementedError: zipfile's own, for packing it does not know
        raise DataError(f"{place} cannot be opened as a zip file: {error}. Pack it again, or give the folder itself.") from error
    total = sum(info.file_size for info in infos)
    if total > MOST_TOTAL:
        raise DataError(f"{place} would unpack to {total >> 30:,} GB; up to {MOST_TOTAL >> 30} GB are read. Give the folder itself.")
    for info in infos:
        name = info.orig_filename.replace("\\", "/")  # what Windows' own packers once wrote
        if why := _refused(info, name, names):
            left.append((name, *why))
        else:
            names.add(name)
            found.append((name, info.file_size, info.CRC))
    return found, left


def _check_directory(place: Path) -> None:
    """The list of files stands at the end with its size: a huge one is refused before it is read."""
    with place.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - 65_557))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise DataError(f"{place} is no zip file, or it is cut off. Give a zip file or a folder; other archives have to be unpacked first.")
    size = struct.unpack_from("<I", tail, at + 12)[0]
    wide = tail.rfind(b"PK\x06\x06", 0, at)
    if size == 0xFFFFFFFF and wide >= 0 and len(tail) >= wide + 48:
        size = struct.unpack_from("<Q", tail, wide + 40)[0]
    if size > MOST_DIRECTORY:
        raise DataError(f"{place} lists more files than are read from a zip file. Unpack it and give the folder.")


def _refused(info: zipfile.ZipInfo, name: str, names: set[str]) -> tuple[str, str] | None:
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/") or "\0" in name or "//" in name or not name:
        return "unsafe path", "has a path that leads out of the archive"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "link", "is a link; put the picture itself there"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "no file", "is no file but a pipe, a socket or a device"
    if info.flag_bits & 1:
        return "locked", "is locked with a password"
    if name in names:
        return "twice", "stands in the archive twice; the first one counts"
    if info.file_size > _BOMB_FROM and info.file_size > MOST_RATIO * max(1, info.compress_size):
        return "bomb", f"would unpack to {info.file_size // max(1, info.compress_size):,} times its size, as no picture does"
    if info.file_size > MOST_FILE:
        return "heavy", f"has {info.file_size >> 20:,} MB; pictures in a zip file are read up to {MOST_FILE >> 20} MB"
    return None


@contextmanager
def opened(place: Path) -> Iterator[Callable[[str], BinaryIO]]:
    """A function that gives a file's content by the path that `contents` told, as a file in memory; Unfit if that is damaged."""
    with zipfile.ZipFile(place) as archive:
        infos: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            infos.setdefault(info.orig_filename.replace("\\", "/"), info)

        def get(path: str) -> BinaryIO:
            info = infos[path]
            try:
                with archive.open(info) as file:
                    content = file.read(info.file_size + 1)
            except NotImplementedError as error:  # zipfile's own, for packing it does not know
                raise Unfit("broken", "is packed in a way that is not read; pack it again") from error
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, struct.error) as error:
                raise Unfit("broken", f"cannot be read: the archive is damaged there ({str(error)[:120]})") from error
            if len(content) != info.file_size:
                raise Unfit("broken", "cannot be read: the archive is damaged there (it has another size than it says)")
            return io.BytesIO(content)

        yield get
