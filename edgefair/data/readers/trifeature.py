"""Trifeature: rendered images whose shape, texture and colour are known, so that a bias can be dialled in.

After the idea of Hermann and Lampinen, "What shapes feature representations?" (NeurIPS 2020): ten shapes, ten textures
and ten colours at random position, size and rotation on grey. The task is the shape; the protected attribute is the
colour family, warm or cool. In the training rows each shape shows its own family with probability `skew`, so colour is
a tempting shortcut between look-alikes (circle and pentagon, plus and tee, ...); all other rows are balanced.

Rendered here from formulas; there are no terms of use.
"""

from collections.abc import Iterator

import numpy as np

from edgefair.data.cache.store import cached_images
from edgefair.data.dataset import SPLITS, Examples
from edgefair.files import digest
from edgefair.log import Log
from edgefair.recipe.data import TrifeatureSettings
from edgefair.seeds import generator

RENDERER = 1  # part of the cache key: raise it when a pixel changes
FAMILIES = ("warm", "cool")
COLOURS = {
    "red": (1.0, 0.0, 0.0),
    "orange": (1.0, 0.6, 0.0),
    "yellow": (1.0, 1.0, 0.0),
    "pink": (1.0, 0.4, 1.0),
    "white": (1.0, 1.0, 1.0),
    "green": (0.0, 1.0, 0.0),
    "cyan": (0.0, 1.0, 1.0),
    "blue": (0.0, 0.0, 1.0),
    "ocean": (0.1, 0.4, 0.5),
    "purple": (0.3, 0.0, 0.5),
}
BACKGROUND = 0.5
MAX_ANGLE_DEGREES = 45.0
_GRID, _REACH = 160, 1.5  # the distance table of a shape: cells per side, half its side in units of the half template


def _box(x: float, y: float, half_width: float, half_height: float) -> list[tuple[float, float]]:
    return [
        (x - half_width, y - half_height),
        (x + half_width, y - half_height),
        (x + half_width, y + half_height),
        (x - half_width, y + half_height),
    ]


def _regular(corners: int, radii: tuple[float, ...], turn: float = -np.pi / 2) -> list[tuple[float, float]]:
    angles = turn + 2 * np.pi * np.arange(corners) / corners
    return [(radii[k % len(radii)] * np.cos(a), radii[k % len(radii)] * np.sin(a)) for k, a in enumerate(angles)]


# Each shape is a union of polygons in a template that reaches from -1 to 1; neighbours in a pair look alike, and the
# first of a pair is warm in the skewed rows, the second cool.
SHAPES: dict[str, list[list[tuple[float, float]]]] = {
    "triangle": [[(0, -1), (1, 1), (-1, 1)]],
    "trapezoid": [[(-0.4, -1), (0.4, -1), (1, 1), (-1, 1)]],
    "square": [_box(0, 0, 0.9, 0.9)],
    "rhombus": [[(0, -1), (0.65, 0), (0, 1), (-0.65, 0)]],
    "circle": [_regular(48, (1.0,))],
    "pentagon": [_regular(5, (1.0,))],
    "plus": [_box(0, 0, 1, 1 / 3), _box(0, 0, 1 / 3, 1)],
    "tee": [_box(0, -2 / 3, 1, 1 / 3), _box(0, 0, 1 / 3, 1)],
    "star": [_regular(10, (1.0, 0.42))],
    "fivesquare": [
        _box(x, y, 1 / 3, 1 / 3)
        for x, y in ((0, 0), (-2 / 3, -2 / 3), (2 / 3, -2 / 3), (-2 / 3, 2 / 3), (2 / 3, 2 / 3))
    ],
}


def _signed_distance(polygon: list[tuple[float, float]], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance from each point to the polygon's border, negative inside (even-odd rule)."""
    squared = np.full(x.shape, np.inf, np.float32)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        ex, ey = bx - ax, by - ay
        along = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0, 1)
        squared = np.minimum(squared, (x - ax - along * ex) ** 2 + (y - ay - along * ey) ** 2)
        if ay != by:
            crosses = (y >= min(ay, by)) & (y < max(ay, by))
            inside ^= crosses & (x < ax + (y - ay) / (by - ay) * ex)
    return np.where(inside, -1, 1) * np.sqrt(squared)


