"""`python -m benchmarks.cluster`: on a real cluster, in a namespace of its own -> build/cluster.json.

Must run where the names of the cluster's Services resolve. Needs `kubectl`, `kn`, and the images of all functions.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.cluster import overhead, starts, texts
from benchmarks.cluster.place import deployed

TARGET = Path("build/cluster.json")
PARTS = ("texts", "starts", "overhead")
VARIANTS = ("langid-cld2", "langid-fasttext", "langid-py3langid", "langid-lingua")


def main() -> None:
    """Measure the parts asked for, print them, write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all when none is named")
    parser.add_argument("--starts", type=int, default=5, help="cold starts per Service")
    parser.add_argument("--requests", type=int, default=2000, help="requests each way for the overhead")
    parser.add_argument("--seed", type=int, default=1, help="draws the texts, their times and deadlines")
    parser.add_argument("--registry", default="dev.local")
    parser.add_argument("--tag", default="v1")
    options = parser.parse_args()
    chosen = options.parts or PARTS
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    figures: dict[str, object] = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    with deployed(options.registry, options.tag) as place:
        if "texts" in chosen:
            print("texts: the demo's 400 as events ...", file=sys.stderr)
            figures["texts"] = texts.measure(place, options.seed)
        if "starts" in chosen:
            print("starts: platform, load, first answer ...", file=sys.stderr)
            paths = dict.fromkeys(VARIANTS, "/") | {"selector": "/decide/langid"}
            figures["starts"] = starts.figures(starts.measure(place, paths, options.starts))
            figures["selector_memory_mb"] = round(place.memory_mb("selector"), 1)
        if "overhead" in chosen:
            print("overhead: direct and through the selector in turns ...", file=sys.stderr)
            figures["overhead"] = overhead.measure(place, options.requests)
            figures["selector_memory_mb"] = round(place.memory_mb("selector"), 1)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps({part: figures[part] for part in figures if part in (*chosen, "selector_memory_mb")}, indent=1))


if __name__ == "__main__":
    main()
