"""The run folder: finished stages stay, changed ones are redone, other recipes are refused."""

import json
import subprocess
import sys

import pytest

from edgefair.errors import RunFolderError
from edgefair.files import atomic_path, sha256, write_bytes, write_json
from edgefair.pipeline.run_folder import RunFolder, run_recipe
from edgefair.recipe import parse
from tests.helpers.recipes import tiny


def counted(calls, text="x"):
    def make(folder):
        calls.append(1)
        (folder / "file.txt").write_text(text)

    return make


def test_a_finished_stage_is_not_redone_and_a_changed_one_is(tmp_path, quiet):
    calls = []
    for made_from, expected in (({"a": 1}, 1), ({"a": 1}, 1), ({"a": 2}, 2)):
        with RunFolder.open(tmp_path / "run", tiny(), quiet) as run:
            folder = run.stage("work", made_from, counted(calls))
        assert len(calls) == expected
        assert run.hashes("work") == {"file.txt": sha256(folder / "file.txt")}


@pytest.mark.parametrize("damage", ["edit", "remove", "state"])
def test_a_damaged_stage_is_redone(tmp_path, quiet, damage):
    calls = []
    with RunFolder.open(tmp_path / "run", tiny(), quiet) as run:
        folder = run.stage("work", {}, counted(calls))
        if damage == "edit":
            (folder / "file.txt").write_text("y")
        elif damage == "remove":
            (folder / "file.txt").unlink()
        else:
            (folder / "stage.json").write_text("{")
        run.stage("work", {}, counted(calls))
    assert len(calls) == 2
    assert (folder / "file.txt").read_text() == "x"


def test_an_unfinished_stage_keeps_its_checkpoint_only_for_the_same_inputs(tmp_path, quiet):
    def interrupted(folder):
        (folder / "checkpoint.pt").write_text("half")
        raise KeyboardInterrupt

    seen = []

    def look(folder):
        seen.append((folder / "checkpoint.pt").exists())

    with RunFolder.open(tmp_path / "run", tiny(), quiet) as run:
        for made_from in ({"a": 1}, {"a": 2}):
            with pytest.raises(KeyboardInterrupt):
                run.stage("work", {"a": 1}, interrupted)
            folder = run.stage("work", made_from, look)
            assert not (folder / "checkpoint.pt").exists()
            (folder / "stage.json").unlink()
    assert seen == [True, False]


def test_another_recipe_is_refused_and_says_what_differs(tmp_path, quiet):
    with RunFolder.open(tmp_path / "run", tiny(), quiet):
        pass
    with (
        pytest.raises(RunFolderError, match=r"strategy\.lam: 0\.5 there, 0\.7 asked for"),
        RunFolder.open(tmp_path / "run", tiny(strategy__lam=0.7), quiet),
    ):
        pass
    with RunFolder.open(tmp_path / "run", tiny(), quiet) as run:
        assert run.recipe == tiny()


def test_a_foreign_folder_is_left_alone(tmp_path, quiet):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="not empty and holds no recipe"), RunFolder.open(tmp_path, tiny(), quiet):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_two_processes_cannot_share_a_folder(tmp_path, quiet):
    with (
        RunFolder.open(tmp_path / "run", tiny(), quiet),
        pytest.raises(RunFolderError, match="another process"),
        RunFolder.open(tmp_path / "run", tiny(), quiet),
    ):
        pass


@pytest.mark.slow
def test_a_killed_process_lets_go_of_its_folder(tmp_path, quiet):
    program = """
import sys
from pathlib import Path
from edgefair.log import Log
from edgefair.pipeline.run_folder import RunFolder
from tests.helpers.recipes import tiny
with RunFolder.open(Path(sys.argv[1]), tiny(), Log(quiet=True)):
    print("open", flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", program, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        with (
            pytest.raises(RunFolderError, match="another process is working in"),
            RunFolder.open(tmp_path / "run", tiny(), quiet),
        ):
            pass
        other.kill()
        other.wait()
    with RunFolder.open(tmp_path / "run", tiny(), quiet):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path, quiet):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunFolderError, match="cannot write the run folder"),
        RunFolder.open(tmp_path / "file" / "run", tiny(), quiet),
    ):
        pass


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    import errno
    import os

    write_bytes(tmp_path / "a", b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunFolderError, match=r"No space left on device.*run the same command again"):
        write_bytes(tmp_path / "a", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_an_error_while_writing_removes_the_half(tmp_path):
    def write():
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_recipe_in_the_folder_reads_back(tmp_path, quiet):
    from edgefair.recipe import read

    with RunFolder.open(tmp_path / "run", tiny(), quiet) as run:
        assert parse(read(run.path / "recipe.toml")) == tiny()


def test_a_stage_of_another_version_is_refused_by_its_version(tmp_path, quiet, monkeypatch):
    calls = []
    with RunFolder.open(tmp_path / "run", tiny(), quiet) as run:
        folder = run.stage("work", {"a": 1}, counted(calls))
        monkeypatch.setattr("edgefair.pipeline.run_folder.__version__", "99.0")
        with pytest.raises(RunFolderError, match=r"'work' of .* was made by edgefair \d.*; this is 99\.0"):
            run.stage("work", {"a": 1}, counted(calls))
        assert (folder / "file.txt").is_file()
    assert len(calls) == 1


def test_a_record_of_the_version_before_is_read_or_refused_by_it(tmp_path, quiet, monkeypatch):
    """Records of 0.1.0 held neither a schema nor a version: the key says which version made them."""
    with RunFolder.open(tmp_path / "run", tiny(), quiet) as run:
        folder = run.stage("work", {"a": 1}, counted([]))
        stored = json.loads((folder / "stage.json").read_text())
        write_json(folder / "stage.json", {k: v for k, v in stored.items() if k not in ("schema", "edgefair")})
        run.stage("work", {"a": 1}, counted([], "other"))
        assert (folder / "file.txt").read_text() == "x"
        monkeypatch.setattr("edgefair.pipeline.run_folder.__version__", "99.0")
        with pytest.raises(RunFolderError, match="made by edgefair of an earlier version; this is 99"):
            run.stage("work", {"a": 1}, counted([], "other"))


def test_a_recipe_that_this_version_does_not_know_is_refused_by_its_version(tmp_path, quiet):
    with RunFolder.open(tmp_path / "run", tiny(), quiet) as run:
        run.stage("data", {}, counted([]))
    with (run.path / "recipe.toml").open("a") as file:
        file.write("\n[future]\nx = 1\n")
    with pytest.raises(RunFolderError, match=r"recipe.toml: 'future' is not a setting.*\s.*was made by edgefair \d"):
        run_recipe(run.path)
