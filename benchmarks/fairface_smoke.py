"""The main job on real photographs: FairFace, age (three buckets) as the task, gender as the protected attribute.

    python benchmarks/fairface_smoke.py FAIRFACE_FOLDER [--rows 4000] [--group gender] [--out runs/fairface]

A smoke test, not a result about faces: few rows, small networks, one seed. The folder is laid out as published.
"""

import argparse
from pathlib import Path

import common
from lambda_effect import figures

from edgefair.log import Log
from edgefair.pipeline.job import distill_and_export
from edgefair.recipe import parse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--group", default="gender")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lambda", dest="lam", type=float, default=0.5)
    parser.add_argument("--out", type=Path, default=Path("runs/fairface-smoke"))
    args = parser.parse_args()
    data = {"name": "fairface", "path": args.folder, "max_rows": args.rows, "group": args.group}
    recipe = parse(
        {
            "seed": args.seed,
            "strategy": {"lam": args.lam},
            "data": data,
            "teacher": {"epochs": args.epochs},
            "train": {"epochs": args.epochs},
        }
    )
    report = distill_and_export(recipe, args.out, Log())
    entries = {entry["artefact"]: entry for entry in report["artefacts"]}
    common.write(
        "fairface-smoke",
        {
            "task": "age in three buckets",
            "group": args.group,
            "seed": args.seed,
            "n_seeds": 1,
            "lambda": report["lambda"],
            "recipe_sha256": report["recipe_sha256"],
            "rows": report["data"]["rows"],
            "stage_seconds": report["stage_seconds"],
            "outcome": report["outcome"],
            "artefacts": {name: figures(entry) for name, entry in entries.items() if name != "null"},
            "sentences": {name: entry["verdict"]["sentence"] for name, entry in entries.items() if "verdict" in entry},
            "latency_ms": {name: entry["latency"] for name, entry in entries.items()},
            "size_mb": {name: entry["bytes"] / 1e6 for name, entry in entries.items() if name != "null"},
        },
    )


if __name__ == "__main__":
    main()
