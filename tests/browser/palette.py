"""Screenshots with at most 256 colours: a third of the size, and nobody sees it in pictures of text."""

from __future__ import annotations

import base64
import struct
import zlib
from collections import Counter

from playwright.sync_api import Browser

COLOURS = 256
PIXELS = """async png => {
    const image = new Image();
    image.src = "data:image/png;base64," + png;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const reader = new FileReader();
    reader.readAsDataURL(new Blob([canvas.getImageData(0, 0, image.width, image.height).data]));
    await new Promise(done => reader.onload = done);
    return [image.width, reader.result.split(",")[1]];
}"""


def smaller(png: bytes, browser: Browser) -> bytes:
    """The most frequent colours stay as they are, each other one becomes the nearest of them."""
    page = browser.new_page()
    width, encoded = page.evaluate(PIXELS, base64.b64encode(png).decode())
    page.close()
    rgba = base64.b64decode(encoded)
    pixels = [rgba[at : at + 3] for at in range(0, len(rgba), 4)]
    counted = Counter(pixels)
    palette = [colour for colour, _ in counted.most_common(COLOURS)]
    place = {colour: number for number, colour in enumerate(palette)}
    for colour in counted.keys() - place.keys():
        place[colour] = min(range(len(palette)), key=lambda number: _apart(palette[number], colour))
    indexes = bytes(map(place.__getitem__, pixels))
    rows = b"".join(b"\0" + indexes[at : at + width] for at in range(0, len(indexes), width))
    header = struct.pack(">IIBBBBB", width, len(indexes) // width, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", b"".join(palette)), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _apart(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
