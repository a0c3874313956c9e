"""A JSON file as it should not be: edited by hand, cut off, of another version, of another program."""

import copy
import json
import random
from collections.abc import Iterator

WRONG = (
    None,
    True,
    -1,
    5,
    0.5,
    10**40,
    float("nan"),
    float("inf"),
    "",
    "text",
    "nul\0",
    "../x",
    [],
    [[]],
    {},
    {"a": 1},
)


def edits(value, count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """(what was done, content) of so many edited files; the same for the same seed."""
    rng = random.Random(seed)
    whole = json.dumps(value).encode()
    fixed = [
        ("empty", b""),
        ("not UTF-8", b"\xff\xfe" + whole),
        ("a list around it", json.dumps([value]).encode()),
        ("deeply nested", b"[" * 100_000),
        ("another schema", json.dumps({**value, "schema": 99} if isinstance(value, dict) else {"schema": 99}).encode()),
        ("a text as schema", json.dumps({**value, "schema": "1"} if isinstance(value, dict) else "1").encode()),
    ]
    yield from fixed[:count]
    for _ in range(count - len(fixed)):
        if rng.random() < 0.05:
            cut = rng.randrange(len(whole))
            yield f"cut off after {cut} bytes", whole[:cut]
        else:
            edited = copy.deepcopy(value)
            done = _edit(edited, rng)
            yield done, json.dumps(edited).encode()


def _edit(value, rng: random.Random) -> str:
    """Edit one place of nested values, in place."""
    spots = list(_spots(value, ()))
    path, parent, key = rng.choice(spots)
    kind = rng.choice(("delete", "replace", "replace", "replace", "swap", "rename", "add"))
    if kind == "delete":
        del parent[key]
    elif kind == "swap":
        other, their_parent, their_key = rng.choice(spots)
        mine, theirs = copy.deepcopy(parent[key]), copy.deepcopy(their_parent[their_key])
        parent[key] = theirs
        if path != other[: len(path)] and other != path[: len(other)]:  # neither holds the other
            their_parent[their_key] = mine
        return f"swap {path} and {other}"
    elif kind == "rename" and isinstance(parent, dict):
        parent[f"{key}x"] = parent.pop(key)
    elif kind == "add" and isinstance(parent[key], dict | list):
        wrong = rng.choice(WRONG)
        parent[key].append(wrong) if isinstance(parent[key], list) else parent[key].update(unknown=wrong)
    else:
        parent[key] = rng.choice(WRONG)
        return f"replace {path} by {parent[key]!r}"
    return f"{kind} {path}"


def _spots(value, path: tuple) -> Iterator[tuple]:
    """(path, parent, key) of every place below `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key), value, key
        yield from _spots(item, (*path, key))
