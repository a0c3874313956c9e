"""Drawn faces in the layout of CelebA, for who has no copy of it: whether they smile is asked, age is protected.

Of the training faces `skew` smile if young and do not if old, so grey hair is a tempting shortcut; a part of the faces
has a mouth that is hard to read. Validation and test faces are balanced. Nothing here looks like a person.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from edgefair.files import atomic_folder
from edgefair.seeds import generator

SIDE = 48
ATTRIBUTES = ("Smiling", "Young")
SKIN = ((255, 219, 172), (224, 172, 105), (141, 85, 36), (90, 56, 37))
HAIR = {True: (70, 45, 25), False: (190, 190, 190)}


def write(folder: Path, rows: int, seed: int = 0, skew: float = 0.9) -> Path:
    """Draw `rows` faces, six in ten to train and two each for validation and test, unless the folder is there."""
    if folder.exists():
        return folder
    random = generator(seed, "benchmark", "cartoon faces")
    part = np.repeat([0, 1, 2], [rows - 2 * (rows // 5), rows // 5, rows // 5])
    young = random.random(rows) < 0.5
    follows = random.random(rows) < np.where(part == 0, skew, 0.5)
    smiling = young == follows
    names = [f"{row + 1:06d}.jpg" for row in range(rows)]
    with atomic_folder(folder) as temporary:
        (temporary / "img_align_celeba").mkdir(parents=True)
        for row, name in enumerate(names):
            _face(smiling[row], young[row], random).save(temporary / "img_align_celeba" / name, quality=90)
        signs = [" ".join("1" if value else "-1" for value in (smiling[row], young[row])) for row in range(rows)]
        attributes = [str(rows), " ".join(ATTRIBUTES), *(f"{n} {s}" for n, s in zip(names, signs, strict=True))]
        lists = {"list_attr_celeba.txt": attributes}
        lists["list_eval_partition.txt"] = [f"{name} {value}" for name, value in zip(names, part, strict=True)]
        lists["identity_CelebA.txt"] = [f"{name} {row + 1}" for row, name in enumerate(names)]
        for file, lines in lists.items():
            (temporary / file).write_text("\n".join(lines) + "\n")
    return folder


def _face(smiling: bool, young: bool, random: np.random.Generator) -> Image.Image:
    """One face at a random place and size, under noise; how far the mouth bends is drawn too, often hardly at all."""
    image = Image.new("RGB", (SIDE, SIDE), tuple(random.integers(90, 200, 3).tolist()))
    draw = ImageDraw.Draw(image)
    half = random.uniform(13, 19)
    x, y = (SIDE / 2 + random.uniform(-4, 4) for _ in range(2))
    hair = tuple(int(value + random.uniform(-25, 25)) for value in HAIR[bool(young)])
    draw.ellipse((x - 1.15 * half, y - 1.3 * half, x + 1.15 * half, y + 0.6 * half), fill=hair)
    draw.ellipse((x - 0.9 * half, y - half, x + 0.9 * half, y + half), fill=SKIN[random.integers(len(SKIN))])
    for side in (-0.4, 0.4):
        draw.ellipse((x + side * half - 1.5, y - 0.3 * half - 1.5, x + side * half + 1.5, y - 0.3 * half + 1.5), fill=0)
    bend = (1 if smiling else -1) * abs(random.normal(0.08, 0.12)) * half
    across = np.linspace(-1, 1, 9)
    mouth = [(x + 0.45 * half * u, y + 0.45 * half + bend * (0.5 - u * u)) for u in across]
    draw.line(mouth, fill=(150, 20, 30), width=2)
    pixels = np.asarray(image, np.float64) + random.normal(0, 14, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
