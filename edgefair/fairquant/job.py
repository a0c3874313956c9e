"""A finished run quantised so that its groups stay whole: rank, choose, fine-tune if it must be, build, judge.

Everything lies in RUN/quantized/TARGET, a folder for each stage; the run's own files are only read. Ranking and
choosing see validation rows alone, and calibration sees the run's calibration rows. The gate rows are looked at once,
by what is built in the end.
"""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from edgefair.data import Examples
from edgefair.deploy import calibration_images
from edgefair.errors import RecipeError
from edgefair.fairquant.build import build_variants
from edgefair.fairquant.cost import latency_costs, size_costs
from edgefair.fairquant.rows import Rows, ranking_rows
from edgefair.fairquant.run import Ask, chosen_target, finished_recipe, opened
from edgefair.fairquant.search import Choice, choose, within
from edgefair.fairquant.sensitivity import Sensitivity, order, sensitivities
from edgefair.fairquant.simulate import OPTIMISED, Variants, run
from edgefair.fairquant.units import nodes_of, units
from edgefair.files import write_json
from edgefair.quantize import calibrate
from edgefair.recipe import Recipe
from edgefair.report.build import tolerance
from edgefair.runfolder import RunFolder
from edgefair.runtimes import runtime_class
from edgefair.targets import TARGETS

FEW = 600
"""Rows that rank; all of the ranking rows, up to 2,000, then decide."""


def quantize_run(folder: Path, ask: Ask, log) -> dict:
    """Do what `edgefair quantize` does in a run folder; returns the report as JSON values."""
    finished_recipe(folder)
    target = chosen_target(folder, ask.target)
    with opened(folder, log) as (run_folder, examples):
        work = Work(run_folder, examples, target, log)
        cost = _cost(work, ask)
        ranking = work.stage("ranking", work.made_from(), lambda at: _rank(work, at))
        asked = {"cost": cost, **{name: getattr(ask, name) for name in ("until_fair", "rank", "max_float")}}
        settings = (
            asked | {"gate": work.recipe.gate.model_dump(mode="json"), "data": work.data} | work.hashes("ranking")
        )
        made = work.stage("choice", settings, lambda at: _choose(work, ranking, asked, work.source, at))
        choices = {"group-aware": (work.source, _read(made / "choice.json"))}
        if ask.finetune_epochs and not choices["group-aware"][1]["holds"]:
            choices["fine-tuned"] = _finetuned(work, ranking, asked, settings, ask.finetune_epochs)
        elif ask.finetune_epochs:
            log.line("every tolerance holds on the ranking rows without fine-tuning; it is left out")
        files = work.hashes("ranking") | {name: choice for name, (_, choice) in choices.items()}
        files |= {
            "bench": work.recipe.bench.model_dump(mode="json"),
            "deploy": work.recipe.deploy.model_dump(mode="json"),
        }
        built = work.stage("built", settings | files, lambda at: build_variants(work, choices, at))
        return {
            "schema": 1,
            "kind": "edgefair-quantize",
            **asked,
            "simulated": work.blocked,
            "folder": str(built),
            **_read(ranking / "ranking.json"),
            **_read(built / "report.json"),
        }


@dataclass(frozen=True)
class Work:
    """A run that is quantised for a target, and what every stage needs of it."""

    run: RunFolder
    examples: Examples
    target: str
    log: object

    @property
    def recipe(self) -> Recipe:
        return self.run.recipe

    @property
    def dialect(self) -> str:
        return TARGETS[self.target].dialect

    @property
    def source(self) -> Path:
        """The student as an ONNX file in float."""
        return self.run.path / "artefacts" / "student.onnx"

    @property
    def blocked(self) -> str:
        """Why the target cannot run here; "" where it can."""
        return runtime_class(TARGETS[self.target].runtime).why_not_run()

    @property
    def data(self) -> str:
        return self.run.hashes("data")["data.json"]

    @cached_property
    def calibration(self):
        """(images, rows of a batch) that set the ranges: those of the run."""
        return calibration_images(self.recipe, self.examples)

    @cached_property
    def rows(self) -> Rows:
        """The ranking rows beside what the student's ONNX file says of them."""
        return ranking_rows(self.examples, lambda images: run(str(self.source), images, optimised=True))

    @cached_property
    def few(self) -> Rows:
        """Some of them: a ranking runs the rows once for every unit."""
        return self.rows.spread(FEW)

    def variants(self, source: Path) -> Variants:
        """Quantised forms of a file, with ranges from the calibration rows, which are kept beside what needs them."""
        cache = self.run.path / "quantized" / self.target / "ranking" if source == self.source else source.parent
        images, batch = self.calibration
        ranges = calibrate(source, images, self.recipe.quantize, batch, cache=cache)
        return Variants(source, self.dialect, self.recipe.quantize, ranges)

    def stage(self, name: str, made_from: dict, make) -> Path:
        return self.run.stage(f"quantized/{self.target}/{name}", made_from, make)

    def hashes(self, name: str) -> dict[str, str]:
        return {f"{name}/{file}": value for file, value in self.run.hashes(f"quantized/{self.target}/{name}").items()}

    def made_from(self) -> dict:
        """What the ranking depends on."""
        student = self.run.hashes("artefacts")[self.source.name]
        return {"student": student, "data": self.data, "quantize": self.recipe.quantize.model_dump(mode="json")}


