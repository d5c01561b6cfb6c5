"""A picture of the reader's own, checked by its content, in the size and colours that the nets know.  Nothing is written anywhere."""

import io as bytes_io

import numpy as np

from core.errors import DataError

#: what may be given, as Pillow names it
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
MOST_BYTES = 10 << 20
#: pixels that are decoded at most: a large camera's; with transparency 300 MB for a moment
MOST_PIXELS = 25_000_000
LEAST_SIDE = 8


def read(content: bytes, side: int, channels: int) -> np.ndarray:
    """The middle square of a picture, uint8 (channels, side, side); grey for `channels` 1, the first frame of an animation.

    Transparent parts become black; the camera's turn (EXIF) is undone.  Raises DataError in a plain sentence for what is no picture,
    is of another kind, damaged, or too large.
    """
    from PIL import Image, UnidentifiedImageError

    if not content:
        raise DataError("The file is empty. Give a PNG, JPEG, WebP or GIF picture.")
    if len(content) > MOST_BYTES:
        raise DataError(f"The file has {len(content) / (1 << 20):.1f} MB; a picture may have {MOST_BYTES >> 20} MB.")
    try:
        # the header alone: no pixel is decoded before its count is known
        with Image.open(bytes_io.BytesIO(content), formats=FORMATS) as picture:
            _check_size(*picture.size)
            picture.verify()
        with Image.open(bytes_io.BytesIO(content), formats=FORMATS) as picture:
            if picture.format == "JPEG":  # decodes at an eighth of the size where that is enough
                picture.draft(None, (4 * side, 4 * side))
            return _square(picture, side, channels)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError("The file is not a picture that the lab can read. Give a PNG, JPEG, WebP or GIF.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # what Pillow itself refuses
        raise DataError(_too_large()) from None
    except Exception as error:  # each format has its own way to fail on a damaged file
        raise DataError("The picture is damaged and cannot be read. Save it again, or give another.") from error


def _too_large() -> str:
    return f"The picture has too many pixels; at most {MOST_PIXELS // 1_000_000} million are read. Make it smaller first."


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise DataError(_too_large())
    if min(width, height) < LEAST_SIDE:
        raise DataError(f"The picture has {width} x {height} pixels; each side should have at least {LEAST_SIDE}.")


def _square(picture, side: int, channels: int) -> np.ndarray:
    from PIL import Image, ImageOps

    ImageOps.exif_transpose(picture, in_place=True)
    short = min(picture.size)
    left, top = (picture.width - short) // 2, (picture.height - short) // 2
    # not resize's own box, which lets the pixels beside it shine in
    picture = picture.crop((left, top, left + short, top + short))
    if picture.mode.startswith(("I", "F")):  # 16 bits a pixel: converting would cut off all above 255
        picture = Image.fromarray((np.asarray(picture, np.float32) / 257).clip(0, 255).round().astype(np.uint8))
    clear = picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info
    wanted = "RGBA" if clear else "L" if channels == 1 else "RGB"
    picture = picture if picture.mode == wanted else picture.convert(wanted)
    small = picture.resize((side, side), Image.Resampling.BILINEAR)
    if clear:
        small = Image.alpha_composite(Image.new("RGBA", small.size, "black"), small)
    small = small.convert("L" if channels == 1 else "RGB")
    return np.array(small, np.uint8).reshape(side, side, channels).transpose(2, 0, 1)
