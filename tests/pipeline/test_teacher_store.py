"""Teachers that runs share: trained once, gone on with after a kill, the same bit for bit as in a run alone."""

import json

import pytest

from edgefair.errors import RunFolderError
from edgefair.files import sha256
from edgefair.pipeline.job import distill_and_export
from edgefair.pipeline.teacher_store import copy_shared_teacher
from tests.helpers.recipes import tiny
from tests.helpers.run_records import WEIGHTS


def copied(store, folder, made_from, train, quiet):
    folder.mkdir()
    copy_shared_teacher(store, made_from, train, folder, tiny(), quiet)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_teacher_is_trained_once_for_the_same_inputs(tmp_path, quiet):
    trained = []

    def train(folder):
        trained.append(folder)
        (folder / "teacher.safetensors").write_text(f"weights {len(trained)}")

    store = tmp_path / "teachers"
    first = copied(store, tmp_path / "a", {"seed": 0}, train, quiet)
    assert first == copied(store, tmp_path / "b", {"seed": 0}, train, quiet) == {"teacher.safetensors": "weights 1"}
    assert copied(store, tmp_path / "c", {"seed": 1}, train, quiet) == {"teacher.safetensors": "weights 2"}
    assert {folder.parent.parent for folder in trained} == {store}


def test_the_successor_of_a_killed_trainer_finds_its_checkpoint_and_the_copies_have_none(tmp_path, quiet):
    def killed(folder):
        (folder / "checkpoint.pt").write_text("one epoch")
        raise KeyboardInterrupt

    def resumed(folder):
        (folder / "teacher.safetensors").write_text((folder / "checkpoint.pt").read_text() + " and the rest")

    with pytest.raises(KeyboardInterrupt):
        copied(tmp_path / "teachers", tmp_path / "a", {}, killed, quiet)
    files = copied(tmp_path / "teachers", tmp_path / "b", {}, resumed, quiet)
    assert files == {"teacher.safetensors": "one epoch and the rest"}


def test_a_damaged_teacher_is_trained_again(tmp_path, quiet):
    def train(folder):
        (folder / "teacher.safetensors").write_text("good")

    copied(tmp_path / "teachers", tmp_path / "a", {}, train, quiet)
    next((tmp_path / "teachers").rglob("teacher.safetensors")).write_text("bad")
    assert copied(tmp_path / "teachers", tmp_path / "b", {}, train, quiet) == {"teacher.safetensors": "good"}


def test_a_store_that_cannot_be_written_is_named(tmp_path, quiet):
    (tmp_path / "teachers").write_text("a file")
    with pytest.raises(RunFolderError, match=r"cannot use the folder of teachers .*teachers: Not a directory"):
        copied(tmp_path / "teachers", tmp_path / "a", {}, lambda folder: None, quiet)


@pytest.mark.slow
def test_runs_that_share_a_teacher_end_as_they_would_alone(tmp_path, quiet, monkeypatch):
    class Trained(Exception):
        """Nothing that comes after training is needed here."""

    def stop(*_):
        raise Trained

    monkeypatch.setattr("edgefair.pipeline.job.make_artefacts", stop)
    small = {"data__train_rows": 150, "data__gate_rows": 20, "teacher__epochs": 1, "train__epochs": 1}
    for run, lam, store in (("first", 0.25, "teachers"), ("second", 1.0, "teachers"), ("alone", 1.0, None)):
        with pytest.raises(Trained):
            distill_and_export(tiny(strategy__lam=lam, **small), tmp_path / run, quiet, store and tmp_path / store)
    assert len(list((tmp_path / "teachers").iterdir())) == 1
    for name in (*WEIGHTS, "teacher/history.json", "student/history.json"):
        assert sha256(tmp_path / "second" / name) == sha256(tmp_path / "alone" / name), name
    records = [json.loads((tmp_path / run / "teacher/stage.json").read_text()) for run in ("second", "alone")]
    assert records[0] | {"seconds": 0} == records[1] | {"seconds": 0}
