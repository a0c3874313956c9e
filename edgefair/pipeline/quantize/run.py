"""A finished run quantised so that its gate still passes: rank, choose, fine-tune if needed, build, judge.

Everything lies in RUN/quantized/TARGET, a folder for each stage; the run's own files are only read. Ranking and
choosing see validation rows alone, and calibration sees the run's calibration rows. The gate rows are used once, by
what is built in the end.
"""

from dataclasses import asdict
from pathlib import Path

from edgefair.errors import RecipeError, RunFolderError
from edgefair.export.mixed_precision.cost import latency_costs, size_costs
from edgefair.export.mixed_precision.records import ChoiceRecord, Ranking
from edgefair.export.mixed_precision.search import Choice, choose, meets_tolerances, violated_checks
from edgefair.export.mixed_precision.sensitivity import Sensitivity, order, sensitivities
from edgefair.export.mixed_precision.simulate import OPTIMISED
from edgefair.export.mixed_precision.units import nodes_of, units
from edgefair.files import read_record, read_values, write_record
from edgefair.gate.tolerance import tolerance
from edgefair.log import Log
from edgefair.pipeline.quantize.context import QuantizeContext
from edgefair.pipeline.quantize.records import VariantsReport
from edgefair.pipeline.quantize.request import QuantizeRequest, check_student, chosen_target, finished_recipe, opened
from edgefair.pipeline.quantize.variants import build_variants
from edgefair.pipeline.run_folder import AGAIN


def quantize_run(folder: Path, request: QuantizeRequest, log: Log) -> dict:
    """Do what `edgefair quantize` does in a run folder; returns the report as JSON values."""
    finished_recipe(folder)
    check_student(folder)
    target = chosen_target(folder, request.target)
    with opened(folder, log) as (run, examples):
        work = QuantizeContext(run, examples, target, log)
        asked = {
            "cost": _cost(work, request),
            "until_fair": request.until_pass,
            "rank": request.rank,
            "max_float": request.max_float,
        }
        ranking = work.stage("ranking", work.made_from(), lambda at: _rank(work, at))
        settings = asked | {"gate": _values(work.recipe.gate), "data": work.data} | work.hashes("ranking")
        choices = _choices(work, request, asked, ranking, settings)
        sections = {name: _values(getattr(work.recipe, name)) for name in ("bench", "deploy")}
        made_from = settings | sections | {name: choice for name, (_, choice) in choices.items()}
        built = work.stage("built", made_from, lambda at: build_variants(work, choices, at))
        about = {"schema": 1, "kind": "edgefair-quantize", "simulated": work.blocked, "folder": str(built)}
        return {
            **about,
            **asked,
            **_read(ranking / "ranking.json", Ranking),
            **_read(built / "report.json", VariantsReport),
        }


def _choices(
    work: QuantizeContext, request: QuantizeRequest, asked: dict, ranking: Path, settings: dict
) -> dict[str, tuple[Path, dict]]:
    """Name of a variant -> (float ONNX file, its choice): operators in float, and fine-tuning if these do not hold."""
    made = work.stage("choice", settings, lambda at: _choose(work, ranking, asked, work.source, at))
    choices = {"group-aware": (work.source, _read(made / "choice.json", ChoiceRecord))}
    if request.finetune_epochs and not choices["group-aware"][1]["holds"]:
        choices["fine-tuned"] = _finetuned(work, ranking, asked, settings, request.finetune_epochs)
    elif request.finetune_epochs:
        work.log.line("every tolerance holds on the ranking rows without fine-tuning; it is left out")
    return choices


def _cost(work: QuantizeContext, request: QuantizeRequest) -> str:
    """What a unit in float is charged: latency where it can be measured, else size."""
    if request.cost == "latency" and work.dialect not in OPTIMISED:
        raise RecipeError(
            f"the latency of single operators is known for {', '.join(OPTIMISED)} only, by ONNX Runtime's profile; "
            f"for the target '{work.target}' use --cost size."
        )
    return request.cost or ("latency" if work.dialect in OPTIMISED and not work.blocked else "size")


