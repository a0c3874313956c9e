"""What it costs to prepare images, and to read them: against bare loops, tensors in memory, and JPEG at every epoch.

    python benchmarks/data.py [--images 6000] [--rounds 5] [--size 64]

build   images a second that `prepared` decodes, resizes and writes, against a bare loop of Pillow (open, convert, fit)
        and one of torchvision (decode, resize, crop) on the same cores, which keep nothing. The processes of the loops
        are started beforehand, those of `prepared` within its time, which is why n and 4 n images are prepared. On a
        busy machine the ratio of processor time (theirs to ours, so that larger is better too) says more than speed's.
epoch   images a second of BatchLoader from the memory map, against the same from an array in memory, a tensor indexed
        by batches, and a DataLoader that decodes JPEG and resizes by torchvision's transforms in as many processes.
memory  of a build of n and of 4 n images, for which more memory than half of the larger array is forbidden.

Images are made: smooth colours with noise, 178 x 218 pixels (CelebA's), JPEG of quality 90. Rounds are interleaved.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import numpy as np
import torch
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

from edgefair.data import SPLITS, Examples
from edgefair.data.cache.build import prepared
from edgefair.data.cache.decode_pool import cores
from edgefair.data.listing import Entry, FilePart
from edgefair.log import Log
from edgefair.training.loader import BatchLoader

QUIET, CPU, BATCH = Log(quiet=True), torch.device("cpu"), 64


def photographs(folder: Path, count: int) -> list[Entry]:
    rng, entries = np.random.default_rng(0), []
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (7, 6, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((178, 218), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(smooth + rng.integers(-9, 10, smooth.shape), 0, 255).astype(np.uint8)
        path = folder / f"{index:06d}.jpg"
        Image.fromarray(noisy).save(path, quality=90)
        entries.append(Entry(FilePart(str(path)), str(index % 2), "all", str(index), str(index)))
    return entries


def pillow(path: str, size: int) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(ImageOps.fit(image.convert("RGB"), (size, size), method=Image.Resampling.BICUBIC))


def bare_pillow(job: tuple[list[str], int]) -> float:
    started = time.process_time()
    for path in job[0]:
        pillow(path, job[1])
    return time.process_time() - started


def shrink(size: int):
    bicubic = v2.InterpolationMode.BICUBIC
    return v2.Compose([v2.Resize(size, interpolation=bicubic, antialias=True), v2.CenterCrop(size)])


def bare_torchvision(job: tuple[list[str], int]) -> float:
    torch.set_num_threads(1)
    fit, started = shrink(job[1]), time.process_time()
    for path in job[0]:
        fit(decode_image(path, ImageReadMode.RGB))
    return time.process_time() - started


def cost(count: int, work) -> tuple[float, float]:
    """Images a second, and microseconds of processor time an image: of this process, those it ended, and a pool's."""
    started, before = time.perf_counter(), os.times()
    elsewhere = work() or []
    wall, after = time.perf_counter() - started, os.times()
    return count / wall, 1e6 * (sum(after[:4]) - sum(before[:4]) + sum(elsewhere)) / count


def fresh(entries: list[Entry], size: int) -> np.ndarray:
    with tempfile.TemporaryDirectory() as cache:
        os.environ["EDGEFAIR_CACHE"] = cache
        return prepared(entries, size, False, QUIET)[0]


def build(entries: list[Entry], size: int, rounds: int) -> dict:
    paths, parts = [entry.image.path for entry in entries], 8 * cores()
    jobs = [(paths[at::parts], size) for at in range(parts)]
    with multiprocessing.get_context("spawn").Pool(cores()) as pool:
        ways = {
            "edgefair": lambda: fresh(entries, size) is None,
            "bare Pillow": lambda: pool.map(bare_pillow, jobs, chunksize=1),
            "bare torchvision": lambda: pool.map(bare_torchvision, jobs, chunksize=1),
        }
        for work in ways.values():  # starts the processes and warms the file cache
            work()
        made = fresh(entries, size)
        same = all((made[at] == pillow(paths[at], size).transpose(2, 0, 1)).all() for at in range(0, len(paths), 50))
        return {"pixels_equal_to_bare_pillow": same, **compared(ways, len(entries), rounds, "edgefair")}


def compared(ways: dict, count: int, rounds: int, ours: str) -> dict:
    """Speed and processor time of every way, and medians over rounds of how ours compares with each other."""
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 == 0 else -1]:  # what drifts weighs on both ends alike
            costs[name].append(cost(count, ways[name]))
    others = [name for name in ways if name != ours]

    def ratios(place: int, name: str) -> dict:
        pairs = zip(costs[ours], costs[name], strict=True)
        return common.spread([(a[0] / b[0], b[1] / a[1])[place] for a, b in pairs])

    return {
        "images_per_second": {name: common.spread([pair[0] for pair in pairs]) for name, pairs in costs.items()},
        "cpu_us_per_image": {name: common.spread([pair[1] for pair in pairs]) for name, pairs in costs.items()},
        "speed_ratio_to": {name: ratios(0, name) for name in others},
        "cpu_time_ratio_to": {name: ratios(1, name) for name in others},
    }


