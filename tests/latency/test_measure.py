"""The measuring of `edgefair bench`: MLPerf's estimate, when enough was measured, ratios, noise, and what is read."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc
from scipy.stats import binom

from edgefair.errors import ArtefactError
from edgefair.gate.resource_checks import latency_check, size_check
from edgefair.latency.clocks import clocks
from edgefair.latency.early_stopping import allowed_over, upper_estimate
from edgefair.latency.energy import Counter, NoMeter, Sampled, find_meter
from edgefair.latency.measure import BenchTarget, Design, batch_sizes, measure
from edgefair.latency.record import summary
from edgefair.latency.rounds import Call, interleave
from edgefair.latency.rules import MLPERF, Rules
from edgefair.latency.speedup import Noise, Speedup, is_stable, label, speedup
from edgefair.pipeline.bench.limits import judge_bench
from edgefair.seeds import generator

# The early-stopping estimate


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.sampled_from([0.5, 0.9, 0.99]), st.sampled_from([0.9, 0.99]))
def test_allowed_over_is_the_largest_that_scipys_beta_function_allows(queries, percentile, confidence):
    t = allowed_over(queries, percentile, confidence)
    chance = [betainc(queries - k, k + 1, percentile) for k in range(min(t + 2, queries))]
    assert all(one <= 1 - confidence for one in chance[: t + 1])
    assert t + 1 >= queries or chance[t + 1] > 1 - confidence


def test_the_published_minima_and_counts():
    known = {63: 0, 64: 1, 100: 3, 200: 10, 372: 23, 1000: 78, 24_576: 2348}
    assert {queries: allowed_over(queries) for queries in known} == known
    assert (allowed_over(661, 0.99), allowed_over(662, 0.99)) == (0, 1)
    assert np.isnan(upper_estimate(np.ones(63)))
    assert upper_estimate(np.arange(64.0)) == 63


def test_the_estimate_is_above_the_percentile_as_often_as_it_promises():
    """Lognormal calls: the estimate misses the true p90 with the chance that the binomial says, which is below 1 %."""
    rng = np.random.default_rng(1)
    draws = rng.lognormal(size=(20_000, 100))
    truth = np.exp(1.2815515655446004)
    missed = np.mean([upper_estimate(row) < truth for row in draws])
    expected = binom.cdf(allowed_over(100) - 1, 100, 0.1)  # all but t - 1 calls are at or below the estimate
    assert expected <= 0.01
    assert missed == pytest.approx(expected, abs=4 * np.sqrt(expected / len(draws)))


@pytest.mark.parametrize("queries", [64, 372])
def test_mlperfs_own_loadgen_makes_the_same_estimate_of_the_same_queries(tmp_path, queries):
    loadgen = pytest.importorskip("mlperf_loadgen", reason="pip install mlcommons-loadgen")

    def answer(samples):
        for sample in samples:
            sum(range(200 * (sample.id % 7)))
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0)])

    system = loadgen.ConstructSUT(answer, lambda: None)
    library = loadgen.ConstructQSL(8, 8, lambda _: None, lambda _: None)
    test, logs = loadgen.TestSettings(), loadgen.LogSettings()
    test.scenario, test.mode = loadgen.TestScenario.SingleStream, loadgen.TestMode.PerformanceOnly
    test.min_query_count = test.max_query_count = queries
    test.min_duration_ms = 0
    logs.enable_trace = True
    output = loadgen.LogOutputSettings()
    output.outdir, output.copy_summary_to_stdout = str(tmp_path), False
    logs.log_output = output
    try:
        loadgen.StartTestWithLogSettings(system, library, test, logs, "")
    finally:
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(system)
    summary = (tmp_path / "mlperf_log_summary.txt").read_text()
    trace = (tmp_path / "mlperf_log_trace.json").read_text()
    times = np.array([int(ns) for ns in re.findall(r'"complete_ns":(\d+)', trace)])
    assert len(times) == queries
    assert upper_estimate(times) == int(re.search(r"90.0th percentile estimate: (\d+)", summary)[1])
    assert allowed_over(queries) - 1 == int(re.search(r"discard (\d+) highest", summary)[1])


# When enough was measured


class Clock:
    """Seconds that pass only while somebody works."""

    def __init__(self):
        self.now = 0.0
        self.order = []

    def __call__(self) -> float:
        return self.now

    def work(self, name, seconds) -> Call:
        def call(i):
            self.order.append(name)
            self.now += seconds

        return call


def timed(rules, batch=1, **seconds):
    clock = Clock()
    calls = {name: clock.work(name, value) for name, value in seconds.items()}
    return clock, interleave(calls, batch, rules, generator(0, "test"), clock=clock)


def test_slow_calls_are_repeated_until_there_are_enough():
    clock, samples = timed(Rules(minimum=20, seconds=1, rounds=5, warmup=3), a=1.0, b=2.0)
    assert {name: [len(part) for part in one.rounds] for name, one in samples.items()} == {"a": [4] * 5, "b": [4] * 5}
    np.testing.assert_allclose(samples["b"].pooled, 2000)
    assert clock.order.count("a") == 3 + 5 * (1 + 4)  # warm-up, and the first call of each share, are not counted


def test_fast_calls_are_repeated_until_the_time_is_over():
    _, samples = timed(Rules(minimum=20, seconds=8, rounds=4, warmup=1), a=0.125, b=0.5)
    assert {name: len(one.pooled) for name, one in samples.items()} == {"a": 64, "b": 20}
    assert all(part.sum() >= 2000 for one in samples.values() for part in one.rounds)


def test_offline_counts_images_and_single_stream_calls():
    counts = {
        scenario: len(timed(Rules(scenario, 64, 0, rounds=4, warmup=1), batch=8, a=1)[1]["a"].pooled)
        for scenario in ("offline", "single-stream")
    }
    assert counts == {"offline": 8, "single-stream": 64}


def test_every_round_holds_everybody_in_an_order_of_its_own():
    names = dict.fromkeys("abcd", 1.0)
    rules = Rules(minimum=12, seconds=0, rounds=12, warmup=1)
    orders = [timed(rules, **names)[0].order for _ in range(2)]
    assert orders[0] == orders[1]  # by seed
    rounds = [orders[0][i : i + 8] for i in range(4, len(orders[0]), 8)]
    assert all(sorted(one) == sorted("aabbccdd") for one in rounds)
    assert len({"".join(one) for one in rounds}) > 6


def test_what_is_not_timed_needs_no_more_than_the_calls():
    clock = Clock()
    rules = Rules(minimum=40, seconds=600, rounds=4)
    null = {"null": clock.work("null", 1e-6)}
    samples = interleave(null, 1, rules, generator(0, "t"), clock=clock, untimed=["null"])
    assert len(samples["null"].pooled) == 40


@pytest.mark.parametrize(("scenario", "minimum"), [("single-stream", 64), ("offline", 24_576)])
def test_mlperfs_rules_are_called_so_only_in_full(scenario, minimum):
    assert MLPERF[scenario] == (minimum, 600.0)
    assert Rules(scenario, *MLPERF[scenario]).to_dict()["mlperf"]
    assert not Rules(scenario, minimum, 599).to_dict()["mlperf"]
    assert not Rules(scenario, minimum - 1, 600).to_dict()["mlperf"]


# Ratios


def rounds_of(rng, scale, noise=0.1, disturbance=None, rounds=16, calls=16):
    """Calls by round whose typical time is `scale`, times what disturbed that round."""
    disturbance = np.ones(rounds) if disturbance is None else disturbance
    return [scale * slow * rng.lognormal(sigma=noise, size=calls) for slow in disturbance]


def test_the_interval_holds_the_true_ratio_as_often_as_it_says_however_the_machine_is_disturbed():
    rng, held, runs = np.random.default_rng(0), {"p50": 0, "mean": 0}, 200
    for _ in range(runs):
        slow = rng.lognormal(sigma=1.0, size=16)  # a round may be many times slower, for everybody
        theirs, mine = rounds_of(rng, 3.0, disturbance=slow), rounds_of(rng, 1.0, disturbance=slow)
        for what in held:
            low, high = speedup(theirs, mine, what, rng).interval
            held[what] += low <= 3.0 <= high
    assert all(0.91 * runs <= count <= 0.99 * runs for count in held.values()), held


def test_a_few_disturbed_rounds_of_one_do_not_move_the_ratio():
    rng = np.random.default_rng(2)
    slow = np.where(np.arange(16) < 3, 5.0, 1.0)
    found = speedup(rounds_of(rng, 2.0), rounds_of(rng, 1.0, disturbance=slow), "p50", rng)
    assert found.ratio == pytest.approx(2.0, rel=0.06)
    assert found.interval[0] > 1.8


NOISE = Noise(control=1.05, widest=1.25)


@pytest.mark.parametrize(
    ("found", "still", "expected"),
    [
        ((2.0, (1.9, 2.1)), True, "faster"),
        ((2.0, (1.2, 4.0)), True, "faster"),
        ((0.5, (0.4, 0.6)), True, "slower"),
        ((1.0, (0.95, 1.05)), True, "no difference"),
        ((1.0, (0.7, 1.3)), True, "inconclusive"),
        ((2.0, (1.9, 2.1)), False, "inconclusive"),
        ((2.0, (1.9, 2.1)), None, "faster"),
    ],
)
def test_what_a_ratio_is_said_to_show(found, still, expected):
    assert label(Speedup(*found), still, NOISE) == expected


@pytest.mark.parametrize(
    ("ratio", "interval", "expected"),
    [
        (1.0, (0.99, 1.01), True),
        (1.04, (0.98, 1.1), True),
        (1.06, (1.05, 1.07), False),
        (0.9, (0.89, 0.91), False),
        (1.0, (0.8, 1.2), False),
    ],
)
def test_a_machine_is_quiet_where_the_same_is_measured_the_same(ratio, interval, expected):
    assert is_stable(Speedup(ratio, interval), NOISE) is expected


class Fake:
    """A runtime whose calls take a time of its own; an engine for one size refuses others."""

    def __init__(self, clock, seconds, batch=0):
        self.clock, self.seconds, self.batch = clock, seconds, batch

    def predict(self, batch):
        if self.batch not in (0, batch):
            raise ValueError(f"profile takes {self.batch}")
        self.clock.now += next(self.seconds)


def run_fakes(noise, batches=(1, 8), static=0, seed=0, control="fp32"):
    rng, clock = np.random.default_rng(seed), Clock()

    def steadily(scale, batch=0):
        return BenchTarget(Fake(clock, (scale * rng.lognormal(sigma=noise) for _ in itertools.count()), batch), batch)

    loaded = {"fp32": steadily(0.3), "int8": steadily(0.1, static)}
    again = (control, steadily(0.3)) if control else None
    design = Design(Rules(minimum=160, seconds=0), {"int8": "fp32"}, again)
    sizes = batch_sizes(loaded, batches)
    return measure(loaded, lambda r, b: lambda i: r.predict(b), sizes, design, clock=clock)


def test_a_still_machine_gives_ratios_and_a_noisy_one_gives_none():
    record = run_fakes(noise=0.02)
    assert record["control"]["1"]["quiet"] is True
    found = record["artefacts"]["int8"]["8"]["speedup"]
    assert found["to"] == "fp32"
    assert (found["p50"]["ratio"], found["p50"]["word"]) == (pytest.approx(3, rel=0.03), "faster")
    assert "speedup" not in record["artefacts"]["fp32"]["1"]
    assert len(record["rounds"]["1"]["the first again"]["p50_ms"]) == 16
    noisy = run_fakes(noise=3.0)
    assert noisy["control"]["1"]["quiet"] is False
    assert noisy["artefacts"]["int8"]["1"]["speedup"]["p50"]["word"] == "inconclusive"
    assert run_fakes(noise=0.02, control=None)["control"] == {}


def test_an_engine_for_one_batch_size_is_timed_at_that_size_only():
    record = run_fakes(noise=0.02, batches=(8, 32), static=1)
    assert {name: list(rows) for name, rows in record["artefacts"].items()} == {"fp32": ["8", "32", "1"], "int8": ["1"]}
    assert record["artefacts"]["int8"]["1"]["speedup"]["p50"]["ratio"] == pytest.approx(3, rel=0.03)


def test_a_batch_that_a_file_does_not_take_is_an_error_with_what_to_do():
    loaded = {"engine": BenchTarget(Fake(Clock(), itertools.repeat(1.0), batch=4))}
    with pytest.raises(ArtefactError, match=r"engine cannot take a batch of 8 \(ValueError: profile takes 4\)"):
        measure(loaded, lambda r, b: lambda i: r.predict(b), [8], Design(Rules(), {}))


# Limits


ROW = {"p90_ms": 1.0, "p90_upper_ms": 1.5}


@pytest.mark.parametrize(
    ("row", "limit", "still", "outcome"),
    [
        (ROW, 2.0, True, "pass"),
        (ROW, 1.2, True, "inconclusive"),
        (ROW, 0.9, True, "fail"),
        (ROW, 0.9, False, "inconclusive"),
        (ROW, 2.0, False, "inconclusive"),
        ({"p90_ms": 1.0, "p90_upper_ms": None}, 2.0, True, "inconclusive"),
        ({"p90_ms": 1.0}, 2.0, None, "pass"),
        ({}, 2.0, None, "inconclusive"),
    ],
)
def test_a_limit_passes_on_the_upper_estimate_and_fails_on_what_was_seen(row, limit, still, outcome):
    check = latency_check(row, "1", limit, still)
    assert check.outcome == outcome
    assert check.sentence.startswith({"pass": "passes: ", "fail": "fails: "}.get(outcome, "inconclusive: "))
    assert check.sentence.endswith(f"limit {limit:g} ms).")


def test_a_size_that_is_not_known_is_inconclusive():
    assert [size_check(size, 1.0).outcome for size in (1_000_000, 1_000_001, None)] == ["pass", "fail", "inconclusive"]


def record_of(ratio, interval, still=True):
    row = {**ROW, "speedup": {"to": "a", "p50": {"ratio": ratio, "interval": interval}}}
    files = {"a": {"runtime": "ort", "batch": 0}, "b": {"runtime": "ort", "batch": 0}, "n": {"runtime": "null"}}
    artefacts = {"a": {"1": ROW}, "b": {"1": row}, "n": {"1": ROW}}
    control = {"1": {"of": "a", "quiet": still}}
    return {"files": files, "artefacts": artefacts, "control": control, "scenario": "single-stream"}


@pytest.mark.parametrize(
    ("interval", "still", "outcome"),
    [
        ((2.5, 3.5), True, "pass"),
        ((2.4, 3.5), True, "inconclusive"),
        ((2.0, 2.4), True, "fail"),
        ((2.6, 3.5), False, "inconclusive"),
    ],
)
def test_a_least_speedup_is_judged_by_its_whole_interval(interval, still, outcome):
    checks = judge_bench(record_of(2.45, interval, still), 1, max_p90_ms=None, min_speedup=2.5)
    assert [(one["artefact"], one["outcome"]) for one in checks] == [("b", outcome)]
    both = judge_bench(record_of(2.45, interval), 1, max_p90_ms=2.0, min_speedup=2.5)
    assert [(one["artefact"], one["name"]) for one in both] == [
        ("a", "latency_p90_ms"),
        ("b", "latency_p90_ms"),
        ("b", "speedup"),
    ]


# Energy and clocks


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def test_rapl_adds_the_packages_and_survives_the_wrap_of_a_counter(tmp_path):
    zones = tmp_path / "class/powercap"
    for zone, name, used in (("0", "package-0", 9_000_000), ("1", "package-1", 500_000), ("0:0", "core", 1)):
        write(zones / f"intel-rapl:{zone}" / "name", name)
        write(zones / f"intel-rapl:{zone}" / "energy_uj", used)
        write(zones / f"intel-rapl:{zone}" / "max_energy_range_uj", 10_000_000)
    meter = find_meter({"ort", "null"}, tmp_path)
    assert meter.name == "RAPL package-0, RAPL package-1"
    meter.start()
    write(zones / "intel-rapl:0" / "energy_uj", 2_000_000)  # 3 J later, past its range of 10 J
    write(zones / "intel-rapl:1" / "energy_uj", 1_500_000)
    write(zones / "intel-rapl:0:0" / "energy_uj", 700_000)
    assert meter.stop() == pytest.approx(4.0)
    (zones / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.stop() is None


def test_a_jetsons_sensor_gives_watts_times_seconds(tmp_path):
    sensor = tmp_path / "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    for file, text in {"in1_label": "VDD_IN", "in1_input": 5000, "curr1_input": 1200, "in2_label": "VDD_CPU"}.items():
        write(sensor / file, text)
    meter = find_meter({"ort", "null"}, tmp_path)
    assert meter.name == "INA3221 VDD_IN"
    meter.clock = iter([10.0, 12.5]).__next__
    meter.start()
    assert meter.stop() == pytest.approx(5.0 * 1.2 * 2.5)


def test_one_counter_cannot_tell_of_files_on_two_devices(tmp_path, monkeypatch):
    write(tmp_path / "class/powercap/intel-rapl:0/energy_uj", 1)
    monkeypatch.setattr("edgefair.latency.energy.energy_mj", lambda: 2500)
    names = {}
    for runtimes in (("ort",), ("tensorrt", "null"), ("ort", "tensorrt")):
        names[runtimes] = find_meter(set(runtimes), tmp_path).name[:4]
    assert list(names.values()) == ["RAPL", "the ", "not "]
    meter = find_meter({"tensorrt"}, tmp_path)
    meter.start()
    monkeypatch.setattr("edgefair.latency.energy.energy_mj", lambda: 4000)
    assert meter.stop() == pytest.approx(1.5)


def test_where_nothing_reports_energy_it_is_not_zero(tmp_path):
    write(tmp_path / "class/powercap/intel-rapl:0/name", "package-0")  # energy_uj is not readable
    meter = find_meter({"ort"}, tmp_path)
    assert (meter.name, meter.stop()) == ("not reported", None)
    assert summary(np.ones(4), 2, None)["joules_per_image"] is None
    assert summary(np.ones(4), 2, 16.0)["joules_per_image"] == 2.0


@pytest.mark.parametrize(("meter", "expected"), [(NoMeter(), None), (Counter("c", iter([5.0, 7.0] * 9).__next__), 10)])
def test_the_energy_of_an_artefact_is_the_sum_over_its_rounds(meter, expected):
    clock = Clock()
    rules = Rules(minimum=5, seconds=0, rounds=5)
    samples = interleave({"a": clock.work("a", 1)}, 1, rules, generator(0, "t"), clock=clock, meter=meter)
    assert samples["a"].joules == expected


def test_a_sensor_that_falls_silent_reports_nothing():
    meter = Sampled("s", lambda: None, clock=iter([0.0, 1.0]).__next__)
    meter.start()
    assert meter.stop() is None


def test_clocks_are_those_of_the_cores_in_use(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {1, 3}, raising=False)
    for core, governor, khz in ((0, "powersave", 1), (1, "performance", 2_400_000), (3, "schedutil", 1_500_400)):
        write(tmp_path / f"cpu{core}/cpufreq/scaling_governor", governor)
        write(tmp_path / f"cpu{core}/cpufreq/scaling_cur_freq", khz)
    assert clocks(tmp_path) == {"cores": [1, 3], "governor": "performance, schedutil", "mhz": [2400, 1500]}
    assert clocks(tmp_path / "none") == {"cores": [1, 3], "governor": None, "mhz": None}
