"""A picture of a data set: a few examples of every (group, class) cell."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from edgefair.data.dataset import SPLITS
from edgefair.errors import DataError
from edgefair.files import write_bytes
from edgefair.seeds import generator

if TYPE_CHECKING:
    from edgefair.data.dataset import Examples
    from edgefair.data.overview import Overview

SIDE, GAP, MARGIN = 64, 2, 150  # pixels
EACH, MOST = 3, 16  # examples of a cell; classes and groups that are shown
WIDE = 5  # classes that fit side by side


def draw_cells(data: "Examples | Overview", path: Path, seed: int) -> None:
    """Write a PNG with a column for each class and a row for each group, or turned where there are many classes.

    Of training rows where there are any.
    """
    across, down = data.class_names[:MOST], data.group_names[:MOST]
    turned = len(across) > max(WIDE, len(down))
    if turned:
        across, down = down, across
    width, height = EACH * (SIDE + GAP) + 4 * GAP, SIDE + 4 * GAP
    sheet = Image.new("RGB", (MARGIN + width * len(across), 20 + height * len(down)), "white")
    pen = ImageDraw.Draw(sheet)
    if len(data.class_names) > MOST or len(data.group_names) > MOST:
        pen.text((4, 4), f"the first {MOST} of each", fill="gray")
    for column, name in enumerate(across):
        pen.text((MARGIN + column * width, 4), _fitting(pen, name, width - 4), fill="black")
    for row, name in enumerate(down):
        top = 20 + row * height
        pen.text((4, top + SIDE // 2), _fitting(pen, name, MARGIN - 8), fill="black")
        for column in range(len(across)):
            left = MARGIN + column * width
            cell = (column, row) if turned else (row, column)
            pictures = [_picture(data, at) for at in _chosen(data, *cell, seed)]
            for place, picture in enumerate(pictures):
                sheet.paste(picture, (left + place * (SIDE + GAP), top))
            if not pictures:
                pen.text((left, top + SIDE // 2), "no rows", fill="red")
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())


def _chosen(data: "Examples | Overview", group: int, label: int, seed: int) -> list[int]:
    """Rows of a cell, drawn by seed, from the first split that has any."""
    for name in SPLITS:
        rows = data.rows[name]
        cell = rows[(data.groups[rows] == group) & (data.labels[rows] == label)]
        if len(cell):
            return generator(seed, "picture", group, label).permutation(cell)[:EACH].tolist()
    return []


def _picture(data: "Examples | Overview", row: int) -> Image.Image:
    try:
        image = np.asarray(data.images[row]).transpose(1, 2, 0)
    except DataError:
        return Image.new("RGB", (SIDE, SIDE), "red")  # a broken file shows as such
    return Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _fitting(pen: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """The text, cut short where it is wider than `width` pixels."""
    while len(text) > 1 and pen.textlength(text) > width:
        text = text[:-2].rstrip(".") + "."
    return text
