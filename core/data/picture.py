"""One picture from outside: whether it is fit, what is odd about it, and its middle square.  Nothing it says of itself is believed."""

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from core.errors import DataError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_ENDINGS = {
    "PNG": (".png", ".apng"), "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "MPO": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "WEBP": (".webp",), "BMP": (".bmp", ".dib"), "GIF": (".gif",), "TIFF": (".tif", ".tiff"), "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}  # fmt: skip
ENDINGS = tuple(sorted({ending for endings in _ENDINGS.values() for ending in endings}))
MOST_PIXELS, MOST_BYTES = 64_000_000, 256 << 20
_LARGE = 16_000_000  # pixels from which pictures are decoded one at a time, so that several threads never hold several of them
_ALONE = threading.Lock()

# what files with a picture's name often are instead: first bytes -> words
_OTHERS = (
    (b"%PDF", "a PDF"), (b"PK\x03\x04", "a zip archive"), (b"Rar!", "a RAR archive"), (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"), (b"<!DO", "a web page"), (b"<!do", "a web page"), (b"<htm", "a web page"), (b"<HTM", "a web page"),
    (b"<svg", "an SVG drawing"), (b"<?xm", "an XML text"), (b"8BPS", "a Photoshop file"), (b"version https://git-lfs", "a Git LFS pointer"),
)  # fmt: skip
_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"msf1": "HEIC", b"avif": "AVIF", b"avis": "AVIF"}

#: What was done to a picture that is not simply as it was, for people.
NOTES = {
    "rotated": "turned upright, as its EXIF says",
    "grey": "grey, made three equal channels",
    "cmyk": "in printing colours (CMYK), converted to RGB",
    "palette": "in palette colours, converted to RGB",
    "alpha": "transparent, laid on white",
    "deep": "16 bits a channel, brought to 8",
    "animated": "several frames, the first one taken",
    "ending": "named as another format than it is",
    "enlarged": "smaller than the set's images, enlarged",
}
_TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}


class Unfit(DataError):
    """A picture that cannot be taken: `reason` is a code for counting, the text goes on after the file's name."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """The middle square uint8 (3, S, S), width and height of the whole upright picture, and codes of NOTES."""

    square: np.ndarray
    width: int
    height: int
    notes: tuple[str, ...]


def read(file: BinaryIO, name: str, size: int, *, smallest: int = 1, crop: float = 1.0) -> Picture:
    """The picture in an open file, cut to the middle `crop` of its shorter side and brought to `size` pixels, bilinear.

    `smallest` is the shorter side in pixels from which pictures are taken.  Raises Unfit on whatever is wrong with it.
    """
    from PIL import Image, UnidentifiedImageError

    head = b""
    try:
        head = _checked(file)
        with Image.open(file, formats=FORMATS) as picture:
            width, height = picture.size
            _check_sides(width, height, smallest)
            near = int(2 * size / crop)
            picture.draft("RGB", (near, near))  # a JPEG is decoded near the wanted size, which is several times faster
            with _ALONE if picture.width * picture.height > _LARGE else nullcontext():
                return _taken(picture, (width, height), name, size, crop)
    except Unfit:
        raise
    except UnidentifiedImageError:
        raise Unfit("no picture", _no_picture(head, name)) from None
    except Image.DecompressionBombError:
        raise Unfit("huge", f"has more than the {MOST_PIXELS:,} pixels up to which pictures are read") from None
    except Exception as error:  # decoders of broken files raise almost anything
        said = str(error)
        if "truncated" in said or isinstance(error, EOFError):
            raise Unfit("cut off", "cannot be read to its end: it is cut off") from error
        raise Unfit("broken", f"cannot be read as a picture: it is damaged ({type(error).__name__}: {said[:120]})") from error


def sides(file: BinaryIO) -> tuple[int, int]:
    """Width and height as the file's head tells them, without decoding; (0, 0) if it is no picture."""
    from PIL import Image

    try:
        with Image.open(file, formats=FORMATS) as picture:
            return picture.size
    except Exception:  # decoders of broken files raise almost anything; `read` will say what is wrong
        return 0, 0


