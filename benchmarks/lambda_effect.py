"""What lambda does on the default data: the main job at lambda 0 and 0.5, three seeds each.

    python benchmarks/lambda_effect.py [--seeds 3] [--out runs/lambda-effect]

Claims: teacher and student reach 85 % on the balanced gate rows; without debiasing the student's mean absolute
disparity is at least three times its noise floor; lambda 0.5 brings it clearly down. The teacher
of a seed is shared by its runs.
"""

import argparse
from pathlib import Path

import common

from edgefair.log import Log
from edgefair.pipeline.job import distill_and_export
from edgefair.recipe import parse

LAMBDAS = (0.0, 0.5)


def run(seed: int, lam: float, out: Path) -> dict:
    """One main job; the second lambda of a seed takes the teacher of the first."""
    values: dict = {"seed": seed, "strategy": {"lam": lam}}
    teacher = out / f"seed{seed}-lambda{LAMBDAS[0]:g}" / "teacher" / "teacher.safetensors"
    if lam != LAMBDAS[0]:
        values["teacher"] = {"spec": f"file:{teacher}"}
    report = distill_and_export(parse(values), out / f"seed{seed}-lambda{lam:g}", Log())
    entries = {entry["artefact"]: entry for entry in report["artefacts"] if entry["artefact"] != "null"}
    return {
        "seed": seed,
        "lambda": lam,
        "outcome": report["outcome"],
        **{name: figures(entry) for name, entry in entries.items()},
    }


def figures(entry: dict) -> dict:
    """The few numbers of an artefact that the claims are about, in percent and points."""
    gap = entry["metrics"]["disparities"]["mean_abs_disparity"]
    return {
        "accuracy_percent": 100 * entry["metrics"]["scores"]["accuracy"]["value"],
        "disparity_points": 100 * gap["value"],
        "noise_floor_points": 100 * gap["floor"],
        "deo_max_points": 100 * entry["metrics"]["disparities"]["deo_max"]["value"],
        "permutation_p": gap["p_value"],
        "verdict": entry.get("outcome"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/lambda-effect"))
    args = parser.parse_args()
    rows = [run(seed, lam, args.out) for seed in range(args.seeds) for lam in LAMBDAS]
    without, with_ = ([row for row in rows if row["lambda"] == lam] for lam in LAMBDAS)
    claims = {
        "all_reach_85_percent": all(
            row[name]["accuracy_percent"] >= 85 for row in rows for name in ("teacher", "student")
        ),
        "disparity_over_floor_at_lambda_0": [
            r["student"]["disparity_points"] / r["student"]["noise_floor_points"] for r in without
        ],
        "disparity_left_at_lambda_0.5": [
            b["student"]["disparity_points"] / a["student"]["disparity_points"]
            for a, b in zip(without, with_, strict=True)
        ],
    }
    common.write("lambda-effect", {"seeds": args.seeds, "gate_rows": 8000, "claims": claims, "runs": rows})


if __name__ == "__main__":
    main()
