"""Targets: what a file ships for. Each names the runtime that executes it, what it holds and how INT8 is written."""

from dataclasses import dataclass

from edgefair.errors import RecipeError
from edgefair.recipe import DeployRecipe
from edgefair.runtimes import runtime_class


@dataclass(frozen=True)
class Target:
    """precisions: all it can execute as what they say; dialect: how its quantised files are written (quantize/)."""

    runtime: str
    precisions: tuple[str, ...]
    dialect: str


TARGETS = {
    "ort-cpu": Target("ort", ("fp32", "int8"), "ort-cpu"),
    # The CUDA provider runs Q/DQ as quantise, dequantise, float convolution: what TensorRT computes, but slower.
    "ort-cuda": Target("ort-cuda", ("fp32", "fp16", "int8"), "tensorrt"),
    "openvino": Target("openvino", ("fp32", "int8"), "openvino"),
    "tensorrt": Target("tensorrt", ("fp32", "fp16", "int8", "fp8"), "tensorrt"),
    "tensorrt-rtx": Target("tensorrt-rtx", ("fp32", "fp16", "int8", "fp8"), "tensorrt"),
}
ON_REQUEST = ("fp8",)  # only where asked for: it takes a GPU of compute capability 8.9


def chosen(deploy: DeployRecipe) -> list[tuple[str, str]]:
    """The (target, precision) pairs of a recipe, in order; without targets, all that this machine can run.

    Raises RecipeError where a target executes none of the precisions, or its files cannot be built here.
    """
    targets = deploy.targets or tuple(
        name for name, target in TARGETS.items() if not runtime_class(target.runtime).why_not_run()
    )
    if not targets:
        raise RecipeError("this machine can run none of the targets; install one: pip install 'edgefair[onnx]'.")
    pairs = []
    for name in dict.fromkeys(targets):
        offered = TARGETS[name].precisions
        wanted = deploy.precisions or tuple(p for p in offered if p not in ON_REQUEST)
        found = [(name, precision) for precision in offered if precision in wanted]
        if not found and deploy.targets:
            raise RecipeError(
                f"target '{name}' executes {', '.join(offered)}; asked for is {', '.join(deploy.precisions)}. "
                "Change --precision or --target."
            )
        if reason := runtime_class(TARGETS[name].runtime).why_not_build():
            raise RecipeError(f"files for the target '{name}' cannot be built here: {reason}")
        pairs += found
    if not pairs:
        raise RecipeError(
            f"none of the targets that this machine can run ({', '.join(targets)}) executes "
            f"{', '.join(deploy.precisions)}; name a target with --target, such as tensorrt-rtx."
        )
    return pairs
