"""Files that are not what a set of pictures should hold, made small, each with the reason and the words it is left out with."""

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def noise(seed: int, size: tuple[int, int] = (40, 40)) -> Image.Image:
    """A picture like no other."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def encoded(picture: Image.Image, kind: str = "PNG", **how) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def claims(width: int, height: int) -> bytes:
    """A PNG that says it is of this size and holds nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def _damaged() -> bytes:
    whole = bytearray(encoded(noise(1)))
    whole[len(whole) // 2 : len(whole) // 2 + 40] = bytes(40)
    return bytes(whole)


def _zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "a")
    return out.getvalue()


#: name within its class folder -> (content, reason, words)
FILES = {
    "empty.png": (b"", "empty", "an empty file"),
    "words.jpg": (b"no picture at all, though it is called one", "no picture", "nothing in it is one"),
    "cut.jpg": (encoded(noise(2, (90, 90)), "JPEG", quality=95)[:4000], "cut off", "it is cut off"),
    "cut.png": (encoded(noise(3))[:2000], "cut off", "it is cut off"),
    "damaged.png": (_damaged(), "broken", "it is damaged"),
    "head only.png": (claims(40, 40)[:8] + bytes(50), "no picture", "nothing in it is one"),
    "little inside.png": (claims(40, 40), "cut off", "it is cut off"),
    "dot.png": (encoded(noise(4, (1, 1))), "tiny", "is 1 x 1; the shorter side should have at least 16 pixels"),
    "strip.png": (encoded(noise(5, (3, 400))), "tiny", "is 400 x 3; the shorter side"),
    "claims much.png": (claims(9_000, 9_000), "huge", "is 9000 x 9000; pictures up to 64,000,000 pixels"),
    "claims more.png": (claims(2_000_000, 2_000_000), "huge", "64,000,000 pixels"),
    "paper.jpg": (b"%PDF-1.7\n", "no picture", "it is a PDF"),
    "not found.jpg": (b"<!DOCTYPE html><title>404</title>", "no picture", "it is a web page"),
    "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture", "it is an SVG drawing"),
    "packed.png": (_zipped(), "no picture", "it is a zip archive"),
    "pointer.jpg": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "no picture", "a Git LFS pointer"),
    "phone.jpg": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "no picture", "HEIC pictures are not, save it as JPEG or PNG"),
    "new.avif": (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "no picture", "AVIF pictures are not"),
    "labels.txt": (b"1 2 3", "no picture", "is no picture"),
    "depth.tiff": (encoded(Image.fromarray(np.ones((40, 40), np.float32)), "TIFF"), "numbers", "holds numbers with fractions"),
    "counts.tiff": (encoded(Image.fromarray(np.full((40, 40), 70_000, np.int32)), "TIFF"), "numbers", "more than 16 bits"),
    "more.zip": (_zipped(), "archive", "is an archive, which is not opened; unpack it"),
    "more.tar.gz": (b"\x1f\x8b", "archive", "is an archive"),
    ".hidden.png": (encoded(noise(6)), "hidden", "is hidden or of the system"),
    "Thumbs.db": (b"\xd0\xcf", "hidden", "is hidden or of the system"),
    "__MACOSX/._a.png": (b"\0\5\26\7", "hidden", "is hidden or of the system"),
    "1/2/3/4/5/6/7/8/9/10/deep.png": (encoded(noise(7)), "deep", "more than 10 folders deep"),
}


def good(root: Path, classes: tuple[str, ...] = ("blue", "red"), each: int = 10, size: tuple[int, int] = (40, 40)) -> Path:
    """A folder of sound pictures."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(each):
            noise(1000 * (label + 1) + i, size).save(root / name / f"{i:03}.png")
    return root


def bad(folder: Path) -> dict[str, tuple[str, str]]:
    """Put all of FILES and what only a disk can hold into a class folder; returns name -> (reason, words)."""
    found = {name: (reason, words) for name, (_, reason, words) in FILES.items()}
    for name, (content, _, _) in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    found["1/2/3/4/5/6/7/8/9/10"] = found.pop("1/2/3/4/5/6/7/8/9/10/deep.png")
    found["__MACOSX"] = found.pop("__MACOSX/._a.png")
    with (folder / "heavy.png").open("wb") as file:
        file.truncate((256 << 20) + 1)
    found["heavy.png"] = ("heavy", "has 256 MB; pictures up to 256 MB are read")
    for name, target, words in (
        ("nowhere.png", "gone.png", "a link that ends nowhere"),
        ("itself.png", "itself.png", "a link that ends nowhere"),
        ("out.png", "/etc/hostname", "is a link to a folder or out of"),
        ("circle", "..", "is a link to a folder or out of"),
    ):
        (folder / name).symlink_to(target)
        found[name] = ("link", words)
    os.mkfifo(folder / "pipe.png")
    found["pipe.png"] = ("no file", "is no file but a pipe")
    return found