def _rank(work: QuantizeContext, folder: Path) -> None:
    """Write ranking.json: the units, what each one's quantisation does to every group, what each costs in float."""
    variants = work.variants(work.source)
    parts = units(work.source, work.dialect, work.recipe.quantize)
    with work.log.progress("ranking operators", len(parts)) as advance:
        before, ranked = sensitivities(lambda nodes: variants.logits(nodes, work.few.images), parts, work.few, advance)
    costs = {"size": size_costs(variants, parts)}
    if work.dialect in OPTIMISED:
        costs["latency"] = latency_costs(variants, parts, work.calibration[0][:1])
    record = {
        "schema": 1,
        "target": work.target,
        "dialect": work.dialect,
        "ranking_rows": len(work.few.labels),
        "choosing_rows": len(work.rows.labels),
        "group_names": list(work.rows.group_names),
        "before": asdict(before),
        "units": parts,
        "sensitivities": [asdict(one) for one in ranked],
        "costs": costs,
    }
    write_record(folder / "ranking.json", Ranking, record)


def _choose(work: QuantizeContext, ranking: Path, asked: dict, source: Path, folder: Path) -> None:
    """Write choice.json: the units of `source` that stay in float."""
    record = read_record(ranking / "ranking.json", Ranking, AGAIN, RunFolderError)
    parts, costs = record.units, record.costs[asked["cost"]]
    before, *sensitive = (Sensitivity(**one.model_dump()) for one in (record.before, *record.sensitivities))
    ranked = order(before, sensitive, asked["rank"], costs)
    variants = work.variants(source)
    limits = tolerance(work.recipe.gate, "same")
    quantizable = set(nodes_of(parts, parts))

    def holds(kept: tuple[str, ...]) -> bool:
        return meets_tolerances(
            work.rows, variants.logits(quantizable - set(nodes_of(parts, kept)), work.rows.images), limits
        )

    if asked["until_fair"]:
        choice = choose(ranked, costs, holds, asked["max_float"])
        work.log.line(f"{choice.tried} variants tried, units in float: {len(choice.kept)}; " + _in_words(choice))
    else:
        kept = tuple(ranked[: asked["max_float"] or 0])
        choice = Choice(kept, holds(kept), 1)
    violations = violated_checks(work.rows, variants.logits(quantizable, work.rows.images), limits)
    record = {
        "schema": 1,
        "nodes": nodes_of(parts, choice.kept),
        "order": ranked,
        "over_without": [asdict(one) for one in violations],
    }
    write_record(folder / "choice.json", ChoiceRecord, choice.to_dict() | record)


def _in_words(choice: Choice) -> str:
    return f"{'every tolerance holds' if choice.holds else 'some tolerance does not hold'} on the ranking rows"


def _finetuned(work: QuantizeContext, ranking: Path, asked: dict, settings: dict, epochs: int) -> tuple[Path, dict]:
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
    return tuned / "student.onnx", _read(made / "choice.json", ChoiceRecord)


def _tune(work: QuantizeContext, epochs: int, folder: Path) -> None:
    from edgefair.export.onnx_export import export_onnx
    from edgefair.models import create
    from edgefair.training.qat import finetune

    weights = [work.run.path / name / f"{name}.safetensors" for name in ("student", "teacher")]
    finetune(work.recipe, work.examples, *weights, folder, work.dialect, epochs, work.log)
    model = create(f"file:{folder / 'student.safetensors'}", len(work.examples.class_names), 0)
    names = {"class_names": list(work.examples.class_names), "group_names": list(work.examples.group_names)}
    export_onnx(model, work.calibration[0], work.recipe.export, folder / "student.onnx", names)
    work.variants(folder / "student.onnx")  # finds the ranges, which belong to this stage


def _values(section) -> dict:
    return section.model_dump(mode="json")


def _read(path: Path, model) -> dict:
    """A record of a stage as the JSON values that are shown; raises RunFolderError where it is damaged."""
    return read_values(path, model, AGAIN, RunFolderError)
