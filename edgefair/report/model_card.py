"""MODEL_CARD.md: the report for a model hub, with metrics in its front matter and everything a user must know below."""

from types import ModuleType
from typing import TYPE_CHECKING

from edgefair.errors import require
from edgefair.report import wording as words
from edgefair.report.formatting import one_line
from edgefair.report.html import objective, templates

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

# Licence words that data sets state of themselves and that a hub knows by a short name.
LICENCES = {"CC BY 4.0": "cc-by-4.0", "CC0": "cc0-1.0", "CC BY-SA 4.0": "cc-by-sa-4.0", "CC BY-NC 4.0": "cc-by-nc-4.0"}
METRICS = {"accuracy": "accuracy", "macro_f1": "f1", "macro_recall": "recall", "macro_precision": "precision"}
METRICS |= {"auroc": "roc_auc"}


def render_card(report: dict) -> str:
    """The model card; `report` is build_report's with NaN as None. Raises MissingExtra without jinja2 and
    huggingface_hub.

    Front matter is what Hugging Face reads (`model-index`, one result an artefact that ships); rates are shares of one.
    Undefined numbers are left out there, for a hub has no word for them; the body calls them undefined.
    """
    environment = templates(autoescape=False)
    shown = [entry for entry in report["artefacts"] if entry["runtime"] != "null"]
    by_name = {entry["artefact"]: entry for entry in shown}
    judged = [entry for entry in shown if "verdict" in entry]
    body = environment.get_template("MODEL_CARD.md.j2").render(
        report=report,
        recipe=report["recipe"],
        data=report["data"],
        shown=shown,
        judged=judged,
        unverified=report.get("unverified", []),
        meaning=words.meaning(report, judged),
        in_words={e["artefact"]: words.verdict_in_words(e, by_name[e["reference"]]) for e in judged},
        objective=[objective(entry, report["lambda"]["value"]) for entry in shown],
        batch=str(report["recipe"]["bench"]["batches"][0]),
        small_cells=sorted({cell for e in judged for cell in e["verdict"]["numbers"]["small_cells"]}),
    )
    return f"---\n{front_matter(report).to_yaml()}\n---\n{body}"


def front_matter(report: dict) -> "ModelCardData":
    """The card's metadata: licence, tags, and `model-index` with the metrics of every artefact that ships."""
    hub = require("huggingface_hub", "report", "the model card")
    data, recipe = report["data"], report["recipe"]
    shipped = [entry for entry in report["artefacts"] if entry.get("verdict", {}).get("claim") == "same"]
    results = [result for entry in shipped for result in _results(hub, entry, data)]
    name = one_line(f"{recipe['student']['spec']} distilled from {recipe['teacher']['spec']} on {data['name']}")
    return hub.ModelCardData(
        license=LICENCES.get(str(data["terms"]).split(";")[0].strip(), "other"),
        library_name="onnx",
        pipeline_tag="image-classification",
        tags=[
            "image-classification", "knowledge-distillation", "fairness", "quantization", "onnx", "edgefair",
            f"loss:{recipe['loss']['name']}", f"strategy:{recipe['strategy']['name']}",
        ],
        metrics=list(dict.fromkeys(result.metric_type for result in results)),
        model_name=name,
        eval_results=results,
    )  # fmt: skip


def _results(hub: ModuleType, entry: dict, data: dict) -> list:
    """An EvalResult for each defined score and disparity of an artefact."""
    scores, disparities = entry["metrics"]["scores"], entry["metrics"]["disparities"]
    rows = [(METRICS.get(n, n), words.known_as(words.SCORES, n)[0], s["value"]) for n, s in scores.items()]
    rows += [(n, words.known_as(words.DISPARITIES, n)[0], d["value"]) for n, d in disparities.items()]
    floor = disparities["mean_abs_disparity"]["floor"]
    rows.append(("mean_abs_disparity_noise_floor", "Noise floor of the mean absolute disparity", floor))
    source = one_line(data["name"])
    return [
        hub.EvalResult(
            task_type="image-classification",
            task_name=one_line(f"{entry['artefact']} ({entry['precision']}, {entry['runtime']})"),
            dataset_type=source,
            dataset_name=source,
            dataset_config=one_line(entry["artefact"]),  # the library would put what has equal ones under one task name
            dataset_split="gate",
            dataset_args={"rows": entry["metrics"]["rows"]},
            metric_type=kind,
            metric_name=one_line(f"{what} of {entry['artefact']}"),
            metric_value=round(value, 6),
        )
        for kind, what, value in rows
        if value is not None
    ]
