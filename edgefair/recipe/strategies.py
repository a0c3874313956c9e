"""[strategy]: how a step keeps the student fair. One class a strategy, of the settings that this strategy reads.

The strategy itself is the class of the same name in edgefair.strategies, which this file may not import: recipes need
no torch.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgefair.recipe.base import Count, Positive, Section, Share, Weight
from edgefair.recipe.choice import Choice


class StrategySettings(Section):
    """What every strategy has."""

    name: str
    lam: Weight = 0.5
    """Strength of the debiasing (`--lambda`); its meaning is the strategy's, and the report prints it."""

    needs_groups: ClassVar[bool] = True
    """Whether it has nothing to do on data without groups."""
    post_hoc: ClassVar[bool] = False
    """Whether it changes a network after its training, also one that is used as it is."""

    @property
    def needs_teacher(self) -> bool:
        """Whether it changes what a teacher says, so that it cannot train a teacher."""
        return False

    def without_warmup(self) -> "StrategySettings":
        """The same without epochs in which it does less: for a student that is trained already."""
        return self


class PlainSettings(StrategySettings):
    """No debiasing; lambda is accepted and not used."""

    name: Literal["plain"] = "plain"

    needs_groups: ClassVar[bool] = False


class EstimateSettings(StrategySettings):
    """What a strategy needs to know of the (class, group) cells, of which a batch has few rows each."""

    estimate: Literal["running", "batch"] = "running"
    """Over many batches, without what may be noise, and with a gradient of at most lambda times the task's; or of each
    batch alone, as published."""
    memory: Count = 50
    """Estimate running: how many batches the means reach back."""


class OpponentSettings(StrategySettings):
    """The network that a student is trained against: an adversary or a critic."""

    adversary_hidden: Count = 64
    """Width of the adversary's or critic's hidden layers."""
    adversary_lr: Positive = 3e-3
    """Learning rate of the adversary's or critic's Adam."""
    adversary_steps: Count = 3
    """Steps of the adversary or critic for every step of the student."""


class AdversarialSettings(OpponentSettings, EstimateSettings):
    """The student unlearns what lets an adversary guess the group."""

    name: Literal["adversarial"] = "adversarial"
    conditional: bool = True
    """The adversary knows the class (equalised odds) rather than not (demographic parity)."""
    adversary_input: Literal["features", "logits"] = "logits"
    """What the adversary sees."""
    form: Literal["reversal", "projection", "confusion"] = "reversal"
    """Gradient reversal, Zhang et al.'s projection, or Wang et al.'s confusion loss."""
    target: Literal["group", "soft_group"] = "group"
    """What the adversary guesses: the group, or a continuous attribute in 0 .. 1 (column `soft_group`)."""
    class_weights: dict[str, Weight] = {}  # noqa: RUF012 (pydantic copies it)
    """Weight of a class in the adversary's loss, 1 unless named: the classes that matter first."""


class IntraSettings(OpponentSettings):
    """The objective weighs more where a critic predicts a disparity."""

    name: Literal["intra"] = "intra"
    epsilon: Weight = 0.05
    """Predicted disparity that is let pass."""
    margin: Weight = 0.01
    """What is kept clear of epsilon (delta)."""


class BirdSettings(EstimateSettings):
    """A gate on the teacher's features follows the student's gaps on meta rows."""

    name: Literal["bird"] = "bird"
    inner_lr: Positive = 0.1
    """Size of the imagined step of the student (mu_1)."""
    meta_lr: Positive = 1.0
    """Size of the gate's step (mu_2)."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 1
    """Epochs before the gate begins to move."""
    gate_start: float = 2.0
    """phi at the start; sigmoid(2) lets 88 % of every teacher feature through."""
    meta: bool = True
    """Move the gate; off leaves the regulariser alone (the paper's ablation)."""

    @property
    def needs_teacher(self) -> bool:
        return self.meta

    def without_warmup(self) -> "BirdSettings":
        return self.model_copy(update={"warmup_epochs": 0})


class ShareSettings(StrategySettings):
    """Strategies between plain training and their own form."""

    lam: Share = 1.0
    """Share of the strategy's own form (`--lambda`): 0 is plain training, 1 the form as published."""


class LastLayerSettings(ShareSettings):
    """The last layer is fitted again, after training, on rows with as many of every (class, group) cell."""

    name: Literal["last-layer"] = "last-layer"
    rows: Literal["meta", "validation", "train"] = "meta"
    """Which rows it is fitted on; validation rows are those by which epochs and settings are chosen, and on training
    rows a network shows less of its gaps."""
    penalty: Literal["l2", "l1"] = "l2"
    """Penalty of the fit: half the sum of the squared weights, or the sum of their sizes."""
    strengths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
    """Inverse strengths C of the penalty that are tried on a held half of the rows."""
    draws: Count = 10
    """Balanced draws whose fits are averaged."""
    most_rows: Count = 500
    """Most rows of a cell in a draw."""

    post_hoc: ClassVar[bool] = True


class ReweightSettings(ShareSettings):
    """Every (class, group) cell counts as much in what is learned."""

    name: Literal["reweight"] = "reweight"


class GroupDroSettings(ShareSettings):
    """The (class, group) cells with the largest losses count more and more."""

    name: Literal["group-dro"] = "group-dro"
    step_size: Positive = 0.01
    """Step of the cells' weights: each is multiplied by exp(step * loss) at every batch."""
    adjustment: Weight = 1.0
    """C of the generalisation adjustment C / sqrt(rows of the cell), which is added to a cell's loss in that step."""
    memory: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Decay of the moving average of a cell's loss that its weight follows; 0 takes each batch's alone."""


class LogitAdjustSettings(StrategySettings):
    """The shares of the classes in training are taken out of the last layer's bias, after training."""

    name: Literal["logit-adjust"] = "logit-adjust"
    lam: Weight = 1.0
    """What the logarithm of a class's share is multiplied by (`--lambda`); 1 makes every class as likely beforehand."""

    needs_groups: ClassVar[bool] = False
    post_hoc: ClassVar[bool] = True


class AfrSettings(ShareSettings):
    """The last layer is fitted again, after training, on rows that count more where it is unsure; needs no groups."""

    name: Literal["afr"] = "afr"
    rows: Literal["train", "meta"] = "train"
    """Which rows it is fitted on; validation rows choose gamma."""
    gammas: Annotated[tuple[Weight, ...], Field(min_length=1)] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
    """Exponents that are tried: a row counts exp(-gamma * probability of its class)."""
    anchor: Weight = 0.1
    """Weight of the squared distance to the trained last layer."""
    judge: Literal["cell", "class"] = "cell"
    """What gamma is chosen by: the worst (class, group) cell where groups are known, or the worst class."""

    needs_groups: ClassVar[bool] = False
    post_hoc: ClassVar[bool] = True


class LagrangianSettings(StrategySettings):
    """Equal recalls in all groups of a class, as a constraint whose multipliers grow while it is broken."""

    name: Literal["lagrangian"] = "lagrangian"
    memory: Count = 50
    """How many batches the means of the cells reach back."""
    rate: Positive = 0.3
    """How far a multiplier moves at each step, for a gap of 1."""


AnyStrategy = Annotated[
    PlainSettings
    | AdversarialSettings
    | IntraSettings
    | BirdSettings
    | ReweightSettings
    | GroupDroSettings
    | LastLayerSettings
    | LogitAdjustSettings
    | AfrSettings
    | LagrangianSettings,
    Field(discriminator="name"),
]
STRATEGY = Choice.of(AnyStrategy, "strategy", "strategies")
