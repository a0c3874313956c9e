"""Several processes train the student that one would train."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.func import jvp
from torch.nn import functional

from edgefair.models import create
from edgefair.models.parallel import SINGLE_PROCESS, ProcessGroup, shared_batch_norm
from tests.helpers.parallel_worker import CASES, QUIET, recipe_of, stages, train


@pytest.fixture
def double():
    """Networks in double precision, where rounding over six steps stays far below any real difference."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def launched(tmp_path_factory) -> Path:
    """What two processes on this machine trained, which talk over gloo."""
    folder = tmp_path_factory.mktemp("launched")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "tests.helpers.parallel_worker", str(folder)]
    around = {**os.environ, "OMP_NUM_THREADS": "1", "EDGEFAIR_CACHE": str(folder / "cache"), "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, env=around, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_the_student_of_one(launched, case, tmp_path):
    expected = train(case, tmp_path)
    both = [torch.load(launched / f"{case}.{rank}.pt", weights_only=True) for rank in (0, 1)]
    for name, value in expected.items():
        assert torch.equal(both[0][name], both[1][name])
        torch.testing.assert_close(both[0][name], value, rtol=1e-6, atol=1e-8)
    start = create("cifar:resnet8", 10, 1).state_dict()
    moved = [(expected[name] - start[name]).abs().max() for name in start if start[name].is_floating_point()]
    assert max(moved) > 1e-2  # far more than the tolerance
    assert (launched / case / "checkpoint.pt").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_the_main_job_trains_in_all_processes_and_one_writes(launched, tmp_path):
    from edgefair.models.factory import read_weights

    stages(recipe_of("adversarial"), tmp_path, QUIET)
    for name in ("teacher/teacher.safetensors", "student.safetensors"):
        (_, alone), (_, found) = (read_weights(folder / name) for folder in (tmp_path, launched / "run"))
        for key, value in alone.items():
            torch.testing.assert_close(found[key], value, rtol=1e-6, atol=1e-8)


def test_one_process_is_the_plain_call():
    model, images = create("cifar:resnet8", 3, 0).eval(), torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    assert torch.equal(SINGLE_PROCESS.forward(model, images).logits, model(images).logits)
    gradients = [torch.ones(2), None]
    assert all(a is b for a, b in zip(SINGLE_PROCESS.all_reduce(gradients), gradients, strict=True))
    assert SINGLE_PROCESS.broadcast_object("word") == "word"


@pytest.mark.parametrize(("rows", "size"), [(5, 2), (8, 3), (2, 3), (7, 7)])
def test_every_row_has_its_process(rows, size):
    images = torch.arange(rows)
    parts = [ProcessGroup(rank, size).local_shard(images) for rank in range(size)]
    if rows < size:
        assert all(torch.equal(part, images) for part in parts)
    else:
        assert torch.equal(torch.cat(parts), images)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_shared_statistics_are_batch_normalisation(monkeypatch):
    """With one process the sums are its own: value, gradient, forward mode and running statistics are torch's."""
    monkeypatch.setattr("torch.distributed.all_reduce", lambda x: None)
    random = torch.Generator().manual_seed(0)
    x, along, pull = (torch.randn(6, 3, 4, 4, generator=random, dtype=torch.float32) for _ in range(3))
    weight, bias = torch.rand(3, generator=random), torch.rand(3, generator=random)
    found = []
    for function in (functional.batch_norm, shared_batch_norm):
        mean, variance = torch.zeros(3), torch.ones(3)
        leaf = x.clone().requires_grad_()
        value = function(leaf, mean, variance, weight, bias, True, 0.3, 1e-5)
        (gradient,) = torch.autograd.grad((value * pull).sum(), leaf)
        tangent = jvp(lambda x, f=function: f(x, None, None, weight, bias, True, 0.3, 1e-5), (x,), (along,))[1]
        found.append((value, gradient, tangent, mean, variance))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