def _distance_tables() -> np.ndarray:
    """Signed distance of every shape on a grid, float32 [10, grid, grid]: rendering is then one look-up per pixel."""
    axis = (np.arange(_GRID, dtype=np.float32) + 0.5) / _GRID * 2 * _REACH - _REACH
    x, y = np.meshgrid(axis, axis)
    return np.stack([np.min([_signed_distance(part, x, y) for part in parts], axis=0) for parts in SHAPES.values()])


def _pluses(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    a, b = np.abs(u % 1 - 0.5), np.abs(v % 1 - 0.5)
    return (np.minimum(a, b) < 0.15) & (np.maximum(a, b) < 0.4)


def _rain(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (np.abs(u % 1 - 0.5) < 0.2) & ((v / 2 + 0.37 * np.floor(u)) % 1 < 0.6)


def _cell_noise(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A fixed random black or white per half-period cell, by an integer hash, so that any crop can be drawn alone."""
    i, j = np.floor(2 * u).astype(np.int64), np.floor(2 * v).astype(np.int64)
    return ((i * 73856093 ^ j * 19349663) * 2654435761 >> 13) & 1


# A texture maps coordinates in periods to 0 (background shows) or 1 (colour shows).
TEXTURES = {
    "solid": lambda u, v: np.ones_like(u),
    "stripes": lambda u, v: u % 1 < 0.5,
    "grid": lambda u, v: (u % 1 < 0.35) | (v % 1 < 0.35),
    "hexgrid": lambda u, v: (
        np.cos(2 * np.pi * u) + np.cos(np.pi * (u + 1.732 * v)) + np.cos(np.pi * (u - 1.732 * v)) < 0.4
    ),
    "dots": lambda u, v: (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.14,
    "noise": _cell_noise,
    "triangles": lambda u, v: (u % 1) < (v % 1),
    "zigzags": lambda u, v: (v + np.abs(u % 1 - 0.5)) % 1 < 0.5,
    "rain": _rain,
    "pluses": _pluses,
}


def factors(rows: int, skew: float, rng: np.random.Generator) -> np.ndarray:
    """Shape, texture and colour index of each row, int64 [rows, 3], shuffled.

    Shapes are equally frequent; of each shape a share of exactly `skew` (rounded) has its own colour family.
    """
    shape = np.arange(rows) % len(SHAPES)
    position = np.arange(rows) // len(SHAPES)  # the how-manieth row of its shape
    per_shape = np.bincount(shape, minlength=len(SHAPES))[shape]
    own = position < np.round(skew * per_shape)
    family = np.where(own, shape % 2, 1 - shape % 2)
    half = len(COLOURS) // 2
    colour = family * half + rng.integers(half, size=rows)
    texture = rng.integers(len(TEXTURES), size=rows)
    return rng.permutation(np.stack([shape, texture, colour], axis=1))


def render(rows: np.ndarray, settings: TrifeatureSettings, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw rows of (shape, texture, colour), yielding uint8 [n, 3, S, S] in order, a few megabytes at a time.

    image = m * colour + (1 - m) * grey + noise, with m = mask * (1 - contrast * (1 - texture)), sizes and the texture
    period as shares of the image side. Shape and texture turn independently by up to 45 degrees.
    """
    tables = _distance_tables()
    palette = np.array(list(COLOURS.values()), np.float32)
    side = settings.image_size
    chunk = max(1, 2**19 // side**2)  # so many that the intermediate arrays stay in the processor's cache
    for start in range(0, len(rows), chunk):
        part = rows[start : start + chunk]
        mask = _masks(part[:, 0], tables, settings, rng)  # [n, S, S]
        texture = _textures(part[:, 1], settings, rng)  # [n, S, S]
        cover = (mask * (1 - settings.texture_contrast * (1 - texture)))[:, None]
        image = BACKGROUND + cover * (palette[part[:, 2]][:, :, None, None] - BACKGROUND)  # [n, 3, S, S]
        if settings.noise:
            image += settings.noise * rng.standard_normal((len(part), 3, side, side), dtype=np.float32)
        yield (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _turned(angle: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return cos * x + sin * y, cos * y - sin * x


def _angles(n: int, rng: np.random.Generator) -> np.ndarray:
    return np.radians(rng.uniform(-MAX_ANGLE_DEGREES, MAX_ANGLE_DEGREES, n)).astype(np.float32)


def _masks(shape: np.ndarray, tables: np.ndarray, settings: TrifeatureSettings, rng: np.random.Generator) -> np.ndarray:
    """Coverage of each pixel by its shape, 0 to 1, float32 [n, S, S]; the border is anti-aliased over one pixel."""
    n, side = len(shape), settings.image_size
    half = (rng.uniform(settings.size_min, settings.size_max, n) * side / 2).astype(np.float32)  # half template, pixels
    room = np.maximum(side / 2 - half * 1.2, 0)  # keeps most of a turned template inside the canvas
    centre = side / 2 + rng.uniform(-1, 1, (2, n)).astype(np.float32) * room
    axis = np.arange(side, dtype=np.float32) + 0.5
    x, y = axis[None, None, :] - centre[0][:, None, None], axis[None, :, None] - centre[1][:, None, None]
    x, y = _turned(_angles(n, rng), x, y)
    scale = (_GRID / (2 * _REACH)) / half[:, None, None]
    column = np.clip(x * scale + _GRID / 2, 0, _GRID - 1).astype(np.int32)
    row = np.clip(y * scale + _GRID / 2, 0, _GRID - 1).astype(np.int32)
    distance = tables[shape[:, None, None], row, column] * half[:, None, None]  # pixels
    return np.clip(0.5 - distance, 0, 1)


def _textures(texture: np.ndarray, settings: TrifeatureSettings, rng: np.random.Generator) -> np.ndarray:
    """Texture value of each pixel, 0 or 1, float32 [n, S, S]."""
    n, side = len(texture), settings.image_size
    axis = np.arange(side, dtype=np.float32) / (settings.texture_period * side)
    u, v = _turned(_angles(n, rng), axis[None, None, :], axis[None, :, None])
    shift = rng.uniform(0, 8, (2, n)).astype(np.float32)
    u, v = u + shift[0][:, None, None], v + shift[1][:, None, None]
    value = np.empty((n, side, side), np.float32)
    for index, draw in enumerate(TEXTURES.values()):
        chosen = np.flatnonzero(texture == index)
        value[chosen] = draw(u[chosen], v[chosen])
    return value


def load(settings: TrifeatureSettings, seed: int, log: Log) -> Examples:
    """Examples rendered for a seed: training rows skewed, other splits balanced; images come from the cache."""
    sizes = {name: getattr(settings, f"{name}_rows") for name in SPLITS}
    rows = {
        name: factors(n, settings.skew if name == "train" else 0.5, generator(seed, "trifeature", name))
        for name, n in sizes.items()
    }
    every = np.concatenate(list(rows.values()))
    starts = np.cumsum([0, *sizes.values()])
    fields = ("image_size", "skew", "noise", "size_min", "size_max", "texture_period", "texture_contrast")
    key = digest([RENDERER, seed, sizes, {name: getattr(settings, name) for name in fields}])[:24]
    blocks = render(every, settings, generator(seed, "trifeature", "render"))
    return Examples(
        content=key,
        images=cached_images(f"trifeature-{key}", len(every), settings.image_size, blocks, log),
        labels=every[:, 0],
        groups=every[:, 2] // (len(COLOURS) // len(FAMILIES)),
        ids=np.array([f"{name}-{index:06d}" for name, n in sizes.items() for index in range(n)]),
        class_names=tuple(SHAPES),
        group_names=FAMILIES,
        rows={name: np.arange(start, start + n) for (name, n), start in zip(sizes.items(), starts, strict=False)},
        about={"name": "trifeature", "source": f"rendered, seed {seed}", "terms": "none", "skew": settings.skew},
    )
