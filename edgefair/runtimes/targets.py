"""Which targets a run makes files for, and what the table of targets says of a runtime."""

from edgefair.errors import RecipeError
from edgefair.recipe import DeploySettings
from edgefair.recipe.targets import ON_REQUEST, PRECISIONS, TARGETS, Target
from edgefair.runtimes import runtime_class

__all__ = ["ON_REQUEST", "PRECISIONS", "TARGETS", "Target", "is_engine", "resolve_targets", "runs_on_gpu", "target_of"]


def target_of(runtime: str) -> str:
    """The target whose files this runtime executes; raises RecipeError where there is none."""
    runtime_class(runtime)
    for name, target in TARGETS.items():
        if target.runtime == runtime:
            return name
    known = ", ".join(target.runtime for target in TARGETS.values())
    raise RecipeError(f"nothing is built for the runtime '{runtime}'; allowed are {known}.")


def runs_on_gpu(runtime: str) -> bool:
    """Whether the energy and memory that a runtime uses are a GPU's."""
    return any(target.gpu for target in TARGETS.values() if target.runtime == runtime)


def is_engine(runtime: str) -> bool:
    """Whether its files are engines: opening one runs code, so a manifest must list it."""
    return any(not target.executes_onnx for target in TARGETS.values() if target.runtime == runtime)


def resolve_targets(deploy: DeploySettings) -> list[tuple[str, str]]:
    """The (target, precision) pairs of a recipe, in order; without targets, all that this machine can run.

    Raises RecipeError where a target executes none of the precisions, or its files cannot be built here.
    """
    targets = deploy.targets or tuple(
        name for name, target in TARGETS.items() if not runtime_class(target.runtime).run_unavailable_reason()
    )
    if not targets:
        raise RecipeError("this machine can run none of the targets; install one: pip install 'edgefair[onnx]'.")
    builds: list[tuple[str, str]] = []
    for name in dict.fromkeys(targets):
        offered = TARGETS[name].precisions
        wanted: tuple[str, ...] = deploy.precisions or tuple(p for p in offered if p not in ON_REQUEST)
        found = [(name, precision) for precision in offered if precision in wanted]
        if not found and deploy.targets:
            raise RecipeError(
                f"target '{name}' executes {', '.join(offered)}; requested: {', '.join(deploy.precisions)}. "
                "Change --precision or --target."
            )
        if reason := runtime_class(TARGETS[name].runtime).build_unavailable_reason():
            raise RecipeError(f"files for the target '{name}' cannot be built here: {reason}")
        builds += found
    if not builds:
        raise RecipeError(
            f"none of the targets that this machine can run ({', '.join(targets)}) executes "
            f"{', '.join(deploy.precisions)}; name a target with --target, such as tensorrt-rtx."
        )
    return builds
