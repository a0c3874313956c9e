"""A grid's file becomes cells: lists are crossed, alternatives go together, what makes no difference is one cell."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.errors import RecipeError
from edgefair.files import flat
from edgefair.pipeline.sweep.folder import SweepFolder
from edgefair.pipeline.sweep.grid import expand, read_grid
from edgefair.recipe import assign, parse


def shown(grid, *names):
    """The values of some settings in every cell."""
    return [tuple(flat(cell.recipe.model_dump(mode="json")).get(name) for name in names) for cell in grid.cells]


def written(tmp_path, text):
    file = tmp_path / "grid.toml"
    file.write_text(text)
    return file


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.floats(0, 9), min_size=1, max_size=3, unique=True),
    st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(["ckd", "rkd", "mfd", "none"]), min_size=1, max_size=3, unique=True),
)
def test_lists_are_crossed_in_their_order_and_each_cell_is_the_recipe_that_one_would_write(lams, seeds, losses):
    grid = expand({"grid": {"strategy": {"lam": lams}, "seed": seeds, "loss": {"name": losses}}})
    assert [cell.number for cell in grid.cells] == list(range(len(lams) * len(seeds) * len(losses)))
    for cell, (lam, seed, loss) in zip(grid.cells, itertools.product(lams, seeds, losses), strict=True):
        values = {"threads": 1}
        for name, value in (("strategy.lam", lam), ("seed", seed), ("loss.name", loss)):
            assign(values, name, value)
        assert cell.recipe == parse(values)
    assert len({cell.name for cell in grid.cells}) == len(grid.cells)


def test_alternatives_go_together_and_settle_what_lists_would_set(tmp_path):
    grid = read_grid(
        written(
            tmp_path,
            """
            [grid]
            strategy.lam = [0.25, 1.0]
            [[grid.method]]
            strategy = "plain"
            train.sampling = "cell"
            [[grid.method]]
            strategy = "bird"
            [[grid.method]]
            strategy = {name = "intra", lam = 0.1}
            """,
        )
    )
    assert shown(grid, "strategy.name", "strategy.lam", "train.sampling") == [
        ("plain", 0.5, "cell"),
        ("bird", 0.25, "shuffle"),
        ("intra", 0.1, "shuffle"),
        ("bird", 1.0, "shuffle"),
    ]
    assert [cell.varied["strategy.lam"] for cell in grid.cells] == [None, 0.25, 0.1, 1.0]
    assert (grid.same, grid.left_out) == (2, 0)


def test_a_section_may_be_given_by_its_name_and_as_alternatives_of_its_own_settings():
    sets = [{"name": "trifeature", "train_rows": 300}, {"name": "trifeature", "train_rows": 400}]
    grid = expand({"base": {"loss": "ckd", "teacher": "cifar:resnet8"}, "grid": {"data": sets, "lambda": [0.5]}})
    assert shown(grid, "data.train_rows", "loss.name", "teacher.spec", "strategy.lam") == [
        (300, "ckd", "cifar:resnet8", 0.5),
        (400, "ckd", "cifar:resnet8", 0.5),
    ]
    assert list(grid.cells[0].varied) == ["data.train_rows"]


def test_a_setting_of_one_loss_makes_one_cell_of_the_others():
    grid = expand({"grid": {"loss": {"name": ["ckd", "rkd"], "alpha": [0.5, 0.9]}}})
    assert shown(grid, "loss.name", "loss.alpha") == [("ckd", 0.5), ("ckd", 0.9), ("rkd", None)]
    assert grid.same == 1


def test_the_base_may_be_a_recipe_of_another_loss(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(parse({"loss": {"name": "rkd"}, "train": {"epochs": 7}}).to_toml())
    text = f'[base]\nrecipe = "{recipe}"\nteacher.epochs = 3\n[grid]\nloss = ["rkd", "ckd"]\n'
    grid = read_grid(written(tmp_path, text))
    assert shown(grid, "loss.name", "train.epochs", "teacher.epochs") == [("rkd", 7, 3), ("ckd", 7, 3)]


def test_cells_are_left_out_by_value_or_list_of_values():
    values = {"grid": {"loss": {"name": ["ckd", "rkd"], "temperature": [2.0, 4.0]}, "seed": [0, 1]}}
    rules = [{"loss": {"name": "rkd", "temperature": 2.0}}, {"loss": "ckd", "seed": [1, 2]}]
    grid = expand({**values, "leave-out": rules})
    assert shown(grid, "loss.name", "loss.temperature", "seed") == [
        ("ckd", 2.0, 0),
        ("ckd", 4.0, 0),
        ("rkd", 4.0, 0),
        ("rkd", 4.0, 1),
    ]
    assert grid.left_out == 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"grid": {"seed": 1}}, r"grid.seed is 1; a list of values is needed, such as grid.seed = \[0, 1\]"),
        ({"grid": {"seed": []}}, r"grid.seed is \[\]; a list of values"),
        ({"grid": {"strategy": {"lamb": [1.0]}}}, r"cell with strategy.lamb = 1.0: 'strategy.lamb' .* 'lam'"),
        ({"grid": {"loss": {"alpha": [0.5]}}, "base": {"loss": "rkd"}}, r"grid.loss.alpha: no cell .* ckd, ctkd"),
        ({"grid": {"lambda": [1.0]}, "base": {"strategy": "plain"}}, r"grid.strategy.lam: no cell .* adversarial"),
        ({"grid": {"seed": [0, -1]}}, r"in the cell with seed = -1: seed: a number of at least 0"),
        ({"grid": {"seed": [0]}, "leave-out": [{"seed": 5}]}, r"leave-out .*'seed': 5.* no combination"),
        ({"grid": {"seed": list(range(200)), "train": {"epochs": list(range(1, 102))}}}, r"20,200 combinations"),
    ],
)
def test_what_is_wrong_in_a_grid_is_named(values, message):
    with pytest.raises(RecipeError, match=message):
        expand(values)


def test_an_unknown_table_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"'gird' is no table of a grid: did you mean 'grid'"):
        read_grid(written(tmp_path, "[gird]\nseed = [1]\n"))


def test_the_grid_that_is_written_down_has_the_same_cells(tmp_path):
    text = '[grid]\nstrategy.lam = [0.25, 1.0]\nseed = [0, 1]\n[[grid.method]]\nloss = "ckd"\n[[grid.method]]\n'
    grid = read_grid(written(tmp_path, text + 'loss = "rkd"\n[[leave-out]]\nseed = 1\nloss = "rkd"\n'))
    sweep = SweepFolder(tmp_path / "sweep", grid)
    sweep.write_grid()
    again = read_grid(sweep.path / "grid.toml")
    assert again.cells == grid.cells
    assert sweep.cell("3") == sweep.cell(again.cells[3].name) == again.cells[3]
    with pytest.raises(RecipeError, match=r"--cell 6: there is no such cell; the grid has cells 0 to 5"):
        sweep.cell("6")
