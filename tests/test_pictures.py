"""The pictures in README show what the commands print today."""

from xml.etree import ElementTree

import pytest

from sample.pictures import CHAPTERS, CHECKOUT, pictures


def shown(svg: str) -> str:
    """All text, however this version of rich draws it."""
    return "".join(ElementTree.fromstring(svg).itertext())


@pytest.mark.slow
def test_they_are_up_to_date() -> None:
    for path, drawn in pictures().items():
        assert path.exists(), f"{path.name}: python -m sample.pictures"
        assert shown(path.read_text("utf-8")) == shown(drawn), f"{path.name}: python -m sample.pictures"
        assert f"docs/pictures/{path.name}" in (CHECKOUT / "README.md").read_text("utf-8")
        assert "font-face" not in drawn
        if path.stem == "demo":
            words = shown(drawn).replace("\N{NO-BREAK SPACE}", " ")
            assert all(chapter in words for chapter in CHAPTERS)
