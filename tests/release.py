"""The Immich release that the tests run on: TEST_IMMICH, else the oldest."""

import os

from linked_asset import immich

RELEASE = os.environ.get("TEST_IMMICH", immich.RELEASES[0])

PERSON_ID = f'"{immich.release(RELEASE).table("person").column("personGroupId").name}"'
"""The id of a person as Immich shows it, in table person."""
SHOWN = f'"{immich.release(RELEASE).table("asset_face").column("personGroupId").name}"'
"""Whom a face shows."""
