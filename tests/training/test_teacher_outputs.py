"""Students of one teacher share its outputs in a process; those of another, or of other rows, are computed."""

from dataclasses import replace

import torch

from edgefair.data import load_examples
from edgefair.log import Log
from edgefair.models import create
from edgefair.training import teacher as module
from edgefair.training.teacher import TeacherSource
from tests.helpers.recipes import tiny


def test_outputs_are_computed_once_for_equal_teachers_and_rows(monkeypatch):
    recipe, computed = tiny(data__train_rows=40), []
    examples = load_examples(recipe.data, 0, Log(quiet=True))
    monkeypatch.setattr(module, "_recent", {})
    real = module.outputs
    monkeypatch.setattr(module, "outputs", lambda *given: computed.append(1) or real(*given))

    def of(seed=0, examples=examples, **train):
        model = create("cifar:resnet8", 10, seed).eval()
        settings = recipe.train.model_copy(update=train)
        return TeacherSource(model, examples, settings, torch.device("cpu")).outputs.logits

    first = of()
    assert of() is first
    assert len(computed) == 1
    fewer = replace(examples, rows={**examples.rows, "train": examples.rows["train"][:30]})
    assert len(of(examples=fewer)) == 30
    assert of(seed=1) is not first
    assert of(batch_size=20) is not first
    assert len(computed) == 4
    assert of() is not first  # the oldest was let go
    torch.testing.assert_close(of(), first, rtol=0, atol=0)
    other = replace(examples, images=examples.images.copy())
    assert of(examples=other) is not of()


def test_what_is_too_large_is_not_kept(monkeypatch):
    recipe = tiny(data__train_rows=40)
    examples = load_examples(recipe.data, 0, Log(quiet=True))
    monkeypatch.setattr(module, "_recent", {})
    monkeypatch.setattr(module, "MOST_KEPT", 10)
    source = TeacherSource(create("cifar:resnet8", 10, 0).eval(), examples, recipe.train, torch.device("cpu"))
    assert source.outputs is source.outputs
    assert module._recent == {}
