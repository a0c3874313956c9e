"""A recipe: every setting of a run, validated; TOML in, TOML out.

A recipe is frozen. Its hash is written into the report, so a setting changed after the run is visible.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import tomli_w
from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from edgefair import __version__
from edgefair.errors import RecipeError, nearest
from edgefair.files import digest
from edgefair.recipe.base import Section
from edgefair.recipe.choice import Choice
from edgefair.recipe.data import DATA, AnyData, TrifeatureSettings, without_groups
from edgefair.recipe.deployment import DeploySettings, ExportSettings, QuantizeSettings
from edgefair.recipe.evaluation import BenchSettings, GateSettings
from edgefair.recipe.families import fitting as fitting_rate
from edgefair.recipe.losses import LOSS, AnyLoss, RkdSettings
from edgefair.recipe.named_recipes import locate, names
from edgefair.recipe.strategies import STRATEGY, AdversarialSettings, AnyStrategy, EstimateSettings
from edgefair.recipe.training import StudentSettings, TeacherSettings, TrainSettings

if sys.version_info >= (3, 11):
    import tomllib
else:  # a Jetson with JetPack 6, whose TensorRT comes for its own Python
    import tomli as tomllib

WRITTEN_BY = "# written by edgefair "  # how the first line of a recipe in TOML begins; 0.1 wrote none


class Recipe(Section):
    """A whole run."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Every random choice comes from a generator named after this seed and its purpose."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where networks are trained."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """Threads of the CPU that train and predict, 0 for what torch takes; weights depend on it in their last bits."""
    data: AnyData = TrifeatureSettings()
    """Which images, what is asked of them, and how they fall into the five lists."""
    teacher: TeacherSettings = TeacherSettings()
    student: StudentSettings = StudentSettings()
    loss: AnyLoss = RkdSettings()
    """What the student learns from the teacher."""
    strategy: AnyStrategy = AdversarialSettings(estimate="batch")
    """How one training step keeps the student fair."""
    train: TrainSettings = TrainSettings()
    export: ExportSettings = ExportSettings()
    deploy: DeploySettings = DeploySettings()
    quantize: QuantizeSettings = QuantizeSettings()
    gate: GateSettings = GateSettings()
    bench: BenchSettings = BenchSettings()

    @model_validator(mode="before")
    @classmethod
    def _fitting_defaults(cls, values: Any) -> Any:
        """What is not given follows the data and the device, names of loss, strategy and data set among it.

        Photographs are fewer and harder than rendered shapes: augmented, seen more often, in gentler steps that fit the
        network, by soft targets and a constraint on the recalls, which is what helped there. On rendered shapes the
        published estimates see far more than noise and stay. A GPU trains in bf16. Where there are no groups, there is
        nothing to debias: the strategy is plain.
        """
        if not isinstance(values, dict):
            return values
        data = values.get("data", {})
        data = data if isinstance(data, dict) else {}
        training: dict[str, Any] = {}
        rates: dict[str, dict[str, Any]] = {"teacher": {}, "train": {}}
        rendered = data.get("name", "trifeature") == "trifeature"
        if not rendered:
            training |= {"augment": "crop-flip", "optimizer": "adamw", "epochs": 15}
            teacher, student, train = (_section_of(values, name) for name in ("teacher", "student", "train"))
            rates["teacher"] = fitting_rate(teacher, TeacherSettings.model_fields["spec"].default, teacher)
            rates["train"] = fitting_rate(student, StudentSettings.model_fields["spec"].default, train)
        if values.get("device", "cpu") != "cpu":
            training["precision"] = "bf16"
        usual = "plain" if without_groups(data) else "adversarial" if rendered else "lagrangian"
        strategy: dict[str, Any] = {"name": usual}
        chosen = STRATEGY.classes.get(str(_section_of(values, "strategy").get("name", usual)))
        if rendered and chosen is not None and issubclass(chosen, EstimateSettings):
            strategy["estimate"] = "batch"
        fitting: dict[str, Any] = {name: training | rate for name, rate in rates.items()} | {"strategy": strategy}
        fitting |= {"data": {"name": "trifeature"}, "loss": {"name": "rkd" if rendered else "ckd"}}
        given = {name: values.get(name, {}) for name in fitting}
        return {**values, **{k: {**fitting[k], **v} if isinstance(v, dict) else v for k, v in given.items()}}

    def to_toml(self) -> str:
        """The recipe as TOML text, every field written out, below the version; `parse` reads back an equal recipe."""
        values = tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
        return f"{WRITTEN_BY}{__version__}\n{values}"

    @property
    def hash(self) -> str:
        """SHA-256 of the recipe's canonical form."""
        return digest(self.model_dump(mode="json"))


