"""Writes the golden files anew: python -m tests.golden"""

from tests.golden import HERE, golden, releases, rendered

for left in HERE.glob("*.sql"):
    left.unlink()
for release in releases():
    golden(release).write_text(rendered(release), "utf-8")
    print(golden(release))
