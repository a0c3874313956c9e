"""CIFAR-10 and CIFAR-100 as published, and two constructions of CIFAR-10S, where colour is the protected attribute.

Images of Krizhevsky, "Learning multiple layers of features from tiny images" (2009); the author states no licence, and
asks that this report be cited.

cifar10s      Wang et al., "Towards fairness in visual recognition" (CVPR 2020), section 3, as in their program. Images
              of automobile, cat, dog, horse and truck are in colour with probability `skew` = 0.95 and else grey,
              those of the other five classes the other way round. Groups: colour, grey.
cifar10s-mfd  The program of Jung et al., "Fair feature distillation for visual recognition" (CVPR 2021). The first
              five classes are grey with probability `skew` = 0.8, the last five in colour. Groups: grey, colour.

Numbers of the two must not be mixed. In both, all 50,000 training images are made grey or left by the published draw
before any is set aside: the mask depends on `skew` and `mask_seed` alone. Validation, calibration and meta images are
then drawn from the training images of each (class, group) cell; they are never trained on and stand in both views,
colour and grey, as the 10,000 test images do, which are the gate rows. Unlike training they are thus balanced: every
cell can be calibrated, chosen by and stepped on. The two views of an image share its `identity` and split, and the
gate draws them together.

cifar10 and cifar100 declare a single group, "all": accuracy can be judged, fairness cannot.
"""

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from edgefair.data.cache.store import cached_images
from edgefair.data.dataset import SPLITS, Examples
from edgefair.data.readers.cifar_pickle import Pictures, read_pictures
from edgefair.data.splits import deal
from edgefair.files import digest
from edgefair.log import Log
from edgefair.preprocess import VERSION, square
from edgefair.recipe.data import Cifar100Settings, CifarSettings, SkewedCifarSettings
from edgefair.seeds import generator

TERMS = "no licence stated by the author; cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
COLOURED = (1, 3, 5, 7, 9)  # automobile, cat, dog, horse, truck: mostly in colour in `cifar10s`


def wang_mask(labels: np.ndarray, skew: float, seed: int) -> np.ndarray:
    """Which training images are grey, bool [N]: of each class int(n * skew) are drawn for the view of its majority."""
    draw = random.Random(seed)
    grey = np.zeros(len(labels), bool)
    for label in range(10):
        members = np.flatnonzero(labels == label)
        chosen = draw.sample(members.tolist(), int(len(members) * skew))
        grey[members] = label in COLOURED
        grey[chosen] = label not in COLOURED
    return grey


