"""Judge one ONNX file beside another: accuracy and fairness on the same labelled rows, with what decided it.

    python examples/judge_two_engines.py                                  # two engines of this repository
    python examples/judge_two_engines.py reference.onnx candidate.onnx    # yours, for the same images

The rows are rendered here; put your own images, labels and groups in their place. Exit code: 0 pass, 1 fail,
3 inconclusive.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from edgefair.data import load_examples
from edgefair.errors import EXIT
from edgefair.gate import Tolerance, compare
from edgefair.log import Log
from edgefair.recipe import parse
from edgefair.testing import predict_engine

ENGINES = Path(__file__).parents[1] / "tests" / "fairness_regression" / "engines"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", nargs="?", type=Path, default=ENGINES / "student.onnx")
    parser.add_argument("candidate", nargs="?", type=Path, default=ENGINES / "other-seed.onnx")
    parser.add_argument("--rows", type=int, default=4000, help="rows to judge on")
    args = parser.parse_args()

    recipe = parse({"data": {"train_rows": 10, "validation_rows": 10, "gate_rows": args.rows}})
    examples = load_examples(recipe.data, 0, Log(quiet=True))
    rows = examples.rows["gate"]
    labelled = (np.asarray(examples.images[rows]), examples.labels[rows], examples.groups[rows])
    names = (examples.class_names, examples.group_names)
    reference, candidate = (predict_engine(path, *labelled, *names) for path in (args.reference, args.candidate))

    verdict = compare(reference, candidate, Tolerance(flip_rate_percent=1.0))
    for name, predictions in (("reference", reference), ("candidate", candidate)):
        right = (predictions.predicted == predictions.labels).mean()
        print(f"{name}: {predictions.about['artefact']}, accuracy {right:.2%} on {len(rows):,} rows")
    for check in verdict.checks:
        outcome = check.outcome if check.gated else "reported"
        print(f"  {outcome:12} {check.sentence.partition(': ')[2]}")  # its sentence begins with the outcome, too
    print(f"verdict: {verdict.outcome}")
    sys.exit(EXIT[verdict.outcome])


if __name__ == "__main__":
    main()
