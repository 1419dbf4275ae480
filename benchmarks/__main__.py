"""`make bench`: the hop and a tensor's way beside nginx, start, decisions and simulation -> build/bench.json.

Figures are medians of rounds that take turns, so that they are compared under the same load of the machine.
"""

import json
import statistics
import sys
from pathlib import Path

from benchmarks import decide, harness, hop, simulation, tensors

TARGET = Path("build/bench.json")


def main() -> None:
    """Measure, print beside each other, write the file."""
    if missing := harness.missing_tools():
        raise SystemExit("\n".join(missing))
    print("hop: nginx, selector and functions-framework in turns, five rounds ...", file=sys.stderr)
    cells = hop.compare()
    print("start: spawn to first routed answer, seven times ...", file=sys.stderr)
    ready = hop.ready_ms()
    print("decide: 32 candidates, all explained; plan: 16 variants ...", file=sys.stderr)
    decided = {**decide.measure(), **decide.plan()}
    print("simulation: 20,000 requests to four variants, five times ...", file=sys.stderr)
    simulated = simulation.rate()
    print("tensors: 1 MB by gRPC and by REST, nginx and selector in turns, five rounds ...", file=sys.stderr)
    carried, started = tensors.compare(), tensors.starts()
    figures = {
        "hop_cpu_us": cells["selector"]["cpu_us"],
        "nginx_cpu_us": cells["nginx"]["cpu_us"],
        "functions_framework_cpu_us": cells["functions-framework"]["cpu_us"],
        "hop_requests_per_s": cells["selector"]["requests_per_s"],
        **decided,
        **simulated,
        "ready_ms": statistics.median(ready),
        "hop_to_nginx": cells["selector"]["cpu_us"] / cells["nginx"]["cpu_us"],
        **tensors.ratios(carried),
        "ready_grpc_ms": started["grpc"],
        "ready_rest_ms": started["rest"],
        "failed": sum(cell["failed"] for cell in cells.values()),
    }
    figures = {name: round(value, 2) for name, value in figures.items()}
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
