"""Time and memory of the default main job from nothing: no run folder, no prepared images.

    python benchmarks/main_job.py [--lambda 0.5]

Claims: at most 6 minutes and 3 GiB on two cores. Runs the command line in a process of its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lambda", dest="lam", default="0.5")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "edgefair", "distill-and-export", "--lambda", args.lam, "--out", str(out)]
        started = time.monotonic()
        done = subprocess.run(command, env={**os.environ, "EDGEFAIR_CACHE": folder + "/cache"}, check=False)
        seconds = time.monotonic() - started
        report = json.loads((out / "report.json").read_text())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    figures = {
        "command": "edgefair distill-and-export --lambda " + args.lam,
        "exit_code": done.returncode,
        "seconds": seconds,
        "peak_memory_gib": peak / 2**30,
        "stage_seconds": report["stage_seconds"],
        "load_average_after": os.getloadavg(),
        "n": 1,
    }
    common.write("main-job", figures)


if __name__ == "__main__":
    main()
