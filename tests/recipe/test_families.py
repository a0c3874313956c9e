"""Learning rates that fit the network, on photographs, where nothing else is said."""

import pytest

from edgefair.recipe import parse
from edgefair.recipe.families import FAMILIES, family

PHOTOGRAPHS = {"name": "fairface", "path": "faces"}


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("timm:vit_tiny_patch16_224", "transformers"),
        ("torchvision:vit_b_32", "transformers"),
        ("clip:vit_b_32", "transformers"),
        ("timm:swin_tiny_patch4_window7_224.ms_in1k", "transformers"),
        ("flava", "transformers"),
        ("timm:deit_tiny_distilled_patch16_224", "transformers"),
        ("timm:efficientnet_b3", "EfficientNets, MobileNets and the like"),
        ("timm:tf_efficientnet_lite0", "EfficientNets, MobileNets and the like"),
        ("torchvision:mobilenet_v3_large", "EfficientNets, MobileNets and the like"),
        ("shufflenet_v2", "EfficientNets, MobileNets and the like"),
        ("cifar:resnet8", "ResNets for small images"),
        ("timm:resnet18", "all others"),
        ("clip:resnet50", "all others"),
        ("timm:convnext_atto", "all others"),
    ],
)
def test_every_network_has_a_family(spec, name):
    assert family(spec).name == name


def test_teacher_and_student_get_the_rates_of_their_own_families():
    recipe = parse(
        {
            "data": PHOTOGRAPHS,
            "teacher": {"spec": "timm:efficientnet_b3", "pretrained": True},
            "student": {"spec": "timm:vit_tiny_patch16_224"},
        }
    )
    mobile, transformers = FAMILIES[1], FAMILIES[0]
    assert recipe.teacher.lr == mobile.published["lr"] < 2e-3
    assert (recipe.train.lr, recipe.train.warmup) == (transformers.random["lr"], transformers.random["warmup"])
    assert recipe.teacher.optimizer == recipe.train.optimizer == "adamw"


@pytest.mark.parametrize(
    ("values", "lr"),
    [
        ({}, 2e-3),
        ({"teacher": {"lr": 0.3, "spec": "timm:vit_tiny_patch16_224"}}, 0.3),
        ({"teacher": {"optimizer": "sgd"}}, 0.1),
        ({"teacher": {"spec": "clip:vit_b_32", "pretrained": True, "freeze": True}}, 2e-3),
        ({"teacher": {"spec": "file:runs/efficientnet/teacher.safetensors"}}, 2e-3),
        ({"teacher": {"spec": "timm:resnet18", "weights": "resnet18.safetensors"}}, 5e-4),
        ({"data": {"name": "trifeature"}, "teacher": {"spec": "timm:vit_tiny_patch16_224"}}, 0.1),
    ],
)
def test_what_is_said_counts_first(values, lr):
    assert parse({"data": PHOTOGRAPHS} | values).teacher.lr == lr


def test_a_recipe_that_is_written_reads_back_the_same():
    from edgefair.recipe.recipe import tomllib

    recipe = parse({"data": PHOTOGRAPHS, "student": {"spec": "timm:vit_tiny_patch16_224"}})
    assert parse(tomllib.loads(recipe.to_toml())) == recipe
