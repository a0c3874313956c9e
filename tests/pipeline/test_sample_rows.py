"""Which gate rows the report shows, and what it says of those that flipped."""

import base64
import io

import numpy as np
from PIL import Image

from edgefair.data import SPLITS, Examples
from edgefair.pipeline.sample_rows import sample_rows, take_turns
from edgefair.predictions import Predictions
from edgefair.report.gallery import gallery
from edgefair.runtimes.artefact import Artefact


def test_pictures_are_taken_from_every_step_and_group_in_turn():
    groups = np.array([0, 0, 0, 0, 1, 1])
    student = np.array(["other", "lost", "won", "lost", "lost", ""])
    engine = np.array(["", "", "", "", "", "won"])
    assert take_turns([student, engine], groups, 4) == [5, 1, 4, 3]
    assert sorted(take_turns([student, engine], groups, 99)) == [0, 1, 2, 3, 4, 5]


def test_flips_along_the_path_have_their_pictures(tmp_path):
    lists = {name: np.array([at]) for at, name in enumerate(SPLITS[:4])} | {"gate": np.array([4, 5, 6])}
    images = np.broadcast_to(np.arange(7, dtype=np.uint8)[:, None, None, None], (7, 3, 4, 4))
    examples = Examples(
        images=images,
        ids=np.array(list("abcdefg")),
        labels=np.array([0, 0, 0, 0, 0, 1, 2]),
        groups=np.array([0, 0, 0, 0, 0, 1, -1]),
        class_names=("x", "y", "z"),
        group_names=("g", "h"),
        rows=lists,
        about={},
    )

    def predicted(*classes) -> Predictions:
        columns = examples.columns(examples.rows["gate"])
        return Predictions(**columns, logits=np.eye(3, dtype=np.float32)[list(classes)])

    names = {"teacher": "", "student": "teacher", "int8": "student", "null": ""}
    artefacts = [
        Artefact(name, tmp_path, "null" if name == "null" else "ort", "fp32", "", of) for name, of in names.items()
    ]
    predictions = {"teacher": predicted(0, 1, 0), "student": predicted(0, 0, 1), "int8": predicted(0, 1, 1)}
    samples = sample_rows(artefacts, predictions, examples)
    assert samples["path"] == ["teacher", "student", "int8"]
    flips = {flip["id"]: flip for flip in samples["flips"]}
    assert flips["f"]["kinds"] == {"student": "lost", "int8": "won"}
    assert flips["g"] == {
        "row": 6, "id": "g", "true": "z", "group": "unknown", "said": ["x", "y", "y"], "kinds": {"student": "other"},
    }  # fmt: skip
    assert {(cell["class"], cell["group"]): cell["rows"] for cell in samples["cells"]}["y", "h"] == [5]

    drawn = gallery(samples, images)
    url = next(flip for flip in drawn["flips"] if flip["id"] == "g")["image"]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))
    assert (picture == 6).all()
