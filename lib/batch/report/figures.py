"""Pictures in a notebook's outputs: what they show in words, their size, and a thumbnail of the first."""

import base64
import io
import re
import struct
from dataclasses import dataclass
from typing import Any

THUMBNAIL_WIDTH = 176  # pixels; shown at half of that on sharp screens
_EMBEDDED = re.compile(r'src="data:image/(?:png|jpeg);base64,([^"]+)"')
_PLAIN = re.compile(r"\[figure: (.+)\]", re.DOTALL)  # how a published figure prints where no picture can be shown


@dataclass(frozen=True)
class Described:
    """What is said about a picture.

    Attributes:
        alt: For readers who do not see it; never empty.
        caption: The same for all readers, or "" where `alt` was only guessed from what stands around.
    """

    alt: str
    caption: str


def described(output: dict[str, Any], kind: str, cell: dict[str, Any], heading: str) -> Described:
    """Return what an output's picture shows.

    Looks in the output's metadata, its plain text, the cell's metadata; else names what stands below or above it.

    Args:
        output: One output of a code cell.
        kind: Its MIME type, such as "image/png".
        cell: The cell.
        heading: The heading above the cell, "" if there is none.
    """
    metadata = output.get("metadata", {})
    plain = _PLAIN.fullmatch(_text(output.get("data", {}).get("text/plain", "")).strip())
    stated = (
        (metadata.get(kind) or {}).get("alt")
        or metadata.get("alt")
        or (plain[1] if plain else "")
        or cell.get("metadata", {}).get("alt")
    )
    if stated:
        return Described(str(stated).strip(), str(stated).strip())
    following = _following_text(cell, output)
    if following:
        return Described(f"Figure; the text below it says: {following}", "")
    return Described(f"Figure in the section '{heading}'; its numbers are in the text." if heading else "Figure", "")


def png_size(data: str) -> tuple[int, int] | None:
    """Return width and height in pixels of a PNG in base64, None if it is none."""
    try:
        head = base64.b64decode(data[:64])
        return struct.unpack(">II", head[16:24]) if head.startswith(b"\x89PNG\r\n\x1a\n") else None
    except (ValueError, struct.error):
        return None


def thumbnail(cells: list[dict[str, Any]]) -> str:
    """Return the first figure of a notebook as a small picture in a `data:` address, "" if there is none."""
    for cell in cells:
        for output in cell.get("outputs", []):
            found = _picture(output.get("data", {}))
            if found:
                return _small(found)
    return ""


def _picture(data: dict[str, Any]) -> str:
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            return _text(data[kind])
    embedded = _EMBEDDED.search(_text(data.get("text/html", "")))
    return embedded[1] if embedded else ""


def _small(picture: str) -> str:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        return ""
    buffer = io.BytesIO()
    try:
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            small = image.convert("RGB")
            small.thumbnail((THUMBNAIL_WIDTH, THUMBNAIL_WIDTH), Image.Resampling.LANCZOS)
        small.save(buffer, format="webp", quality=70, method=6)  # a figure's thumbnail takes about 3 KB
    except (UnidentifiedImageError, OSError, ValueError, KeyError):  # KeyError: a Pillow built without WebP
        return ""
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _following_text(cell: dict[str, Any], output: dict[str, Any]) -> str:
    outputs = cell.get("outputs", [])
    later = outputs[next((index for index, each in enumerate(outputs) if each is output), len(outputs)) + 1 :]
    text = next((_text(each.get("text", "")).strip() for each in later if each.get("output_type") == "stream"), "")
    return " ".join(text.split())[:300]


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)
