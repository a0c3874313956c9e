"""The recipe of a run folder: read by the version that wrote it, refused by another one with what to do."""

import pytest

from edgefair import __version__
from edgefair.errors import RunFolderError
from edgefair.pipeline.run_folder import RunFolder, run_recipe
from tests.helpers.recipes import tiny


def folder_of(version, tmp_path):
    """A run folder whose recipe says that `version` wrote it; None: none does, as in edgefair 0.1."""
    lines = tiny().to_toml().split("\n", 1)
    assert lines[0] == f"# written by edgefair {__version__}"
    first = "" if version is None else f"# written by edgefair {version}\n"
    (tmp_path / "recipe.toml").write_text(first + lines[1])
    return tmp_path


def test_a_folder_of_this_version_or_of_one_that_differs_in_its_last_number_is_read(tmp_path):
    series = ".".join(__version__.split(".")[:2])
    for version in (__version__, f"{series}.99"):
        assert run_recipe(folder_of(version, tmp_path)) == tiny()


@pytest.mark.parametrize(("version", "said"), [(None, "0.1"), ("0.1.0", "0.1.0"), ("9.0.0", "9.0.0")])
def test_a_folder_of_another_version_is_refused_and_left_as_it_is(tmp_path, quiet, version, said):
    folder = folder_of(version, tmp_path)
    before = (folder / "recipe.toml").read_text()
    with pytest.raises(RunFolderError, match=rf"was made by edgefair {said}, .*Make a new run with --out"):
        run_recipe(folder)
    with pytest.raises(RunFolderError, match="was made by edgefair"), RunFolder.open(folder, tiny(), quiet):
        pass
    assert (folder / "recipe.toml").read_text() == before


def test_what_is_no_run_folder_is_named(tmp_path):
    with pytest.raises(RunFolderError, match=r"is not a run folder: no recipe\.toml in it"):
        run_recipe(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[", r"recipe\.toml is not a TOML file: .* \(at "),
        (b"# written by edgefair 9.0.0\nseed = = 1\n", r"recipe\.toml is not a TOML file: .* \(at line 2, column 8\)"),
        (b"\xff\xfe", r"recipe\.toml is not a TOML file: .*can't decode"),
    ],
)
def test_a_recipe_that_is_damaged_is_not_taken_for_that_of_another_version(tmp_path, quiet, content, words):
    (tmp_path / "recipe.toml").write_bytes(content)
    with pytest.raises(RunFolderError, match=words + r".*Put the file back as it was, or make a new run") as caught:
        run_recipe(tmp_path)
    assert "made by" not in str(caught.value)
    with pytest.raises(RunFolderError, match=words), RunFolder.open(tmp_path, tiny(), quiet):
        pass
    assert (tmp_path / "recipe.toml").read_bytes() == content
