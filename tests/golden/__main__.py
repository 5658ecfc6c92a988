"""Writes the golden files anew: python -m tests.golden"""

from tests.golden import golden_files, written_files

files = golden_files()
for left_over in written_files() - files.keys():
    left_over.unlink()
for path, content in files.items():
    path.write_text(content, "utf-8")
    print(path)
