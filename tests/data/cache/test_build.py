"""Images decoded once: the same pixels as one by one, whoever decodes them, and whatever stops the work."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from edgefair.data.cache import decode_pool as workers
from edgefair.data.cache import shards
from edgefair.data.cache.build import prepared
from edgefair.data.cache.index import CHUNK, index_path
from edgefair.data.cache.store import cache_folder
from edgefair.data.listing import Entry, FilePart, Held, natural
from edgefair.errors import DataError, RunFolderError
from edgefair.preprocess import decode

SIZE = 8


@pytest.fixture
def entries(tmp_path, monkeypatch):
    """Images of three chunks and a bit, and an empty cache."""
    monkeypatch.setenv("EDGEFAIR_CACHE", str(tmp_path / "cache"))
    made = []
    for index in range(3 * CHUNK + 5):
        path = tmp_path / f"{index}.png"
        Image.new("RGB", (10, 9), (index % 256, index // 2 % 256, 7)).save(path, compress_level=0)
        made.append(Entry(FilePart(str(path)), "a", "b", str(index), f"row {index}"))
    return made


@pytest.fixture
def decoded(monkeypatch):
    """First bytes of the chunks that are decoded in this process."""
    seen = []

    def counting(file, at, size, jobs):
        seen.append(at)
        return workers_decode_into(file, at, size, jobs)

    workers_decode_into = workers.decode_into
    monkeypatch.setattr(workers, "decode_into", counting)
    return seen


def one_by_one(entries):
    return np.stack([decode(entry.image.path, SIZE) for entry in entries])


def leftovers():
    return sorted(path.suffix for path in cache_folder().iterdir())


def test_every_kind_of_image_is_decoded_as_pillow_does(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (21, 30, 4), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    for mode, suffix in (("RGB", "jpg"), ("L", "jpg"), ("CMYK", "jpg"), ("RGBA", "png"), ("P", "png"), ("LA", "png")):
        picture = Image.fromarray(noise).convert("RGBA" if mode == "RGBA" else "RGB").convert(mode)
        path = tmp_path / f"{mode}.{suffix}"
        picture.save(path, **({"exif": turned} if suffix == "jpg" else {}))
        plain = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        expected = np.asarray(ImageOps.fit(plain, (SIZE, SIZE), method=Image.Resampling.BICUBIC)).transpose(2, 0, 1)
        assert (decode(path, SIZE) == expected).all(), mode


@pytest.mark.parametrize("few", [0, 10**9])
def test_processes_and_threads_give_the_same_pixels(entries, quiet, monkeypatch, few):
    monkeypatch.setattr(workers, "MIN_TASKS_FOR_PROCESSES", few)
    monkeypatch.setattr(workers, "cores", lambda: 2)
    images, broken, _ = prepared(entries, SIZE, False, quiet)
    assert (images == one_by_one(entries)).all()
    assert not broken
    assert not images.flags.writeable
    assert leftovers() == [".json", ".json", ".npy"]


class Table:
    key = "of this test"

    def content(self, row):
        return b"P6 2 2 255\n" + bytes([row] * 12) if row else b"no image"


def test_parts_of_files_and_rows_of_tables(entries, quiet, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "MIN_TASKS_FOR_PROCESSES", 0)
    monkeypatch.setattr(workers, "cores", lambda: 2)
    shard, first, second = tmp_path / "shard", (tmp_path / "1.png").read_bytes(), (tmp_path / "2.png").read_bytes()
    shard.write_bytes(b"head" + first + second)
    parts = [FilePart(str(shard), 4, len(first)), FilePart(str(shard), 4 + len(first), len(second))]
    images = [*parts, Held(Table(), 9), Held(Table(), 0), FilePart(str(shard), 4, 9)]
    listed = [Entry(image, "a", "b", str(at), f"row {at}") for at, image in enumerate(images)]
    found, broken, _ = prepared(listed, SIZE, True, quiet)
    assert (found[:2] == one_by_one(entries[1:3])).all()
    assert (found[2] == 9).all()
    assert sorted(broken) == [3, 4]
    assert "from byte 4" in broken[4]


@pytest.mark.slow
def test_a_killed_build_is_resumed(entries, quiet, decoded, monkeypatch):
    """Shards of one chunk: of four, two are finished when the process is killed, and two are decoded again."""
    monkeypatch.setattr(shards, "SHARD", CHUNK)
    program = f"""
import os, sys
from edgefair.data.cache import build, shards
from edgefair.data.listing import Entry, FilePart
from edgefair.log import Log
entries = [Entry(FilePart(path), "a", "b", path, path) for path in sys.argv[1:]]
shards.SHARD = {CHUNK}
add = shards.Shards.add
def add_and_die(self, *chunk):
    add(self, *chunk)
    if len(self.digests) == 2:
        os.kill(os.getpid(), 9)
