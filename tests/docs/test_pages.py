"""What the documents tell to type exists: each command line parses, and each Python block runs."""

import re
import shutil

import click
import numpy as np
import pytest
import recipe_fields

import edgefair
from edgefair.cli import cli
from edgefair.predictions import Predictions
from edgefair.recipe import Recipe

from ..fairness_regression.conftest import ENGINES
from ..helpers.pages import FENCE, PAGES, ROOT, blocks, commands, words

READ = [page for page in PAGES if page.parent.name != "extending"]  # test_extending.py runs those in a changed copy
pages = pytest.mark.parametrize("page", READ, ids=lambda page: str(page.relative_to(ROOT)))


def problem(command: str) -> str:
    """What is wrong with a command line: an unknown command, option, choice or setting; "" where nothing is."""
    name, *rest = words(command) or [""]
    if name in ("--help", "--version"):
        return ""
    if name not in cli.commands:
        return f"no command {name!r}"
    parser = cli.commands[name]
    if isinstance(parser, click.Group) and rest and rest[0] in parser.commands:
        parser, rest = parser.commands[rest[0]], rest[1:]
    options = {flag: option for option in parser.params for flag in (*option.opts, *option.secondary_opts)}
    for at, word in enumerate(rest):
        flag, _, value = word.partition("=")
        if not word.startswith("-") or flag in ("--help", "-h", "--version"):
            continue
        if flag not in options:
            return f"{name} has no option {flag}"
        value = value or (rest[at + 1] if at + 1 < len(rest) else "")
        if wrong := wrong_value(options[flag], value):
            return f"{name} {flag}: {wrong}"
    return ""


def wrong_value(option: click.Option, value: str) -> str:
    """Why an option would not take a value; words in capitals stand for something, and are taken."""
    if isinstance(option.type, click.Choice):
        unknown = [word for word in value.split("|") if word not in option.type.choices and not word.isupper()]
        return f"{unknown[0]!r} is none of {', '.join(option.type.choices)}" if unknown else ""
    if "--set" in option.opts and value.partition("=")[0] not in settings() and not value.isupper():
        return f"no setting {value.partition('=')[0]!r}"
    return ""


def settings() -> set[str]:
    """All names for --set."""
    found = set(Recipe.model_fields)
    for section, field in Recipe.model_fields.items():
        found |= {
            f"{section}.{name}" for model in recipe_fields.models(field.annotation) for name in model.model_fields
        }
    return found


@pages
def test_every_command_line_parses(page):
    found = {command: problem(command) for command in commands(page.read_text())}
    assert {command: wrong for command, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("```sh\nedgefair verify A B [--max-flips 3]  # a comment --with-words\n```", ""),
        ("    .venv/bin/edgefair distill-and-export --set train.epochs=3 --lambda 0.5 && echo done --now", ""),
        ("`edgefair data info ~/celeba --check`", ""),
        ("`edgefair verfy A B`", "no command 'verfy'"),
        ("`edgefair verify A B --max-flip 3`", "no option --max-flip"),
        ("`edgefair bench X --scenario=server`", "'server' is none of"),
        ("`edgefair distill-and-export --set train.epoch=3`", "no setting 'train.epoch'"),
    ],
)
def test_what_is_wrong_with_a_command_line(line, wrong):
    (command,) = commands(line)
    assert wrong in problem(command)
    assert bool(wrong) == bool(problem(command))


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with what the examples of the documents read: engines, images and predictions under their names."""
    for name, engine in (("student.onnx", "student.onnx"), ("int8.onnx", "other-seed.onnx")):
        shutil.copy(ENGINES / engine, tmp_path / name)
    random = np.random.default_rng(0)
    np.save(tmp_path / "calibration.npy", random.integers(0, 256, (40, 3, 32, 32), np.uint8))
    folder = tmp_path / "runs" / "NAME" / "predictions"
    folder.mkdir(parents=True)
    labels, groups = np.arange(400) % 2, np.arange(400) // 2 % 2
    for name in ("student", "ort-cpu-int8"):
        logits = random.normal(size=(400, 2)).astype(np.float32)
        rows = Predictions(np.arange(400).astype(str), labels, groups, logits, ("a", "b"), ("c", "d"))
        rows.save(folder / f"{name}.npz")
    monkeypatch.chdir(tmp_path)


@pages
def test_every_python_block_runs(page, workplace):
    """In the order of the page, in one namespace; `<!-- not run: REASON -->` above a block leaves it out."""
    namespace: dict = {"__name__": "page"}
    for block in blocks(page.read_text(), "python"):
        if not block.not_run:
            exec(compile("\n" * block.line + block.text, str(page), "exec"), namespace)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_of_the_pages_outside_the_site_lead_somewhere(name):
    """Sphinx looks after the links of the site itself."""
    text = FENCE.sub("", (ROOT / name).read_text())
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text)]
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


def test_the_versions_agree():
    assert f"\nversion: {edgefair.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {edgefair.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 180