def _cost(work: Work, ask: Ask) -> str:
    """What a unit in float is charged: latency where it can be measured, else size."""
    if ask.cost == "latency" and work.target not in OPTIMISED:
        raise RecipeError(
            f"the latency of single operators is known for {', '.join(OPTIMISED)} only, by ONNX Runtime's profile; "
            f"for the target '{work.target}' use --cost size."
        )
    return ask.cost or ("latency" if work.target in OPTIMISED and not work.blocked else "size")


def _rank(work: Work, folder: Path) -> None:
    """Write ranking.json: the units, what each one's quantisation does to every group, what each costs in float."""
    variants = work.variants(work.source)
    found = units(work.source, work.dialect, work.recipe.quantize)
    with work.log.progress("ranking operators", len(found)) as advance:
        before, ranked = sensitivities(lambda nodes: variants.logits(nodes, work.few.images), found, work.few, advance)
    costs = {"size": size_costs(variants, found)}
    if work.target in OPTIMISED:
        costs["latency"] = latency_costs(variants, found, work.calibration[0][:1])
    record = {
        "target": work.target,
        "dialect": work.dialect,
        "ranking_rows": len(work.few.labels),
        "choosing_rows": len(work.rows.labels),
        "group_names": list(work.rows.group_names),
        "before": asdict(before),
        "units": found,
        "sensitivities": [asdict(one) for one in ranked],
        "costs": costs,
    }
    write_json(folder / "ranking.json", record)


def _choose(work: Work, ranking: Path, asked: dict, source: Path, folder: Path) -> None:
    """Write choice.json: the units of `source` that stay in float."""
    record = _read(ranking / "ranking.json")
    found, costs = record["units"], record["costs"][asked["cost"]]
    sensitive = [Sensitivity(**one) for one in record["sensitivities"]]
    ranked = order(Sensitivity(**record["before"]), sensitive, asked["rank"], costs)
    variants = work.variants(source)
    limits = tolerance(work.recipe.gate, "same")
    every = set(nodes_of(found, found))

    def holds(kept: tuple[str, ...]) -> bool:
        return within(work.rows, variants.logits(every - set(nodes_of(found, kept)), work.rows.images), limits)

    if asked["until_fair"]:
        choice = choose(ranked, costs, holds, asked["max_float"])
        work.log.line(f"{choice.tried} variants tried, {len(choice.kept)} units in float: " + _said(choice))
    else:
        kept = tuple(ranked[: asked["max_float"] or 0])
        choice = Choice(kept, holds(kept), 1)
    write_json(folder / "choice.json", choice.to_dict() | {"nodes": nodes_of(found, choice.kept), "order": ranked})


def _said(choice: Choice) -> str:
    return "every tolerance holds" if choice.holds else "some tolerance does not hold on the ranking rows"


def _finetuned(work: Work, ranking: Path, asked: dict, settings: dict, epochs: int) -> tuple[Path, dict]:
    """The fine-tuned student's ONNX file, and the units that stay in float in it."""
    weights = work.run.hashes("student") | work.run.hashes("teacher")
    tuned = work.stage(
        "finetuned",
        {"epochs": epochs, "dialect": work.dialect, **settings, **weights},
        lambda at: _tune(work, epochs, at),
    )
    made = work.stage(
        "finetuned-choice",
        settings | work.hashes("finetuned"),
        lambda at: _choose(work, ranking, asked, tuned / "student.onnx", at),
    )
    return tuned / "student.onnx", _read(made / "choice.json")


def _tune(work: Work, epochs: int, folder: Path) -> None:
    from edgefair.export import export_onnx
    from edgefair.fairquant.finetune import finetune
    from edgefair.models import create

    weights = [work.run.path / name / f"{name}.safetensors" for name in ("student", "teacher")]
    finetune(work.recipe, work.examples, *weights, folder, work.dialect, epochs, work.log)
    model = create(f"file:{folder / 'student.safetensors'}", len(work.examples.class_names), 0)
    names = {"class_names": list(work.examples.class_names), "group_names": list(work.examples.group_names)}
    export_onnx(model, work.calibration[0], work.recipe.export, folder / "student.onnx", names)
    work.variants(folder / "student.onnx")  # finds the ranges, which belong to this stage


def _read(path: Path) -> dict:
    return json.loads(path.read_text())