def jung_mask(labels: np.ndarray, skew: float, seed: int) -> np.ndarray:
    """Which training images are grey, bool [N]: in shuffled order, the first of each class up to its quota."""
    order = np.arange(len(labels))
    np.random.RandomState(seed).shuffle(order)  # what np.random.seed and np.random.shuffle draw
    skewed = int(len(labels) * skew // 10)
    grey = np.zeros(len(labels), bool)
    for label in range(10):
        quota = skewed if label < 5 else len(labels) // 10 - skewed
        grey[order[labels[order] == label][:quota]] = True
    return grey


@dataclass(frozen=True)
class Construction:
    """What a data set makes of the images: the groups in order of their ids, and which training images are grey."""

    kind: str  # "cifar10" or "cifar100"
    groups: tuple[str, ...] = ("all",)
    mask: Callable[[np.ndarray, float, int], np.ndarray] | None = None
    mask_seed: int = 0


CONSTRUCTIONS = {
    "cifar10": Construction("cifar10"),
    "cifar100": Construction("cifar100"),
    "cifar10s": Construction("cifar10", ("colour", "grey"), wang_mask, 42),
    "cifar10s-mfd": Construction("cifar10", ("grey", "colour"), jung_mask, 0),
}


def load(settings: CifarSettings, seed: int, log: Log) -> Examples:
    """Examples of `settings.name`, a key of CONSTRUCTIONS, from the batches in `settings.path`; raises DataError."""
    made = CONSTRUCTIONS[settings.name]
    label_set = settings.label_set if isinstance(settings, Cifar100Settings) else "fine"
    pictures = read_pictures(settings.path, made.kind, label_set)
    groups, about = _train_groups(pictures.labels[: pictures.num_train], made, settings)
    splits = _deal_splits(pictures, groups, len(made.groups), settings, seed)
    source, group = (np.concatenate([splits[name][column] for name in SPLITS]) for column in (0, 1))
    edges = np.cumsum([0, *(len(splits[name][0]) for name in SPLITS)])
    identity = [_identity(pictures, image) for image in source.tolist()]
    if made.mask:
        ids = [f"{image}-{made.groups[view]}" for image, view in zip(identity, group.tolist(), strict=True)]
    images, content = _images(pictures, source, np.array(made.groups)[group] == "grey", settings.image_size, log)
    return Examples(
        images=images,
        content=content,
        labels=pictures.labels[source],
        groups=group,
        ids=np.array(ids if made.mask else identity),
        class_names=pictures.class_names,
        group_names=made.groups,
        rows={name: np.arange(*edges[at : at + 2]) for at, name in enumerate(SPLITS)},
        about={"name": settings.name, "source": str(settings.path), "terms": TERMS, **about},
        identities=np.array(identity),
    )


def _train_groups(labels: np.ndarray, made: Construction, settings: CifarSettings) -> tuple[np.ndarray, dict]:
    """Group of every training image, int64 [N], and what the report says of how they came about."""
    if isinstance(settings, Cifar100Settings):
        return np.zeros(len(labels), np.int64), {"label_set": settings.label_set}
    if not isinstance(settings, SkewedCifarSettings):
        return np.zeros(len(labels), np.int64), {}
    seed = made.mask_seed if settings.mask_seed is None else settings.mask_seed
    assert made.mask is not None  # of every skewed construction
    grey = made.mask(labels, settings.skew, seed)
    about: dict[str, Any] = {"skew": settings.skew, "mask_seed": seed, "grey_training_images": int(grey.sum())}
    about["mask_sha256"] = hashlib.sha256(np.packbits(grey).data).hexdigest()
    return np.where(grey, made.groups.index("grey"), made.groups.index("colour")), about


def _deal_splits(
    pictures: Pictures, groups: np.ndarray, views: int, settings: CifarSettings, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images and groups of each split: training images in the view of their group, all others once in every view."""
    labels, num_train = pictures.labels, pictures.num_train
    shares = {"validation": settings.validation_share, "calibration": settings.calibration_share}
    shares |= {"meta": settings.meta_share}
    pool = draw_balanced(labels[:num_train], groups, settings.max_rows, seed, "train")
    dealt: dict[str, list[int]] = {name: [] for name in SPLITS}
    for cell in sorted(set(zip(groups[pool].tolist(), labels[pool].tolist(), strict=True))):
        members = pool[(groups[pool] == cell[0]) & (labels[pool] == cell[1])].tolist()
        for name, part in deal(members, shares, seed, cell).items():
            dealt[name] += part
    test = labels[num_train:]
    most = settings.max_rows and max(1, settings.max_rows // views)
    shown = draw_balanced(test, np.zeros_like(test), most, seed, "gate")
    dealt["gate"] = (num_train + shown).tolist()
    sources = {name: np.sort(np.array(images, np.int64)) for name, images in dealt.items()}
    splits = {name: (np.tile(s, views), np.repeat(np.arange(views), len(s))) for name, s in sources.items()}
    return {**splits, "train": (sources["train"], groups[sources["train"]])}


def draw_balanced(labels: np.ndarray, groups: np.ndarray, most: int, seed: int, purpose: str) -> np.ndarray:
    """At most `most` images, sorted: as many of every class, and in a class of its groups in proportion; 0 means all.

    labels, groups: int64 [N]. Every image gets a place in 0 .. 1, those of a cell evenly spaced in an order drawn by
    `seed` and `purpose` (a name); the first of a class are taken.
    """
    if not most or most >= len(labels):
        return np.arange(len(labels))
    place = np.empty(len(labels))
    for cell in set(zip(labels.tolist(), groups.tolist(), strict=True)):
        members = np.flatnonzero((labels == cell[0]) & (groups == cell[1]))
        place[members] = (generator(seed, "cifar", purpose, *cell).permutation(len(members)) + 0.5) / len(members)
    whole, rest = divmod(most, int(labels.max()) + 1)
    chosen = []
    for label in range(int(labels.max()) + 1):
        members = np.flatnonzero(labels == label)
        chosen.append(members[np.argsort(place[members], kind="stable")[: whole + (label < rest)]])
    return np.sort(np.concatenate(chosen))


def _identity(pictures: Pictures, image: int) -> str:
    return f"train-{image:05d}" if image < pictures.num_train else f"test-{image - pictures.num_train:05d}"


def _images(pictures: Pictures, source: np.ndarray, grey: np.ndarray, size: int, log: Log) -> tuple[np.ndarray, str]:
    content = hashlib.sha256(pictures.images.data)
    for column in (source, grey):
        content.update(np.ascontiguousarray(column).data)
    key = digest([VERSION, size, content.hexdigest()])[:24]
    return cached_images(f"cifar-{key}", len(source), size, _blocks(pictures.images, source, grey, size), log), key


def _blocks(images: np.ndarray, source: np.ndarray, grey: np.ndarray, size: int, block: int = 1024) -> Iterator:
    for start in range(0, len(source), block):
        chosen = slice(start, start + block)
        pairs = zip(images[source[chosen]], grey[chosen], strict=True)
        yield np.stack([_view(image, is_grey, size) for image, is_grey in pairs])


def _view(image: np.ndarray, is_grey: bool, size: int) -> np.ndarray:
    """An image uint8 [3, 32, 32] as [3, size, size], made grey before it is resized."""
    if size == image.shape[-1] and not is_grey:
        return image
    upright = image.transpose(1, 2, 0)
    return square(as_grey(upright) if is_grey else Image.fromarray(upright), size)


def as_grey(image: np.ndarray) -> Image.Image:
    """An RGB image uint8 [H, W, 3] in three equal channels: Pillow's `L`, (19595 R + 38470 G + 7471 B + 2^15) >> 16."""
    return Image.fromarray(image).convert("L").convert("RGB")
