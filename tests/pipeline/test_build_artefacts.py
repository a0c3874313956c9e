"""The stage that makes the files that ship, where an earlier one left something."""

import shutil

import pytest

from edgefair.files import sha256
from edgefair.pipeline.job import distill_and_export
from edgefair.pipeline.run_folder import run_recipe

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("damage", ["manifest", "hash"])
def test_artefacts_are_made_again_beside_a_damaged_manifest(small_run, tmp_path, quiet, damage):
    """Neither a manifest that cannot be read, nor one of other files, stops the stage that writes a new one."""
    folder, made = shutil.copytree(small_run, tmp_path / "run"), "artefacts/manifest.json"
    text = (folder / made).read_text()
    old = sha256(folder / "artefacts/student.onnx")
    (folder / made).write_text("{" if damage == "manifest" else text.replace(old, "0" * 64))
    distill_and_export(run_recipe(folder), folder, quiet)
    assert (folder / made).read_text() == text
