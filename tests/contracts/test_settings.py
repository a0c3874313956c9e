"""Tables of losses, strategies and data sets on one side, their settings in the recipe on the other: they agree."""

import inspect
import re

import pytest

from edgefair.data import DATASETS
from edgefair.losses import LOSSES
from edgefair.losses import base as losses_base
from edgefair.recipe import DATA, LOSS, STRATEGY
from edgefair.strategies import STRATEGIES
from edgefair.strategies import base as strategies_base

TABLES = {"loss": (LOSSES, LOSS, losses_base), "strategy": (STRATEGIES, STRATEGY, strategies_base)}


def test_every_data_set_has_its_settings_and_every_settings_their_data_set():
    assert set(DATASETS) == set(DATA.classes)


@pytest.mark.parametrize("kind", TABLES)
def test_every_name_has_its_settings_and_every_settings_their_name(kind):
    table, choice, _ = TABLES[kind]
    assert {name: one.settings_class for name, one in table.items()} == choice.classes
    for name, settings in choice.classes.items():
        assert settings().name == name


@pytest.mark.parametrize("kind", TABLES)
def test_every_setting_is_read_by_who_has_it(kind):
    table, choice, base = TABLES[kind]
    for name, settings in choice.classes.items():
        text = inspect.getsource(inspect.getmodule(table[name])) + inspect.getsource(base)
        unread = [field for field in settings.model_fields if not re.search(rf"settings\.{field}\b", text)]
        assert [field for field in unread if field not in ("name", "lam" if name == "plain" else "")] == []
