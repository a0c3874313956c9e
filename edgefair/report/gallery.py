"""Sample images of the report as PNG data URLs."""

import base64
import io

import numpy as np
from PIL import Image

MAX_SIDE = 96


def gallery(samples: dict, images: np.ndarray) -> dict:
    """The samples of `sample_rows` with pictures in the place of row numbers; images uint8 [N, 3, S, S]."""
    cells = [
        {"class": cell["class"], "group": cell["group"], "images": [png(images[row]) for row in cell["rows"]]}
        for cell in samples["cells"]
    ]
    flips = [
        {**{key: value for key, value in flip.items() if key != "row"}, "image": png(images[flip["row"]])}
        for flip in samples["flips"]
    ]
    return {"cells": cells, "path": samples["path"], "flips": flips}


def png(image: np.ndarray) -> str:
    """A uint8 [3, S, S] image as a data URL, at most 96 pixels wide."""
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    if picture.width > MAX_SIDE:
        picture = picture.resize((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
