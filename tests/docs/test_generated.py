"""Pages made from the code and the records leave nothing out."""

import json

import pytest
import python_names
import recipe_fields
import results
from pydantic import Field
from result_tables import TABLES

from edgefair.recipe import Recipe


@pytest.mark.parametrize("path", sorted(results.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_record_says_what_it_claims_and_where_it_was_measured(path):
    text, record = results.page(path), json.loads(path.read_text())
    script = results.script_of(path.stem)
    assert f"`benchmarks/{script.name}`" in text
    for fact in (record["date"], record["machine"]["processor"], f"edgefair {record['versions']['edgefair']}"):
        assert fact in text
    assert "claims" not in record or "**Claims**" in text


@pytest.mark.parametrize("path", sorted(results.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_no_table_of_a_record_is_empty(path):
    """A path that leads nowhere would give rows without figures."""
    record = json.loads(path.read_text())
    for table in TABLES.get(path.stem, results.whole(record)):
        rows = results.render(record, table).splitlines()[2:]
        assert rows
        for column in zip(*(row.split(" | ")[1:] for row in rows), strict=True):
            assert set(column) - {"–", "– |"}, (table.title, rows)


def test_every_table_belongs_to_a_record():
    assert set(TABLES) <= {path.stem for path in results.RESULTS.glob("*.json")}


def test_a_record_that_nobody_described_is_shown_whole(tmp_path):
    record = json.loads((results.RESULTS / "main-job.json").read_text())
    record |= {"kinds": {"one": {"speed_ms": {"median": 3.14159, "min": 3, "max": 4}}}, "free": 1.25}
    path = tmp_path / "main-job-other.json"
    path.write_text(json.dumps(record))
    text = results.page(path)
    assert "| one | 3.14 (3 to 4) |" in text
    assert "| free | 1.25 |" in text


def test_a_record_without_a_script_is_an_error(tmp_path):
    with pytest.raises(LookupError, match="no script"):
        results.script_of("unheard-of")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("accuracy", {"mean": 97.96875, "std": 0.1856, "n": 2}, "98.0 ± 0.2"),
        ("accuracy", {"mean": 38.16, "std": None, "n": 1}, "38.2"),
        ("speed", {"median": 0.9117, "min": 0.85, "max": 0.9192, "n": 5}, "0.91 (0.85 to 0.92)"),
        ("p50", {"ratio": 1.829, "interval": [1.707, 1.957], "word": "faster"}, "1.83 (1.71 to 1.96); faster"),
        ("bytes", 317457, "317"),
        ("calls", 15763, "15,763"),
        ("disparity_change", -0.009, "0.0"),
        ("verdict", None, "–"),
        ("met", False, "no"),
    ],
)
def test_how_figures_are_shown(name, value, shown):
    assert results.cell(name, value) == shown


def test_every_field_of_the_recipe_has_a_row_with_its_meaning():
    text = recipe_fields.markdown()
    for section in Recipe.model_fields.values():
        for model in recipe_fields.models(section.annotation):
            for name, field in model.model_fields.items():
                assert f"`{name}`" in text
                assert name == "name" or recipe_fields.escape(" ".join(field.description.split())) in text


def test_settings_that_depend_on_a_name_stand_under_that_name():
    from typing import Annotated, Literal

    from edgefair.recipe.base import Section

    class One(Section):
        """The first."""

        name: Literal["one"] = "one"
        weight: Annotated[float, Field(ge=0, le=1)] = 0.5
        """Of the term."""
        both: int = 1
        """Shared."""

    class Two(Section):
        """The second."""

        name: Literal["two"] = "two"
        both: int = 1
        """Shared."""

    text = "\n".join(recipe_fields.choice("loss", recipe_fields.models(One | Two), One()))
    assert "`one` where it is not given" in text
    assert "- `two`: The second." in text
    assert "| `weight` | number, 0 to 1 | `0.5` | Of the term. |" in text[text.index("### [loss] of one") :]
    assert text.index("### [loss] of every name") < text.index("| `both` |") < text.index("### [loss] of one")
    assert text.count("| `both` |") == 1


def test_every_public_name_is_in_the_python_reference():
    text = python_names.markdown()
    for module, names in python_names.promised().items():
        assert f"## {module}\n" in text
        for name in names:
            assert any(f".. {kind}:: {name}\n" in text for kind in ("autofunction", "autoclass", "py:data"))
