"""``python -m bench``: how fast training, data path and evaluation are, beside the usual way.

Each comparison alternates the two ways, in processes of their own, and gives the median of the
ratios. The table goes to the terminal, all numbers to ``data/bench.json``.
"""

import json
import os
import statistics
import subprocess
import sys
from typing import Annotated

import typer

from bench.measure import EXPERIMENTS
from lib import paths
from lib.book.execute import ALLOCATOR
from lib.device import device_for, hardware
from lib.study import prepare_for

WIDTHS = {"full": 1.0, "reduced": 0.5, "quarter": 0.25}
NEIGHBOURS = (8_000, 34_652, 232_042)


def measured(what: str, way: str, **options: object) -> dict:
    """The numbers of one measurement, in a fresh process; the plain way has the allocator as is."""
    environment = {k: v for k, v in os.environ.items() if k not in ALLOCATOR}
    if way == "fast":
        environment |= ALLOCATOR
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "bench.measure", what, "--way", way, *words]
    answer = subprocess.run(
        command, env=environment, cwd=paths.SOURCE, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(answer.stdout.splitlines()[-1])


def compared(name: str, what: str, rounds: int, options: dict) -> dict:
    """Both ways in turn; the medians, and the median of the ratios plain time / fast time."""
    pairs = [
        (measured(what, "plain", **options), measured(what, "fast", **options))
        for _ in range(rounds)
    ]
    key = "seconds" if "seconds" in pairs[0][0] else "per_second"
    ratios = [a[key] / b[key] if key == "seconds" else b[key] / a[key] for a, b in pairs]
    row = {"what": name, "ratio": statistics.median(ratios), "ratios": ratios}
    for way, side in zip(("plain", "fast"), zip(*pairs, strict=True), strict=True):
        row[way] = {k: statistics.median(found[k] for found in side) for k in side[0]}
    return row


def shown(row: dict, peak: float) -> str:
    """A line of the table."""
    plain, fast = row["plain"], row["fast"]
    if "seconds" in fast:
        speeds = [f"{plain['seconds']:.2f} s", f"{fast['seconds']:.2f} s"]
    else:
        speeds = [f"{way['per_second']:.2f} / s" for way in (plain, fast)]
    floor = (
        f"{fast['per_second'] * fast['flop'] / peak:.0%}"
        if "flop" in fast and "bf16" not in row["what"]
        else ""
    )
    memory = f"{fast['peak_mib']:,.0f} MiB"
    return f"| {row['what']} | {' | '.join(speeds)} | {row['ratio']:.2f} | {floor} | {memory} |"


def main(
    only: Annotated[str, typer.Option(help="Comparisons whose name contains this.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Pairs of each comparison.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of one measurement.")] = 8.0,
) -> None:
    """Measure, print the table, write data/bench.json."""
    prepare_for("published", None, None)
    length = {"seconds": seconds}
    plans = [  # name, what is measured, its options
        (
            f"{algorithm}, {width}, {precision}",
            "step",
            {"algorithm": algorithm, "features": features, "precision": precision} | length,
        )
        for algorithm in EXPERIMENTS
        for width, features in WIDTHS.items()
        for precision in ("fp32", "bf16")
    ]
    plans += [(f"data path, {w} workers", "data", {"workers": w} | length) for w in (0, 2)]
    plans += [(f"nearest neighbours, N = {n:,}", "neighbours", {"n": n}) for n in NEIGHBOURS]
    peak = measured("peak", "fast", seconds=5)["flops"]
    where = hardware(device_for())
    print(f"{where}; product of matrices {peak / 1e12:.2f} TFLOP/s, fp32\n")
    print("| | usual way | here | ratio | of the product's rate | peak memory |")
    print("|---|---|---|---|---|---|")
    rows = []
    for name, what, options in plans:
        if only in name:
            rows.append(compared(name, what, rounds, options))
            print(shown(rows[-1], peak), flush=True)
    results = {"hardware": where, "matrix_product_flops": peak, "rows": rows}
    (paths.DATA / "bench.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