CHOICES: dict[str, Choice] = {"data": DATA, "loss": LOSS, "strategy": STRATEGY}
"""The sections whose settings depend on their name."""


def parse(values: dict[str, Any]) -> Recipe:
    """Build a recipe from nested values; raises RecipeError that names the field, its value and what is allowed."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError("\n".join(_explain(problem) for problem in error.errors())) from None


def read(path: str | Path) -> dict[str, Any]:
    """The nested values of a TOML file, or of the package's recipe of that name.

    Raises RecipeError where there is neither, or the file is not TOML.
    """
    file = locate(path)
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        if not file.exists() and file.name == str(path) and not file.suffix:  # meant as a name
            raise RecipeError(
                f"no recipe '{path}': there is no such file, and the package has no recipe of that name; "
                f"{nearest(str(path), names())} edgefair recipe --list describes them."
            ) from None
        raise RecipeError(
            f"cannot read the recipe {path}: {error.strerror}. Give a TOML file, or a name that edgefair recipe --list "
            "shows; edgefair recipe prints a file."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not a TOML file: {error}.") from None
    return values


def assign(values: dict[str, Any], dotted: str, value: Any) -> None:
    """Set `section.field` in nested values, in place."""
    *sections, name = dotted.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise RecipeError(f"'{dotted}': '{section}' is a setting, not a section of the recipe.")
    values[name] = value


def assignment(text: str) -> tuple[str, Any]:
    """Split `train.epochs=5` into a name and a TOML value; text that is no TOML value stands for itself."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise RecipeError(f"--set '{text}' is not of the form section.field=value, such as train.epochs=5.")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def _explain(problem: ErrorDetails) -> str:
    """One error in the words of a recipe: the setting, what is allowed, the value."""
    location = [str(part) for part in problem["loc"]]
    depth = 2 if location[:2] == ["teacher", "strategy"] else 1  # how many words name the section
    choice = CHOICES.get(location[depth - 1]) if location else None
    chosen = location.pop(depth) if choice and len(location) > depth else ""  # pydantic puts the name after the section
    name = ".".join(location) or "recipe"
    if choice and problem["type"] == "union_tag_invalid":
        return choice.unknown_name(problem["input"]["name"]) + (" Or give a path." if name == "data" else "")
    if choice and problem["type"] == "extra_forbidden":
        return choice.unknown_setting(name, chosen)
    if problem["type"] == "extra_forbidden":
        return f"'{name}' is not a setting: {nearest(location[-1], _section(location[:-1]).model_fields)}"
    # Pydantic's message says what is allowed; the value and the name are ours.
    value = problem["input"]
    given = "" if isinstance(value, dict) else f" (given: {value!r})"
    label = "--lambda (strategy.lam)" if name == "strategy.lam" else name
    said = _PLAINLY.get(problem["type"], "").format(**problem.get("ctx", {})) or problem["msg"]
    said = said.removeprefix("Value error, ")
    said = f"needed is {said.removeprefix(_SHOULD)}" if said.startswith(_SHOULD) else said
    return f"{label}: {said}{given}"


def _section_of(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The nested values of a section; none where something else stands there, which validation refuses."""
    part = values.get(name, {})
    return part if isinstance(part, dict) else {}


_SHOULD = "Input should be "

# What Pydantic says in terms of Python, in those of a recipe; in braces what Pydantic calls the limit.
_PLAINLY = dict.fromkeys(("tuple_type", "list_type"), 'a list is needed, such as [0.3, 0.6] or ["a", "b"]')
_PLAINLY |= dict.fromkeys(("bool_type", "bool_parsing"), "true or false is needed")
_PLAINLY |= dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number is needed")
_PLAINLY |= dict.fromkeys(("float_type", "float_parsing"), "a number is needed")
_PLAINLY |= dict.fromkeys(("string_type",), "a text is needed")
_PLAINLY |= dict.fromkeys(
    ("model_type", "model_attributes_type"), "a section of settings is needed, as in train.epochs=3"
)
_PLAINLY |= {
    "greater_than_equal": "a number of at least {ge:.15g} is needed",
    "greater_than": "a number above {gt:.15g} is needed",
    "less_than_equal": "a number of at most {le:.15g} is needed",
    "less_than": "a number below {lt:.15g} is needed",
    "finite_number": "a finite number is needed",
}


def _section(location: list[str]) -> type[Section]:
    section: type[Section] = Recipe
    for part in location:
        section = cast("type[Section]", section.model_fields[part].annotation)
    return section
