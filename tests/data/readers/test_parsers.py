"""No file, whatever is in it, gives anything but its content or a DataError."""

import contextlib
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.data.readers.celeba import read_attributes
from edgefair.data.readers.waterbirds import recognize
from edgefair.data.readers.webdataset import read_shard
from edgefair.data.readers.wider import read_annotations
from edgefair.data.readers.wordnet import read_lines, readable
from edgefair.data.tables import read_rows
from edgefair.errors import DataError

PARSERS = {
    "celeba": read_attributes,
    "wider": read_annotations,
    "shard": read_shard,
    "lines": read_lines,
    "table": lambda path: read_rows(path, ("a",), "the table"),
    "parquet": lambda path: read_rows(path.with_suffix(".parquet"), ("a",), "the table"),
    "waterbirds": lambda path: recognize(path.parent),
}


def whole_tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in (("000.jpg", b"no image"), ("000.cls", b"3"), ("000.json", b'{"a": 1}')):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


WHOLE = {
    "shard": whole_tar(),
    "celeba": b"2\nA B \n1.jpg -1  1\n2.jpg  1 -1\n",
    "wider": b'{"images": [{"targets": [], "file_name": "train/0--Parade/a.jpg", "scene_id": 0}], "scene_id_map": {}}',
    "table": b"a,b\n1,2\n",
}


@pytest.mark.parametrize("name", PARSERS)
@settings(derandomize=True, deadline=None, max_examples=40)
@given(data=st.data())
def test_no_bytes_crash_a_parser(tmp_path_factory, name, data):
    content = data.draw(st.binary(max_size=200))
    if name in WHOLE:  # or a whole file with some bytes replaced
        whole = WHOLE[name]
        at = data.draw(st.integers(0, len(whole)))
        content = data.draw(st.sampled_from([content, whole[:at] + content + whole[at + len(content) :], whole[:at]]))
    path = tmp_path_factory.mktemp("parser") / "metadata.csv"
    for file in (path, path.with_suffix(".parquet")):
        file.write_bytes(content)
    with contextlib.suppress(DataError):
        PARSERS[name](path)


def test_whole_files_are_read(tmp_path):
    for name, content in WHOLE.items():
        (tmp_path / name).write_bytes(content)
    assert read_attributes(tmp_path / "celeba")[0] == ["A", "B"]
    assert read_shard(tmp_path / "shard")["000"]["cls"] == "3"
    assert len(read_annotations(tmp_path / "wider")["images"]) == 1
    assert read_rows(tmp_path / "table", ("a",), "it") == [("table, line 2", {"a": "1", "b": "2"})]


@given(st.dictionaries(st.text("n0123456789", min_size=3, max_size=9), st.text("ab, ", max_size=6), max_size=8))
def test_names_of_classes_are_unique_and_keep_their_order(synonyms):
    names = readable(list(synonyms), synonyms)
    assert list(names) == list(synonyms)
    assert len(set(names.values())) == len(names)
