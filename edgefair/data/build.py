"""Data sets made of image files: decode all, sort into the five splits, keep identities together."""

import numpy as np

from edgefair.data.cache.build import prepared
from edgefair.data.dataset import Examples
from edgefair.data.listing import Entry, Listing
from edgefair.data.skew import skewed
from edgefair.data.splits import split
from edgefair.errors import DataError, RecipeError, nearest
from edgefair.log import Log
from edgefair.recipe.data_base import ImageFileSettings
from edgefair.seeds import generator

_NAMED = 20  # so many of the rows that were left out are named in a report


def build(listing: Listing, settings: ImageFileSettings, seed: int, log: Log) -> Examples:
    """Examples of the image files of a listing, split by the settings and `seed`; progress goes to `log`.

    Raises DataError for unreadable files, undeclared labels or groups, or an empty split.
    """
    class_names, group_names, entries = checked(listing, settings, seed)
    entries, lost = present(entries)
    if lost and not settings.skip_broken:
        raise DataError(
            f"{lost[0]} ({len(lost)} such rows). Correct the path, or go on without such rows with --skip-broken."
        )
    images, broken, content = prepared(entries, settings.image_size, settings.skip_broken, log)
    lost += [f"{entries[at].where}: {why}" for at, why in sorted(broken.items())]
    if lost:
        log.line(f"left out {len(lost)} unreadable images, first: {lost[0]}")
        entries = [entry for at, entry in enumerate(entries) if at not in broken]
    labels, groups = indices(entries, class_names, group_names)
    rows, about = dealt(listing, entries, (labels, groups), (class_names, group_names), settings, seed)
    return Examples(
        images=images,
        content=content,
        labels=labels,
        groups=groups,
        ids=np.array([e.id for e in entries]),
        class_names=class_names,
        group_names=group_names,
        rows=rows,
        about={**about, "broken_images": len(lost), "broken_examples": lost[:_NAMED]},
        identities=np.array([e.identity for e in entries]) if any(e.identity for e in entries) else None,
        soft_groups=_soft_groups(entries),
    )


def checked(
    listing: Listing, settings: ImageFileSettings, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...], list[Entry]]:
    """Class names, group names and the entries to use, none of which has an undeclared label or group."""
    entries = listing.entries
    if not entries:
        raise DataError(
            f"{listing.about['source']} names no images; at least a few for every class, group and split are needed."
        )
    _check_ids(entries)
    for field, given, own in (
        ("classes", settings.classes, listing.class_names),
        ("groups", settings.groups, listing.group_names),
    ):
        if given and own and tuple(given) != tuple(own):
            raise RecipeError(
                f"data.{field} is {', '.join(given)}, but {listing.about['name']} has names of its own: "
                f"{', '.join(own[:9])}. Leave it out."
            )
    class_names = _names("class", listing.class_names, entries)
    if not listing.class_names and len(entries) > 20 and 2 * len(class_names) > len(entries):
        raise DataError(
            f"data.task '{settings.task}' has {len(class_names):,} values in {len(entries):,} rows: it names images "
            "rather than classes. Give the attribute that is to be predicted (--task)."
        )
    group_names = _names("group", listing.group_names, entries)
    return class_names, group_names, fewer(entries, settings.max_rows, seed, listing.about["name"])


def _check_ids(entries: list[Entry]) -> None:
    first: dict[str, Entry] = {}
    for entry in entries:
        if (earlier := first.setdefault(entry.id, entry)) is not entry:
            raise DataError(f"{entry.where}: id '{entry.id}' repeats the one at {earlier.where}; ids must be unique.")


def indices(
    entries: list[Entry], class_names: tuple[str, ...], group_names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups of the entries as int64 [N] indices into the names; -1 is an unknown group."""
    class_of = {name: at for at, name in enumerate(class_names)}
    group_of = {name: at for at, name in enumerate(group_names)} | {"": -1}
    labels = np.array([class_of[e.label] for e in entries], np.int64)
    return labels, np.array([group_of[e.group] for e in entries], np.int64)


def dealt(
    listing: Listing,
    entries: list[Entry],
    columns: tuple[np.ndarray, np.ndarray],
    names: tuple[tuple[str, ...], tuple[str, ...]],
    settings: ImageFileSettings,
    seed: int,
) -> tuple[dict[str, np.ndarray], dict]:
    """The five splits, training rows with `data.skew`, and what a report says of the data and of rows left out.

    entries: those of the listing that are used. columns: their labels and groups. names: of classes and groups.
    """
    labels, groups = columns
    rows = split(entries, labels, groups, settings, seed)
    drawn = skewed(rows["train"], entries, labels, groups, names, settings.skew, seed)
    reasons = {**listing.left_out, **drawn.left_out}
    lost = {why: {"rows": len(ids), "examples": ids[:_NAMED]} for why, ids in reasons.items() if ids}
    about = {**listing.about, **drawn.about, **({"left_out": lost} if lost else {})}
    return {**rows, "train": drawn.rows}, about


def fewer(entries: list[Entry], most: int, seed: int, purpose: str) -> list[Entry]:
    """At most `most` entries of every split that is named, drawn by `seed` and `purpose` (a name); 0 means all."""
    if not most:
        return entries
    declared_split = np.array([entry.split for entry in entries])
    chosen = []
    for name in sorted(set(declared_split.tolist())):
        rows = np.flatnonzero(declared_split == name)
        chosen += rows[generator(seed, purpose, name or "train").permutation(len(rows))[:most]].tolist()
    return [entries[row] for row in sorted(chosen)]


def _soft_groups(entries: list[Entry]) -> np.ndarray | None:
    values = np.array([e.soft_group for e in entries], np.float32)
    return None if np.isnan(values).all() else values


def _names(what: str, declared: tuple[str, ...], entries: list[Entry]) -> tuple[str, ...]:
    value_of = (lambda entry: entry.label) if what == "class" else (lambda entry: entry.group)
    if declared:
        known = {*declared, *([""] if what == "group" else [])}
        wrong = next((entry for entry in entries if value_of(entry) not in known), None)
        if wrong is not None:
            value = value_of(wrong)
            raise DataError(f"{wrong.where}: {what} '{value}' is not declared; {nearest(value, declared)}")
        return tuple(declared)
    names = _in_order({value_of(entry) for entry in entries} - {""})
    if len(names) < 2:
        raise DataError(
            f"only {len(names)} {what}{'' if len(names) == 1 else 's'} found ({', '.join(names) or 'none'}); "
            f"two or more are needed to train a classifier and compare groups."
        )
    return names


def _in_order(names: set[str]) -> tuple[str, ...]:
    """Sorted as text, or as numbers where all are numbers: class 2 comes before class 10."""
    return tuple(sorted(names, key=int if all(name.isdecimal() for name in names) else None))


def present(entries: list[Entry]) -> tuple[list[Entry], list[str]]:
    """The entries whose file is there, and a message for each of the others; broken content shows later."""
    missing = {at for at, entry in enumerate(entries) if entry.image.missing()}
    kept = [entry for at, entry in enumerate(entries) if at not in missing] if missing else entries
    return kept, [f"{entries[at].where}: there is no image {entries[at].image}" for at in sorted(missing)]
