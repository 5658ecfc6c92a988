"""Pictures and videos made for the tests; no two are alike."""

from __future__ import annotations

import io
import itertools
import random
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from PIL import Image, ImageDraw

GROUNDS = {
    "red": (170, 40, 40),
    "green": (40, 150, 60),
    "blue": (40, 60, 170),
    "yellow": (190, 180, 50),
    "violet": (130, 50, 150),
}
PEOPLE = [(250, 250, 250), (10, 10, 10), (255, 130, 0), (0, 220, 220), (255, 110, 200), (120, 255, 40)]
"""Whom a square of which colour stands for."""
PLACES = 4
SIZE = (800, 600)
BERLIN = (52.52, 13.405)

_numbers = itertools.count(1)
_run = uuid4().hex[:6]


@dataclass(frozen=True)
class File:
    name: str
    content: bytes
    taken: datetime = datetime(2020, 5, 17, 12, 0)


def squares(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Where people are, in a picture of this size."""
    step = width / PLACES
    return [
        (int(step * (place + 0.2)), int(height * 0.1), int(step * (place + 0.8)), int(height * 0.4))
        for place in range(PLACES)
    ]


def people_on(image: Image.Image) -> list[int | None]:
    """Who is in each place: number of PEOPLE, or nobody."""
    found: list[int | None] = []
    for left, top, right, bottom in squares(image.width, image.height):
        seen = image.getpixel(((left + right) // 2, (top + bottom) // 2))
        assert isinstance(seen, tuple)
        near = [sum(abs(a - b) for a, b in zip(colour, seen[:3], strict=True)) for colour in PEOPLE]
        found.append(near.index(min(near)) if min(near) < 60 else None)
    return found


def picture(
    ground: str = "blue",
    people: Sequence[int | None] = (),
    place: tuple[float, float] | None = None,
    taken: datetime = datetime(2020, 5, 17, 12, 0),
    description: str | None = None,
    name: str | None = None,
) -> File:
    """A JPEG: `people` stand from left to right, `place` is (latitude, longitude)."""
    image = Image.new("RGB", SIZE, GROUNDS[ground])
    draw = ImageDraw.Draw(image)
    for person, box in zip(people, squares(*SIZE), strict=False):
        if person is not None:
            draw.rectangle(box, fill=PEOPLE[person])
    for _ in range(30):
        x, y = random.randrange(SIZE[0]), random.randrange(SIZE[1] // 2, SIZE[1] * 7 // 10)
        draw.ellipse((x, y, x + 20, y + 20), fill=tuple(random.randrange(256) for _ in range(3)))
    exif = Image.Exif()
    exif[0x010F] = "Painted"
    stamp = taken.strftime("%Y:%m:%d %H:%M:%S")
    exif[0x0132] = stamp
    exif.get_ifd(0x8769).update({0x9003: stamp, 0x9004: stamp})
    if description:
        exif[0x010E] = description
    if place:
        exif.get_ifd(0x8825).update(
            {
                1: "N" if place[0] >= 0 else "S",
                2: _degrees(place[0]),
                3: "E" if place[1] >= 0 else "W",
                4: _degrees(place[1]),
            }
        )
    content = io.BytesIO()
    image.save(content, "JPEG", exif=exif, quality=90)
    return File(name or f"{ground}-{_run}-{next(_numbers):04}.jpg", content.getvalue(), taken)


def video(name: str | None = None) -> File:
    """A second of film."""
    colour = f"#{random.randrange(1 << 24):06x}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        ffmpeg = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", f"color={colour}:size=320x240:duration=1"]
        more = ["-metadata", f"comment={uuid4()}", "-pix_fmt", "yuv420p", "-c:v", "libx264"]
        subprocess.run([*ffmpeg, *more, str(path)], check=True)
        return File(name or f"film-{_run}-{next(_numbers):04}.mp4", path.read_bytes())


def motion_photo(name: str | None = None) -> File:
    """A picture that has its film at the end of the file, as phones make them."""
    still, film = picture("violet"), video()
    image = Image.open(io.BytesIO(still.content))
    about = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
        <rdf:Description rdf:about="" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MicroVideo="1"
        GCamera:MicroVideoVersion="1" GCamera:MicroVideoOffset="{len(film.content)}"/></rdf:RDF></x:xmpmeta>"""
    content = io.BytesIO()
    image.save(content, "JPEG", exif=image.getexif(), quality=90, xmp=about.encode())
    return File(name or f"motion-{_run}-{next(_numbers):04}.jpg", content.getvalue() + film.content)


def can_film() -> bool:
    return shutil.which("ffmpeg") is not None


def _degrees(value: float) -> tuple[float, float, float]:
    value = abs(value)
    whole = int(value)
    minutes = int((value - whole) * 60)
    return float(whole), float(minutes), round((value - whole - minutes / 60) * 3600, 3)
