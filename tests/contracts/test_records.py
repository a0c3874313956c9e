"""Every record that is read back, edited in many ways: what reads it works or says what is wrong, and never breaks.

A record is read by the commands' own functions on a run folder, a device kit and a baseline in which nothing was
trained. An error is one that a user can mend and names the file or the folder.
"""

import json
from pathlib import Path

import pytest

from edgefair.errors import ArtefactError, EdgefairError
from edgefair.files import write_record
from edgefair.runtimes.records import Manifest
from tests.helpers.edited_json import edits
from tests.helpers.record_readers import RECORDS, make_place, read_by_predict

pytestmark = pytest.mark.integration

EDITS, FEW_EDITS = 200, 12


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_place(tmp_path_factory.mktemp("records"))


def broken(place: Path, name: str, count: int, seed: int = 0) -> list[str]:
    """What ended in anything but an answer or an error that names the file or its folder; the file is put back."""
    file, found = next(iter(sorted(place.glob(f"{name}*.json")) or [place / name])), []
    content = file.read_bytes()
    named = (str(file), str(place / name.partition("/")[0]), str(place / "resumed"), file.name)
    try:
        for done, edited in edits(json.loads(content), count, seed):
            file.write_bytes(edited)
            for reader in RECORDS[name]:
                try:
                    reader(place)
                except EdgefairError as error:
                    if not any(one in str(error) for one in named):
                        found.append(f"{name}, {done}: {reader.__name__} does not name the file: {error}")
                except Exception as error:
                    found.append(f"{name}, {done}: {reader.__name__} ends in {type(error).__name__}: {error}")
    finally:
        file.write_bytes(content)
    return found


@pytest.mark.parametrize("name", RECORDS)
def test_a_damaged_record_ends_in_an_answer_or_an_error_that_names_it(place, name):
    found = broken(place, name, FEW_EDITS)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_edited_in_many_ways_ends_in_an_answer_or_an_error_that_names_it(place, name):
    found = broken(place, name, EDITS, seed=1)
    assert not found, "\n".join(found)


def test_an_error_names_file_field_value_and_remedy(place):
    file = place / "run" / "artefacts" / "manifest.json"
    content = file.read_bytes()
    stored = json.loads(content)
    stored["artefacts"][1]["sha256"] = 5
    file.write_text(json.dumps(stored))
    with pytest.raises(ArtefactError) as caught:
        read_by_predict(place)
    stored["schema"] = 2
    file.write_text(json.dumps(stored))
    with pytest.raises(ArtefactError, match="has schema 2; this version reads 1"):
        read_by_predict(place)
    file.write_bytes(content)
    assert str(caught.value) == (
        f"{file} is not a readable manifest: artefacts[1].sha256 is 5; a text is needed. Build the artefacts again "
        "with edgefair distill-and-export or edgefair build."
    )


def test_a_writer_cannot_write_what_a_reader_would_refuse(tmp_path):
    with pytest.raises(ValueError, match=r"artefacts.0.sha256"):
        write_record(tmp_path / "m.json", Manifest, {"schema": 1, "artefacts": [{"name": "a", "sha256": "z"}]})
    assert not (tmp_path / "m.json").exists()
