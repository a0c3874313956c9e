"""[loss] and [strategy]: what the student learns, and how a step keeps it fair."""

from typing import Annotated, Literal

from pydantic import Field

from edgefair.recipe.base import Count, Positive, Section, Share, Weight


class LossRecipe(Section):
    """What the student learns from the teacher."""

    name: str = "rkd"
    """none, ckd, ctkd, rkd, kdpp, fitnet, at or mfd."""
    alpha: Share = 0.9
    """CKD: weight of the soft target term; the cross-entropy gets 1 - alpha."""
    temperature: Positive = 4.0
    """CKD: temperature of both softmaxes."""
    distance_weight: Weight = 25.0
    """RKD: weight of the distance term."""
    angle_weight: Weight = 50.0
    """RKD: weight of the angle term."""

    schedule: Literal["learned", "attenuated"] = "learned"
    """CTKD: a learned temperature against a growing gradient reversal, or `temperature` falling by a fixed rule."""
    temperature_span: Positive = 20.0
    """CTKD: the learned temperature lies between 1 and 1 + this."""
    curriculum_epochs: Count = 10
    """CTKD: epochs until the gradient reversal has its full strength."""
    attenuation: Weight = 0.1
    """CTKD, attenuated: the temperature is divided by 1 + this * (epoch - 1)."""
    kd_weight: Weight = 1.0
    """KD++: weight of the soft target term."""
    nd_weight: Weight = 2.0
    """KD++: weight of the norm-and-direction term."""
    kd_warmup_epochs: Annotated[int, Field(ge=0)] = 20
    """KD++: epochs over which the soft target term grows from 0 to its weight."""
    hint_stage: int = 1
    """FitNet: stage whose maps are compared, counted from 0; -1 is the last."""
    hint_weight: Weight = 100.0
    """FitNet: weight of the hint term."""
    at_weight: Weight = 1000.0
    """AT: weight of the attention term; 1000 belongs to the form "code"."""
    at_form: Literal["code", "paper"] = "code"
    """AT: the squared form of the authors' program, or the norm of their paper."""
    mfd_weight: Weight = 3.0
    """MFD: weight of the group MMD; half of it multiplies the sum over cells."""
    sigma: Positive = 1.0
    """MFD: factor of the kernel's bandwidth."""
    plus_ckd: Weight = 0.0
    """Adds this times T^2 KL(teacher || student) at `temperature` to any loss."""


class StrategyRecipe(Section):
    """How one training step keeps the student fair."""

    name: str = "adversarial"
    """plain, adversarial, intra or bird."""
    lam: Weight = 0.5
    """Strength of the debiasing (`--lambda`); its meaning is the strategy's, and the report prints it."""
    conditional: bool = True
    """Adversarial: the adversary knows the class (equalised odds) rather than not (demographic parity)."""
    adversary_input: Literal["features", "logits"] = "logits"
    """Adversarial: what the adversary sees."""
    form: Literal["reversal", "projection", "confusion"] = "reversal"
    """Adversarial: gradient reversal, Zhang et al.'s projection, or Wang et al.'s confusion loss."""
    target: Literal["group", "soft_group"] = "group"
    """Adversarial: what the adversary guesses: the group, or a continuous attribute in 0 .. 1 (column `soft_group`)."""
    class_weights: dict[str, Weight] = {}  # noqa: RUF012 (pydantic copies it)
    """Adversarial: weight of a class in the adversary's loss, 1 unless named: the classes that matter first."""
    adversary_hidden: Count = 64
    """Adversarial, intra: width of the adversary's or critic's hidden layers."""
    adversary_lr: Positive = 3e-3
    """Adversarial, intra: learning rate of the adversary's or critic's Adam."""
    adversary_steps: Count = 3
    """Adversarial, intra: steps of the adversary or critic for every step of the student."""
    epsilon: Weight = 0.05
    """Intra: predicted disparity that is let pass."""
    margin: Weight = 0.01
    """Intra: what is kept clear of epsilon (delta)."""
    inner_lr: Positive = 0.1
    """BIRD: size of the imagined step of the student (mu_1)."""
    meta_lr: Positive = 1.0
    """BIRD: size of the gate's step (mu_2)."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 1
    """BIRD: epochs before the gate begins to move."""
    gate_start: float = 2.0
    """BIRD: phi at the start; sigmoid(2) lets 88 % of every teacher feature through."""
    meta: bool = True
    """BIRD: move the gate; off leaves the regulariser alone (the paper's ablation)."""