class Jpegs(Dataset):
    def __init__(self, entries: list[Entry], size: int):
        self.paths, self.change = [entry.image.path for entry in entries], v2.Compose([shrink(size), *RANDOM(size)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int):
        return self.change(decode_image(self.paths[row], ImageReadMode.RGB)), row % 2


def RANDOM(size: int) -> list:
    return [v2.RandomHorizontalFlip(), v2.RandomCrop(size, padding=size // 8, padding_mode="reflect")]


def examples_of(images: np.ndarray) -> Examples:
    rows, every = len(images), np.arange(len(images))
    lists = {name: every[:-4] if name == "train" else every[rows - 4 :][at - 1 : at] for at, name in enumerate(SPLITS)}
    return Examples(
        images=images,
        labels=every % 2,
        groups=every * 0,
        ids=every.astype(str),
        class_names=("a", "b"),
        group_names=("all",),
        rows=lists,
        about={},
    )


def epochs(entries: list[Entry], size: int, rounds: int) -> dict:
    with tempfile.TemporaryDirectory() as cache:
        os.environ["EDGEFAIR_CACHE"] = cache
        mapped = prepared(entries, size, False, QUIET)[0]
        memory = np.array(mapped)
        found = {}
        for augment in ("none", "crop-flip"):
            feeds = [BatchLoader(examples_of(images), "train", BATCH, augment, 0, CPU) for images in (mapped, memory)]
            ways = {
                "memory map": lambda feeds=feeds: drained(feeds[0].epoch(1)),
                "array in memory": lambda feeds=feeds: drained(feeds[1].epoch(1)),
            }
            if augment == "none":
                tensor = torch.from_numpy(memory)
                ways["tensor in memory"] = lambda tensor=tensor: drained(
                    tensor[at].contiguous(memory_format=torch.channels_last)
                    for at in torch.randperm(len(tensor)).split(BATCH)
                )
            else:
                ways["DataLoader from JPEG"] = lambda: drained(
                    DataLoader(Jpegs(entries, size), BATCH, shuffle=True, num_workers=cores())
                )
            found[augment] = compared(ways, len(entries), rounds, "memory map")
        return found


def drained(batches) -> None:
    for _ in batches:
        pass


LIMITED = """
import json, os, resource, sys
from edgefair.data.listing import Entry, FilePart
from edgefair.data.cache.build import prepared
from edgefair.log import Log
folder, rows, size, limit = sys.argv[1], *map(int, sys.argv[2:])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
paths = sorted(entry.path for entry in os.scandir(folder))
entries = [Entry(FilePart(paths[row % len(paths)]), "a", "b", str(row), str(row)) for row in range(rows)]
images, *_ = prepared(entries, size, False, Log(quiet=True))
total = sum(int(images[at : at + 64].sum()) for at in range(0, rows, 64))
own = int(next(line for line in open("/proc/self/status") if line.startswith("RssAnon")).split()[1]) / 1024
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"images": rows, "array_mb": images.nbytes / 2**20, "allowed_mb": limit / 2**20,
                  "own_mb_after_reading_all": own, "largest_decoding_process_mb": children}))
"""


def memory(folder: Path, rows: int) -> list[dict]:
    """Builds of `rows` and four times as many images of 128 pixels; the second may use half of what its array takes."""
    limit = 4 * rows * 3 * 128 * 128 // 2
    found = []
    for count in (rows, 4 * rows):
        with tempfile.TemporaryDirectory() as cache:
            command = [sys.executable, "-c", LIMITED, str(folder), str(count), "128", str(limit)]
            environment = {**os.environ, "EDGEFAIR_CACHE": cache, "OPENBLAS_NUM_THREADS": "1"}
            ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        found.append(json.loads(ran.stdout))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=64)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        folder.mkdir()
        entries = photographs(folder, 4 * args.images)
        few = entries[: args.images]
        common.write(
            "data",
            {
                "images": args.images,
                "bytes_per_image": sum(os.path.getsize(entry.image.path) for entry in entries) // len(entries),
                "image_size": args.size,
                "batch_size": BATCH,
                "cores": cores(),
                "torch_threads": torch.get_num_threads(),
                "load_before": os.getloadavg()[0],
                "build": {str(len(part)): build(part, args.size, args.rounds) for part in (few, entries)},
                "epoch": epochs(few, args.size, args.rounds),
                "memory": memory(folder, args.images),
                "load_after": os.getloadavg()[0],
            },
        )


if __name__ == "__main__":
    main()
