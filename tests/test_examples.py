"""The scripts in examples/ run as their docstrings say, and print what a reader needs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_every_example_is_run_here():
    names = set(re.findall(r"examples/(\w+\.py)", Path(__file__).read_text()))
    assert {path.name for path in (ROOT / "examples").glob("*.py")} <= names


@pytest.mark.slow
def test_two_engines_are_judged():
    done = run("examples/judge_two_engines.py", "--rows", "1000")
    assert done.returncode in (1, 3), done.stderr  # another network of the same recipe is no rebuild
    assert "candidate: other-seed.onnx, accuracy 9" in done.stdout
    assert re.search(r"^  (pass|fail|inconclusive) +accuracy (fell|rose) by", done.stdout, re.MULTILINE)
    assert re.search(r"^  reported +the largest recall gap", done.stdout, re.MULTILINE)
    assert re.search(r"^verdict: (fail|inconclusive)$", done.stdout, re.MULTILINE)


@pytest.mark.slow
def test_an_engine_beside_itself_passes():
    engine = "tests/fairness_regression/engines/student.onnx"
    done = run("examples/judge_two_engines.py", engine, engine)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "verdict: pass"), done.stderr


@pytest.mark.slow
def test_what_lambda_does_is_shown():
    """As it is, but with fewer rows and epochs: what it shows takes more than a test should."""
    done = run("examples/what_lambda_does.py", "--rows", "400", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    line = r"^(.+?) +accuracy +[\d.]+% +recall gap +[\d.]+ points \(noise floor [\d.]+\)$"
    found = re.findall(line, done.stdout, re.M)
    assert found == ["teacher", "student, lambda 0", "student, lambda 0.5"]


@pytest.mark.slow
def test_the_fairness_test_of_an_engine_passes():
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/test_engine_fairness.py")
    assert done.returncode == 0, done.stdout + done.stderr
