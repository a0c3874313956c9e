"""The main job, top to bottom: data, teacher, student, export, artefacts, predictions, latency, verdict, report."""

import time
from pathlib import Path

from edgefair.data import Examples, load_examples
from edgefair.data.calibration import calibration_rows
from edgefair.data.gate_rows import GateRows
from edgefair.errors import RecipeError, listed, require
from edgefair.latency.record import write_latency
from edgefair.log import Log
from edgefair.pipeline.bench.stage import time_artefacts
from edgefair.pipeline.build_artefacts import make_artefacts
from edgefair.pipeline.judge_run import build_report
from edgefair.pipeline.run_artefacts import artefact_list
from edgefair.pipeline.run_folder import RunFolder
from edgefair.pipeline.sample_rows import sample_rows
from edgefair.pipeline.training_stages import training_stages
from edgefair.predictions import Predictions
from edgefair.recipe import Recipe, StrategySettings
from edgefair.recipe.strategies import AdversarialSettings
from edgefair.report import write_report
from edgefair.runtimes.artefact import Artefact
from edgefair.runtimes.predict import predict
from edgefair.runtimes.targets import resolve_targets


def distill_and_export(recipe: Recipe, out: Path, log: Log, teachers: Path | None = None) -> dict:
    """Do whatever of the main job is not done yet in the run folder `out`; returns the report.

    teachers: folder of trained teachers that runs share (teacher_store.py); without it the run trains its own.
    """
    # All that can be wrong with the input is said before the run folder is made: a corrected command finds no traces.
    builds = check_tools(recipe)
    if recipe.strategy.name == "plain":
        log.line("strategy plain: nothing is debiased, lambda is not used")
    examples = load(recipe, log)
    check_groups(recipe, examples)
    _check_networks(recipe, examples, builds, log)
    with RunFolder.open(out, recipe, log) as run:
        log.line(f"run folder: {out}")
        settings, data = recipe.model_dump(mode="json"), examples.describe()
        made_from = training_stages(run, examples, data, teachers)
        how = {name: settings[name] for name in ("export", "deploy", "quantize")} | {"pairs": builds}
        run.stage(
            "artefacts",
            how | run.hashes("student"),
            lambda folder: make_artefacts(
                recipe, examples, run.path / "student" / "student.safetensors", folder, builds, log
            ),
        )
        every = artefact_list(run)
        artefacts = [artefact for artefact in every if not artefact.blocked]
        hashes = {artefact.name: artefact.sha256 for artefact in artefacts}
        run.stage(
            "predictions",
            made_from | hashes,
            lambda folder: predict_all(artefacts, examples, folder, log, recipe.threads),
        )
        run.stage(
            "latency",
            {"bench": settings["bench"], "record": 3} | hashes,  # 3: with ratios, control and files
            lambda folder: write_latency(folder / "latency.json", time_artefacts(artefacts, examples, recipe, log)),
        )
        predictions = {a.name: Predictions.load(run.path / "predictions" / f"{a.name}.npz") for a in artefacts}
        report = build_report(run, every, predictions, data)
        write_report(report, sample_rows(artefacts, predictions, examples), examples.images, run.path)
        return report


def load(recipe: Recipe, log: Log) -> Examples:
    """The recipe's examples, with a line on how long they took."""
    started = time.monotonic()
    examples = load_examples(recipe.data, recipe.seed, log)
    log.line(f"data: {len(examples.images):,} images ready in {time.monotonic() - started:.1f} s")
    return examples


def check_tools(recipe: Recipe) -> list[tuple[str, str]]:
    """Refuse missing packages, devices and targets now, not after an hour of training; returns what is built."""
    for module in ("torch", "timm", "safetensors", "onnxscript", "onnxruntime", "jinja2", "huggingface_hub"):
        require(module, "all", "distill-and-export")
    from edgefair.training.stages import training_device

    training_device(recipe)
    return resolve_targets(recipe.deploy)


def check_groups(recipe: Recipe, examples: Examples) -> None:
    """Refuse to debias between groups, or by an attribute, that are not there."""
    for section, strategy in (("", recipe.strategy), ("teacher.", recipe.teacher.strategy)):
        _check_groups_of(f"{section}strategy", strategy, recipe, examples)


def _check_groups_of(section: str, strategy: StrategySettings, recipe: Recipe, examples: Examples) -> None:
    if len(examples.group_names) < 2 and strategy.needs_groups:
        mend = "use --strategy plain" if section == "strategy" else f"set {section} to 'plain'"
        raise RecipeError(
            f"the data set '{recipe.data.name}' declares no groups (all rows are '{examples.group_names[0]}'), so "
            f"{'' if section == 'strategy' else 'the teacher with '}strategy '{strategy.name}' has nothing to debias; "
            f"{mend}, or data with two or more groups, such as cifar10s."
        )
    guesses_number = isinstance(strategy, AdversarialSettings) and strategy.target == "soft_group"
    if guesses_number and examples.soft_groups is None:
        raise RecipeError(
            f"{section}.target is 'soft_group', but the data set '{recipe.data.name}' has no continuous attribute; "
            f"give a manifest a column soft_group with numbers from 0 to 1, or set {section}.target to 'group'."
        )


def _check_networks(recipe: Recipe, examples: Examples, builds: list[tuple[str, str]], log: Log) -> None:
    """Refuse networks that cannot be built or do not fit the loss; name cells with few calibration rows."""
    from edgefair.training.stages import dry_run

    dry_run(recipe, examples)
    if {precision for _, precision in builds} & {"int8", "fp8"} and (short := calibration_rows(recipe, examples)[2]):
        log.line(f"warning: {len(short)} (group, class) cells have fewer calibration rows than wanted: {listed(short)}")


def predict_all(artefacts: list[Artefact], examples: Examples, folder: Path, log: Log, threads: int = 0) -> None:
    """Write NAME.npz into `folder`: what each artefact says of the gate rows, on `threads` threads of the CPU."""
    gate = GateRows.of(examples)
    for artefact in artefacts:
        predict(artefact, gate, log, threads).save(folder / f"{artefact.name}.npz")
