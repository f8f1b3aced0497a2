"""Count the words of a text file. Used by the flow examples.python-from-file; runs without Podium too."""

from __future__ import annotations

import argparse
import collections
import json
import pathlib


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--top", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()

    counts = collections.Counter(arguments.file.read_text("utf-8").split())
    arguments.output.write_text(json.dumps(counts, sort_keys=True))
    top = ", ".join(word for word, _ in counts.most_common(arguments.top))
    print(f"{sum(counts.values())} words, {len(counts)} different")
    print("::" + json.dumps({"outputs": {"top": top, "words": sum(counts.values())}}) + "::")


if __name__ == "__main__":
    main()