def _checked(file: BinaryIO) -> bytes:
    """The first bytes of a file whose size is possible."""
    file.seek(0, 2)
    length = file.tell()
    file.seek(0)
    if length == 0:
        raise Unfit("empty", "cannot be read: it is an empty file")
    if length > MOST_BYTES:
        raise Unfit("heavy", f"has {length >> 20:,} MB; pictures up to {MOST_BYTES >> 20} MB are read")
    head = file.read(32)
    file.seek(0)
    return head


def _check_sides(width: int, height: int, smallest: int) -> None:
    if width * height > MOST_PIXELS:
        raise Unfit("huge", f"is {width} x {height}; pictures up to {MOST_PIXELS:,} pixels are read")
    if min(width, height) < smallest:
        raise Unfit("tiny", f"is {width} x {height}; the shorter side should have at least {smallest} pixels")


def _no_picture(head: bytes, name: str) -> str:
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return f"cannot be read: {_BRANDS[head[8:12]]} pictures are not, save it as JPEG or PNG"
    told = next((words for start, words in _OTHERS if head.startswith(start)), "")
    if told:
        return f"cannot be read as a picture: it is {told}"
    if not name.lower().endswith(ENDINGS):
        return "is no picture"
    return "cannot be read as a picture: nothing in it is one"


def _taken(picture, whole: tuple[int, int], name: str, size: int, crop: float) -> Picture:
    from PIL import Image

    width, height = whole
    notes = []
    if not name.lower().endswith(_ENDINGS[picture.format]):
        notes.append("ending")
    if getattr(picture, "is_animated", False) and picture.format != "MPO":  # an MPO's other frames are previews of the camera
        notes.append("animated")
    picture.load()
    turn = picture.getexif().get(0x0112, 1)
    full, more = _eight_bits(picture)
    notes += more
    w, h = full.size
    side = crop * min(w, h)
    box = ((w - side) / 2, (h - side) / 2, (w + side) / 2, (h + side) / 2)
    square = full.resize((size, size), Image.Resampling.BILINEAR, box=box)
    if square.mode in ("RGBA", "LA"):
        square = square.convert("RGBA")
        if square.getextrema()[3][0] < 255:
            notes.append("alpha")
        square = Image.alpha_composite(Image.new("RGBA", square.size, (255, 255, 255, 255)), square)
    if turn in _TURNS:  # the middle square turned is the middle square of the turned picture
        notes.append("rotated")
        square = square.transpose(getattr(Image.Transpose, _TURNS[turn]))
        width, height = (height, width) if turn >= 5 else (width, height)
    if crop * min(width, height) < size:
        notes.append("enlarged")
    pixels = np.ascontiguousarray(np.asarray(square.convert("RGB")).transpose(2, 0, 1))
    return Picture(square=pixels, width=width, height=height, notes=tuple(notes))


def _eight_bits(picture):
    """The picture in a mode that can be resized, L, LA, RGB, RGBA or CMYK, and what was odd about it."""
    from PIL import Image

    mode, clear = picture.mode, "transparency" in picture.info
    if mode == "F":
        raise Unfit("numbers", "holds numbers with fractions, not colours; save it with 8 bits a channel")
    if mode.startswith("I"):
        values = np.asarray(picture)
        if values.size and (values.min() < 0 or values.max() > 65_535):
            raise Unfit("numbers", "holds numbers of more than 16 bits, not colours; save it with 8 bits a channel")
        return Image.fromarray(np.rint(values / 257.0).astype(np.uint8)), ["grey", "deep"]
    if mode in ("P", "PA"):
        return picture.convert("RGBA" if clear or mode == "PA" else "RGB"), ["palette"]
    if mode in ("1", "L", "LA", "La"):
        return picture.convert("LA" if clear or mode in ("LA", "La") else "L"), ["grey"]
    if mode == "CMYK":
        return picture.convert("RGB"), ["cmyk"]
    return picture.convert("RGBA" if clear or mode in ("RGBA", "RGBa", "RGBX") else "RGB"), []
