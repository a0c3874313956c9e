"""Which figures of each record in benchmarks/results are shown as tables; a record not named here is shown whole."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of a record: its rows are what stands at `rows` (a step `*` takes all), one cell for each column.

    `labels` name a row: paths as in columns, or `.` for its own key; without any, the keys that the steps `*` took. A
    column's path begins at the row, `../` at what the row stands in. No columns: all that a row has. No step `*`: a
    table of two columns, figure and value.
    """

    title: str
    rows: str
    columns: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


LATENCY = ("p50_ms", "p90_ms", "p90_upper_ms", "calls", "images_per_s", "speedup/p50")
SCORES = ("accuracy", "auroc", "macro_f1", "deo_mean", "deo_max", "noise_floor")
FAIRNESS = ("accuracy_percent", "disparity_points", "noise_floor_points", "deo_max_points", "verdict")
EXPORTED = ("accuracy_percent", "worst_group_percent", "gap_points", "gap_floor_points", "flips_percent", "verdict")
BOUNDARY = ("rows_per_cell", "classes", "groups", "flip_percent", "harm", "drift", "passes", "standard_error")
QUANTIZED = ("bytes", "times_float", "accuracy", "worst_group", "worst_group_drop", "disparity", "noise_floor")
CHANGES = ("accuracy_change", "worst_group_change", "disparity_change", "flips", "kept", "times_float")
FLIPS = ("flips", "flips_worst_group", "outcome")
OUTCOMES = ("pass", "inconclusive", "fail", "n")
INT8 = ("accuracy_percent", "accuracy_interval_percent", "change_points", "change_interval_points", "flips_percent")
TEMPERATURE = ("accuracy", "dpd_points", "eod_points", "eod_noise_floor_points", "disagrees_with_teacher_percent")
TEMPERATURE += tuple(f"classes_differ_from_{other}/{how}" for other in ("alone", "teacher") for how in ("raw", "holm"))
WHAT_WORKS = (
    Table("Mean ± standard deviation over seeds", "summary/*/*", (*SCORES, "above_floor")),
    Table("Change against plain distillation, paired by seed", "against_plain/*/*"),
)
OVER_SEEDS = Table("Mean ± standard deviation over seeds", "summary/*", SCORES)
AGAINST = Table("Change against plain distillation, paired by seed", "against_plain/*")

TABLES = {
    "cifar10s-reduced": (
        Table("Measured, reduced", "summary/*", SCORES),
        Table("Published, full size: mean, standard deviation", "paper_full_size/*"),
        Table("Settings of the methods", "settings/*"),
    ),
    "data": (
        Table("Preparing images: speed beside a bare loop", "build/*/speed_ratio_to"),
        Table("Preparing images, images per second", "build/*/images_per_second"),
        Table("An epoch: speed beside other ways to hold images", "epoch/*/speed_ratio_to"),
        Table("An epoch, images per second", "epoch/*/images_per_second"),
        Table("Memory of a build", "memory/*"),
    ),
    "fair-quantization": (
        Table(
            "Students and variants",
            "students/*/variants/*",
            ("kept", *QUANTIZED, *FLIPS),
            ("../../network", "../../data", "../../dialect", "../../seed", "."),
        ),
        Table("ort-cpu: change from float, mean over students; outcomes", "summary/ort-cpu all/*", CHANGES + OUTCOMES),
    ),
    "fairface-gender": (OVER_SEEDS, AGAINST),
    "fairface-race": (OVER_SEEDS, AGAINST),
    "fairface-smoke": (
        Table("Artefacts", "artefacts/*", FAIRNESS),
        Table("Latency by batch size", "latency_ms/*/*", ("p50_ms", "p90_ms", "p99_ms", "calls")),
    ),
    "gate-power": (
        Table("Where a candidate worse by the tolerance passes most often", "largest_false_pass_points/*", BOUNDARY),
    ),
    "lambda-effect": (Table("Runs", "runs/*/*", FAIRNESS, ("../seed", "../lambda", ".")),),
    "main-job": (Table("Time and memory", "", ("seconds", "peak_memory_gib", "exit_code", "stage_seconds")),),
    "mlperf-tiny": (
        Table("Files", "files/*", (*INT8, "bytes")),
        Table("Latency of single images, one thread", "files/*/latency", LATENCY),
    ),
    "overhead": (
        Table("Training loop", "training_loop"),
        Table("Predictor", "predictor"),
        Table("Rendering", "rendering/*"),
        Table("Start-up, seconds", "start_up_seconds"),
    ),
    "runtimes": (
        Table("Latency by batch size", "artefacts/*/*", LATENCY),
        Table("Predictor beside a bare loop of calls", "predictor/*"),
    ),
    "side-by-side": (
        Table("Accuracy and fairness", "files/*", (*EXPORTED, "bytes")),
        Table("Latency", "files/*/latency", LATENCY),
        Table("Bare loop of calls", "bare_loop", LATENCY),
        Table("OpenVINO's benchmark_app", "openvino_benchmark_app"),
    ),
    "bootstrap-speed": (
        Table("Time", "", ("drift_bounds_cpu_seconds", "drift_bounds_wall_seconds")),
        Table(
            "A replicate of a class gap",
            "",
            (
                "gap_from_counts_cpu_seconds_per_replicate",
                "fairlearn_gap_cpu_seconds_per_replicate",
                "ratio_per_replicate",
            ),
        ),
        Table("Agreement", "agreement"),
    ),
    "step-cost-cpu-resnet20": (
        Table("Steps: cost beside the supervised step, and beside the floor", "steps/*"),
        Table("A BIRD iteration in steps of ckd", "bird_in_ckd_steps"),
        Table("BIRD's meta-gradient", "meta_gradient/*"),
    ),
    "trifeature": (OVER_SEEDS,),
    "what-works-age-gender": WHAT_WORKS,
    "what-works-gender-race": WHAT_WORKS,
}