shards.Shards.add = add_and_die
build.prepared(entries, {SIZE}, False, Log(quiet=True))
"""
    killed = subprocess.run([sys.executable, "-c", program, *(entry.image.path for entry in entries)])
    assert killed.returncode == -9
    assert leftovers() == [".lock", ".shards"]
    finished = [path for path in next(cache_folder().glob("*.shards")).iterdir() if path.suffix != ".part"]
    assert len(finished) == 2
    images, *_ = prepared(entries, SIZE, False, quiet)
    assert (images == one_by_one(entries)).all()
    assert len(decoded) == 2  # of four chunks
    assert leftovers() == [".json", ".json", ".npy"]


def test_only_unfinished_and_damaged_shards_are_decoded_again(entries, quiet, decoded, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shards, "SHARD", 2 * CHUNK)
    with monkeypatch.context() as patch:
        patch.setattr(shards.Shards, "write_array", stop)
        with pytest.raises(KeyboardInterrupt):
            prepared(entries, SIZE, False, quiet)
        assert len(decoded) == 4
        last = next(cache_folder().glob(f"*.shards/{2 * CHUNK}-*"))
        last.write_bytes(last.read_bytes()[:-4])
        last.with_suffix(".part").write_bytes(b"of a process that was killed")
        with pytest.raises(KeyboardInterrupt):
            prepared(entries, SIZE, False, quiet)
    assert len(decoded) == 6  # the two chunks of the damaged shard
    monkeypatch.setattr(shards, "SHARD", CHUNK)
    assert (prepared(entries, SIZE, False, quiet)[0] == one_by_one(entries)).all()
    assert len(decoded) == 10  # shards of another size are none


@pytest.mark.parametrize("shard", [CHUNK, 2 * CHUNK, 32 * CHUNK])
def test_shards_of_any_size_make_the_same_array(entries, quiet, monkeypatch, shard):
    """Broken images at the ends of chunks and shards included; the name, made of the content, is the same."""
    broken = [0, CHUNK - 1, CHUNK, 2 * CHUNK, len(entries) - 1]
    for row in broken:
        Path(entries[row].image.path).write_bytes(b"no image")
    monkeypatch.setattr(shards, "SHARD", shard)
    images, reasons, content = prepared(entries, SIZE, True, quiet)
    assert sorted(reasons) == broken
    assert (images == one_by_one([entry for row, entry in enumerate(entries) if row not in broken])).all()
    monkeypatch.setattr(shards, "SHARD", 7 * CHUNK)
    monkeypatch.setenv("EDGEFAIR_CACHE", str(cache_folder() / "another"))
    again, _, same_content = prepared(entries, SIZE, True, quiet)
    assert (again == images).all()
    assert same_content == content


def test_the_disk_holds_little_more_than_twice_the_array(entries, quiet, monkeypatch):
    seen = []
    write_array = shards.Shards.write_array

    def measured(self, path):
        write_array(self, path)
        seen.append(sum(file.stat().st_size for file in cache_folder().rglob("*") if file.is_file()))

    monkeypatch.setattr(shards, "SHARD", CHUNK)
    monkeypatch.setattr(shards.Shards, "write_array", measured)
    images, *_ = prepared(entries, 4 * SIZE, False, quiet)
    assert seen[0] < 2.01 * images.nbytes


def test_two_builds_at_once_decode_once(entries, quiet, decoded):
    found = []
    both = [threading.Thread(target=lambda: found.append(prepared(entries, SIZE, False, quiet)[0])) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(decoded) == 4
    assert all((images == one_by_one(entries)).all() for images in found)


def test_broken_images_stop_the_work_or_are_left_out(entries, quiet, decoded):
    broken = [3, CHUNK, 3 * CHUNK + 4]
    for row in broken:
        path = Path(entries[row].image.path)
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=rf"row ({'|'.join(map(str, broken))}): cannot read the image .*--skip-broken"):
        prepared(entries, SIZE, False, quiet)
    images, reasons, _ = prepared(entries, SIZE, True, quiet)
    assert sorted(reasons) == broken
    kept = [entry for row, entry in enumerate(entries) if row not in broken]
    assert (images == one_by_one(kept)).all()
    with pytest.raises(DataError, match=r"row 3: cannot read the image"):  # what is known of the finished file
        prepared(entries, SIZE, False, quiet)


def test_a_full_disk_says_so_and_loses_nothing(entries, quiet, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(workers, "decode_into", full)
        with pytest.raises(RunFolderError, match=r"No space left on device.*EDGEFAIR_CACHE.*same command again"):
            prepared(entries, SIZE, False, quiet)
    assert (prepared(entries, SIZE, False, quiet)[0] == one_by_one(entries)).all()


def test_a_process_that_dies_is_named(entries, quiet, monkeypatch):
    monkeypatch.setattr(workers, "MIN_TASKS_FOR_PROCESSES", 0)
    monkeypatch.setattr(workers, "cores", lambda: 2)
    monkeypatch.setattr(workers, "PROGRAM", ("-c", "import sys; sys.stdin.readline(); sys.exit(3)"))
    with pytest.raises(DataError, match="a process that decodes images ended by itself"):
        prepared(entries, SIZE, False, quiet)


def arrays():
    return sorted(path.name for path in cache_folder().glob("*.npy"))


def test_the_index_entry_follows_place_order_and_size(entries):
    note = index_path(entries, SIZE)
    assert note == index_path(list(entries), SIZE)
    assert len({note, index_path(entries[::-1], SIZE), index_path(entries, 9), index_path(entries[1:], SIZE)}) == 4
    path = entries[0].image.path
    Image.new("RGB", (10, 9)).save(path)
    assert index_path(entries, SIZE) != note


def moved(entries, folder):
    folder.mkdir()
    return [replace(entry, image=FilePart(str(shutil.copy(entry.image.path, folder)))) for entry in entries]


def test_the_same_images_elsewhere_are_not_decoded_again(entries, quiet, decoded, tmp_path):
    Path(entries[3].image.path).write_bytes(b"no image")
    images, broken, _ = prepared(entries, SIZE, True, quiet)
    count, found = len(decoded), arrays()
    elsewhere, broken_elsewhere, _ = prepared(moved(entries, tmp_path / "moved"), SIZE, True, quiet)
    assert (elsewhere == images).all()
    assert list(broken_elsewhere) == list(broken) == [3]
    assert (len(decoded), arrays()) == (count, found)
    for entry in entries:  # touched, as by a fresh download
        os.utime(entry.image.path)
    assert (prepared(entries, SIZE, True, quiet)[0] == images).all()
    assert (len(decoded), arrays()) == (count, found)


def test_other_images_of_as_many_bytes_are_decoded(entries, quiet, tmp_path):
    """Uncompressed PNG: another colour has the same number of bytes."""
    prepared(entries, SIZE, False, quiet)
    others = moved(entries, tmp_path / "others")
    was = Path(others[9].image.path).stat()
    Image.new("RGB", (10, 9), (1, 2, 3)).save(others[9].image.path, compress_level=0)
    assert Path(others[9].image.path).stat().st_size == was.st_size
    images, *_ = prepared(others, SIZE, False, quiet)
    assert (images == one_by_one(others)).all()
    assert len(arrays()) == 2
    assert (prepared(entries, SIZE, False, quiet)[0] == one_by_one(entries)).all()


def test_images_of_any_name_and_place_have_the_key_of_their_content(entries, quiet, tmp_path, monkeypatch):
    """The name of the array does not follow from who decodes, from an interruption, or from the place."""
    names = []
    for number, few in enumerate((0, 10**9)):
        monkeypatch.setenv("EDGEFAIR_CACHE", str(tmp_path / f"cache{number}"))
        monkeypatch.setattr(workers, "MIN_TASKS_FOR_PROCESSES", few)
        monkeypatch.setattr(workers, "cores", lambda: 2)
        prepared(moved(entries, tmp_path / f"place{number}"), SIZE, False, quiet)
        names.append(arrays())
    assert names[0] == names[1]
    assert len(names[0]) == 1


def test_an_array_that_was_removed_is_made_again(entries, quiet, decoded):
    prepared(entries, SIZE, False, quiet)
    count = len(decoded)
    next(cache_folder().glob("*.npy")).unlink()
    assert (prepared(entries, SIZE, False, quiet)[0] == one_by_one(entries)).all()
    assert len(decoded) == 2 * count


def test_a_damaged_cache_is_named(entries, quiet):
    prepared(entries, SIZE, False, quiet)
    file = next(cache_folder().glob("*.npy"))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cached images .*\.npy cannot be read .*Remove the file"):
        prepared(entries, SIZE, False, quiet)


def test_reading_lists_needs_no_torch():
    program = """
import json, sys
import edgefair.preprocess
few = sorted(set(sys.modules) & {"torch", "numpy", "pydantic", "rich"})
import edgefair.data, edgefair.data.overview
print(json.dumps([few, sorted(set(sys.modules) & {"torch", "datasets", "webdataset", "scipy", "pyarrow"})]))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == [[], []]


def test_natural_order():
    assert sorted(["b10", "b9", "a", "10", "9"], key=natural) == ["9", "10", "a", "b9", "b10"]
