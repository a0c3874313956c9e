"""`edgefair data info`: what it counts, and what its exit code says."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from edgefair.cli import cli
from edgefair.data.contact_sheet import EACH, GAP, MARGIN, SIDE
from tests.helpers import data_copies as copies


def info(*options, out):
    command = ["data", "info", *options, "--picture", str(out / "cells.png"), "--json", str(out / "info.json")]
    result = CliRunner().invoke(cli, [*command, "--set", "image_size=8", "--set", "calibration_share=0.2"])
    return result, json.loads((out / "info.json").read_text()) if (out / "info.json").exists() else None


def test_counts_terms_and_a_picture(copy_of, tmp_path):
    result, figures = info("celeba", str(copy_of("celeba")), out=tmp_path)
    assert result.exit_code == 0, result.output
    assert figures["cells"]["gate"] == [[4, 4], [4, 4]]
    assert figures["rows"]["validation"] == 16
    assert figures["terms"].startswith("non-commercial research only")
    assert len(figures["smallest_tolerance"]) == 2
    for words in ("gate: 16 rows", "not Attractive", "smallest tolerance", "missing files: 0", "cells.png"):
        assert words in result.output
    with Image.open(tmp_path / "cells.png") as picture:
        assert picture.size == (MARGIN + 2 * (EACH * (SIDE + GAP) + 4 * GAP), 20 + 2 * (SIDE + 4 * GAP))
        assert len(picture.getcolors(100_000)) > 6  # the miniatures have a colour each


def test_missing_cells_left_out_rows_and_unknown_groups(copy_of, tmp_path):
    folder = copy_of("wider")
    result, figures = info(str(folder), "--task", "scene", out=tmp_path)
    assert result.exit_code == 0, result.output
    assert figures["unknown_group"]["gate"] == 60
    assert sum(map(sum, figures["cells"]["gate"])) + 60 == figures["rows"]["gate"]
    result, figures = info(str(copy_of("utkface")), out=tmp_path)
    assert "36 rows, race 'others'" in result.output
    assert copies.MALFORMED[0] in result.output
    assert figures["group_names"] == ["White", "Black", "Asian", "Indian"]


@pytest.mark.parametrize("check", [False, True])
def test_broken_files_fail_the_check(damaged, tmp_path, check):
    folder = damaged("waterbirds")
    files = sorted(folder.rglob("*.jpg"))
    files[0].write_bytes(files[0].read_bytes()[:200])
    files[1].unlink()
    result, figures = info(str(folder), *(["--check"] if check else []), out=tmp_path)
    assert result.exit_code == 1
    assert figures["broken_images"] == 1 + check
    assert files[1].name in result.output or check
    assert (files[0].name in result.output) == check


def test_a_cell_without_rows_supports_nothing(damaged, tmp_path):
    folder = damaged("waterbirds")
    lines = (folder / "metadata.csv").read_text().splitlines(keepends=True)
    (folder / "metadata.csv").write_text("".join(line for line in lines if ",1,2,1," not in line))
    result, figures = info(str(folder), out=tmp_path)
    assert figures["missing_cells"]["gate"] == ["water/waterbird"]
    assert "cells without rows (1): water/waterbird" in result.output
    assert "smallest tolerance: none" in result.output


def test_data_without_groups_and_wrong_words(copy_of, tmp_path):
    result, figures = info(str(copy_of("imagenet")), out=tmp_path)
    assert "no groups are declared" in result.output
    assert figures["smallest_tolerance"] == []
    assert "--group" not in result.output
    result, _ = info(str(copy_of("imagefolder")), out=tmp_path / "folders")
    assert "--group NAME declares some; the data have: folder" in result.output
    result, _ = info(str(copy_of("webdataset")), out=tmp_path / "shards")
    assert "--group NAME declares some; the data have: gender" in result.output
    result, _ = info("celebb", str(tmp_path), out=tmp_path / "none")
    assert result.exit_code != 0
    assert "did you mean 'celeba'" in str(result.exception)
    result, _ = info(str(copy_of("utkface")), "--set=train.epochs=3", out=tmp_path / "none")
    assert "only fields of [data] mean something here" in str(result.exception)
    result, _ = info(str(copy_of("utkface")), '--set=classes=["a","b"]', out=tmp_path / "none")
    assert "data.classes is a, b, but utkface has names of its own: under 20" in str(result.exception)


def test_a_damaged_list_beside_folders_is_not_overlooked(damaged, tmp_path):
    """Birds without their list would be 200 species without groups."""
    folder = damaged("waterbirds")
    copies.alter(folder, "metadata.csv", ",place,", ",plaice,")
    result, _ = info(str(folder), out=tmp_path / "none")
    assert "has no column 'place'" in str(result.exception)
    (folder / "metadata.csv").write_text("")
    result, _ = info(str(folder), out=tmp_path / "none")
    assert "holds folders of images, and metadata.csv, which is of no known kind" in str(result.exception)


def test_repeated_rows_need_no_decoding_to_be_found(damaged, tmp_path):
    folder = damaged("waterbirds")
    lines = (folder / "metadata.csv").read_text().splitlines(keepends=True)
    (folder / "metadata.csv").write_text("".join([*lines, lines[5]]))
    result, _ = info(str(folder), out=tmp_path / "none")
    assert f"line {len(lines) + 1}: id '" in str(result.exception)
    assert "repeats the one at metadata.csv, line 6" in str(result.exception)


def test_what_is_no_class(damaged, tmp_path):
    result, _ = info(str(damaged("manifest")), "--task", "path", out=tmp_path / "none")
    assert "it names images rather than classes" in str(result.exception)


def test_notices(damaged, copy_of, tmp_path):
    folder = damaged("celeba")
    (folder / "identity_CelebA.txt").unlink()
    result, _ = info(str(folder), "--set", "data.image_size=32", out=tmp_path)
    assert "no identity_CelebA.txt: who is shown is not known" in result.output
    assert "cells with fewer than the 10 rows that INT8 calibration takes of each: 4" in result.output
    result, _ = info(str(copy_of("utkface")), out=tmp_path)
    assert "the gate has 6 rows of every cell, half of the smallest, not the published 100" in result.output
    assert "36 rows, race 'others': " in result.output
    assert " and 31 more" in result.output


@pytest.mark.parametrize(
    ("group", "words"),
    [("Male+", "a name is missing beside '+'"), ("Male,Young", r"several are joined by +: Male+Young")],
)
def test_several_groups_wrongly_written(copy_of, tmp_path, group, words):
    result, _ = info(str(copy_of("celeba")), "--group", group, out=tmp_path / "none")
    assert words in str(result.exception)


def test_a_table_with_other_separators(damaged, tmp_path):
    folder = damaged("manifest")
    file = next(folder.glob("*.csv"))
    file.write_text(file.read_text().replace(",", ";"))
    result, _ = info(str(file), out=tmp_path / "none")
    assert "is separated by ';', not by commas" in str(result.exception)
