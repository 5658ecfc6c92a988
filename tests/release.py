"""The Immich release that the tests run on: TEST_IMMICH, else the oldest."""

import os

from linked_asset import immich

RELEASE = os.environ.get("TEST_IMMICH", immich.RELEASES[0])
