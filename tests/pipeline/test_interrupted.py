"""A run that is killed or stopped at any moment goes on, and ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from edgefair.files import sha256
from tests.helpers.recipes import tiny
from tests.helpers.run_records import WEIGHTS


def command(folder, recipe, cache):
    file = folder.parent / "recipe.toml"
    file.write_text(recipe.to_toml())
    # A suite run in the background ignores SIGINT, and children inherit that; a person's shell does not.
    start = "import signal, edgefair.cli; signal.signal(signal.SIGINT, signal.default_int_handler); edgefair.cli.main()"
    run = [sys.executable, "-c", start, "distill-and-export", "--recipe", str(file), "--out", str(folder)]
    return subprocess.Popen(
        run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "EDGEFAIR_CACHE": cache}
    )


# What must be there when the process is killed: in the middle of the teacher, of the student, and after training.
MOMENTS = {
    "before the first checkpoint": "teacher/stage.json",
    "teacher": "teacher/checkpoint.pt",
    "student": "student/checkpoint.pt",
    "artefacts": "artefacts/stage.json",
}


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_weights(tmp_path):
    recipe = tiny(teacher__epochs=3, train__epochs=3, data__train_rows=600)
    cache = str(tmp_path / "cache")
    (tmp_path / "a").mkdir()
    straight = tmp_path / "a" / "run"
    process = command(straight, recipe, cache)
    output, _ = process.communicate()
    assert process.returncode in (0, 1, 3), output
    (tmp_path / "b").mkdir()
    killed = tmp_path / "b" / "run"
    for sign in MOMENTS.values():
        process = command(killed, recipe, cache)
        while not (killed / sign).exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, f"the run ended before {sign} appeared"
    process = command(killed, recipe, cache)
    output, _ = process.communicate()
    assert process.returncode in (0, 1, 3), output
    for name in (*WEIGHTS, "artefacts/student.onnx", "artefacts/student.int8.ort-cpu.onnx"):
        assert sha256(killed / name) == sha256(straight / name), name
    histories = [json.loads((run / "student/history.json").read_text()) for run in (straight, killed)]
    assert histories[0] == histories[1]


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tmp_path):
    (tmp_path / "a").mkdir()
    folder = tmp_path / "a" / "run"
    process = command(folder, tiny(teacher__epochs=50), str(tmp_path / "cache"))
    while not (folder / "teacher/checkpoint.pt").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "the same command goes on from the last checkpoint" in output
    assert "Traceback" not in output
