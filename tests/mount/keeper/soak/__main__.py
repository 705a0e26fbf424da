"""`python -m tests.mount.keeper.soak --operations 2000000 --csv soak.csv --plot soak.svg` is the long run."""

import argparse
import csv
import json
import os
import random
import sys
import tempfile
from pathlib import Path

from tests.mount.keeper.soak.plot import plot
from tests.mount.keeper.soak.samples import Sample
from tests.mount.keeper.soak.soak import Plan, Result, soak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=2_000_000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--crash-every", type=int, default=20_000)
    parser.add_argument("--sample-every", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--csv", type=Path, help="where each sample is written to")
    parser.add_argument("--plot", type=Path, help="where the picture is written to, at the end")
    options = vars(parser.parse_args())
    table, picture = options.pop("csv"), options.pop("plot")
    print(f"seed {options['seed']}", flush=True)
    with tempfile.TemporaryDirectory() as directory, open(table or os.devnull, "w", newline="") as file:
        mount = os.path.join(directory, "store")
        os.mkdir(mount)
        rows = csv.writer(file)
        rows.writerow(Sample._fields)

        def sampled(sample: Sample) -> None:
            rows.writerow(sample)
            file.flush()

        result, said = soak(mount, Plan(**options), sampled)
    if picture is not None:
        picture.write_text(plot(result))
    tell(result, said)
    sys.exit(1 if result.problems else 0)


def tell(result: Result, said: str) -> None:
    """What came of it, and what was said that nobody expects."""
    told = {
        "operations": result.samples[-1].operations,
        "calls": result.calls,
        "seconds": result.samples[-1].seconds,
        "crashes": len(result.crashes),
        "unanswered": result.unanswered,
        "refused": result.refused,
        "still_there": result.still_there,
        "growth_kib": result.growth,
        "before": result.before._asdict(),
        "after": result.after._asdict(),
        "problems": result.problems[:20],
        "tracebacks": said.count("Traceback"),
    }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
