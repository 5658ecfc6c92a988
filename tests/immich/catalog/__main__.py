"""Writes down the tables of the Immich at DB_URL: python -m tests.immich.catalog v3.4.0"""

import json
import os
import sys

from tests.database import Database
from tests.immich import catalog


def main() -> None:
    if len(sys.argv) != 2 or "DB_URL" not in os.environ:
        raise SystemExit(__doc__)
    release = sys.argv[1]
    database = Database(os.environ["DB_URL"])
    content = catalog.read(database, release)
    database.close()
    file = catalog.path(release)
    file.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(file)


if __name__ == "__main__":
    main()
