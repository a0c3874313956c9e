"""Values of a recipe from the options of a command."""

from pathlib import Path


def recipe_values(recipe_file: Path | None, data: str | None, options: dict, settings: tuple[str, ...]) -> dict:
    """The recipe's nested values: the file first, then the options, then --set."""
    from edgefair.recipe import assign, assignment, read

    values = read(recipe_file) if recipe_file else {}
    places = {
        "teacher": "teacher.spec",
        "student": "student.spec",
        "loss": "loss.name",
        "strategy": "strategy.name",
        "lam": "strategy.lam",
        "targets": "deploy.targets",
        "precisions": "deploy.precisions",
        "skip_broken": "data.skip_broken",
        "task": "data.task",
        "group": "data.group",
    }
    if data is not None:
        from edgefair.data import recognise

        for field, value in recognise(data).items():
            assign(values, f"data.{field}", value)
    for name, value in options.items():
        if value not in (None, ()):
            assign(values, places.get(name, name), value)
    for text in settings:
        assign(values, *assignment(text))
    return values
