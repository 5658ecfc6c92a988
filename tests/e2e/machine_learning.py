"""A stand-in for Immich's machine learning, and a count of what it was asked for.

It recognises what `pictures.py` paints: the ground for search and text, squares in the upper row for people.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

from tests.e2e.pictures import GROUNDS, people_on, squares

DIMENSIONS = 512


def embedding(*seeds: tuple[str, float]) -> str:
    """The weighted sum of one fixed direction a word, as Immich wants it: a vector of length one, in JSON."""
    total = [0.0] * DIMENSIONS
    for word, weight in seeds:
        direction = random.Random(word)
        total = [value + weight * direction.gauss(0, 1) for value in total]
    length = sum(value * value for value in total) ** 0.5
    return json.dumps([value / length for value in total])


def ground_of(image: Image.Image) -> str:
    seen = image.getpixel((image.width // 2, image.height * 4 // 5))
    assert isinstance(seen, tuple)
    return min(GROUNDS, key=lambda name: sum((a - b) ** 2 for a, b in zip(GROUNDS[name], seen[:3], strict=True)))


class Fake:
    """Answers `/ping` and `/predict`."""

    def __init__(self, host: str) -> None:
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(b"pong", "text/plain")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
                form = {
                    part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
                    for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
                }
                self._answer(json.dumps(fake.predict(form)).encode(), "application/json")

            def _answer(self, body: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

        self.server = Server((host, 0), Handler)
        self.port = self.server.server_address[1]

    def predict(self, form: dict[Any, Any]) -> dict[str, Any]:
        entries = json.loads(form["entries"])
        with self._lock:
            self.calls.update(task for task in entries if "image" in form)
        if "image" not in form:
            return {"clip": embedding((form["text"].decode(), 1))}
        image = Image.open(io.BytesIO(form["image"])).convert("RGB")
        own = hashlib.sha1(form["image"]).hexdigest()
        answer: dict[str, Any] = {"imageHeight": image.height, "imageWidth": image.width}
        ground = ground_of(image)
        if "clip" in entries:
            answer["clip"] = embedding((ground, 1), (own, 0.5))
        if "facial-recognition" in entries:
            answer["facial-recognition"] = [
                {
                    "boundingBox": dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
                    "embedding": embedding((f"person {person}", 1), (f"{own} {person}", 0.1)),
                    "score": 0.9,
                }
                for person, box in zip(people_on(image), squares(image.width, image.height), strict=True)
                if person is not None
            ]
        if "ocr" in entries:
            box = [0.1, 0.8, 0.4, 0.8, 0.4, 0.9, 0.1, 0.9]
            answer["ocr"] = {"text": [f"sign {ground}"], "box": box, "boxScore": [0.9], "textScore": [0.9]}
        return answer


@contextmanager
def running_fake(host: str = "127.0.0.1") -> Iterator[Fake]:
    fake = Fake(host)
    thread = threading.Thread(target=fake.server.serve_forever, daemon=True)
    thread.start()
    yield fake
    fake.server.shutdown()
    thread.join()
