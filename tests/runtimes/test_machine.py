"""What a machine says of itself, read from folders that stand for a Jetson, a server and nothing at all."""

import json

import pytest

from edgefair.runtimes.machine import describe_machine

ORIN = {
    "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\nCPU part\t: 0xd42\n",
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
    "var/lib/nvpmodel/status": "pmode:0001\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=10 NAME=7W >\n< POWER_MODEL ID=0 NAME=15W >\n"
    "< POWER_MODEL ID=1 NAME=25W >\n",
    "var/lib/dpkg/status": "Package: nvidia-jetpack-dev\nVersion: 0\n\nPackage: nvidia-jetpack\n"
    "Status: install ok installed\nVersion: 6.2+b77\n\nPackage: zlib1g\nVersion: 1\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq": "1344000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1344000\n",
    "sys/class/devfreq/17000000.gpu/governor": "nvhost_podgov\n",
    "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "918000000\n",
}


def tree(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_jetson_names_board_release_power_mode_and_clocks(tmp_path):
    found = describe_machine(tree(tmp_path, ORIN))
    assert found["processor"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert found["instructions"] == ["asimddp", "i8mm"]
    assert (found["l4t"], found["jetpack"], found["power_mode"]) == ("36.4.3", "6.2+b77", "25W")
    assert found["cpu_clock"] == {"governor": "schedutil", "min_mhz": 1344.0, "max_mhz": 1344.0}
    assert found["gpu_clock"] == {"governor": "nvhost_podgov", "min_mhz": 306.0, "max_mhz": 918.0}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("missing", "absent"),
    [
        ("etc/nv_tegra_release", ("l4t", "jetpack", "power_mode", "gpu_clock")),
        ("var/lib/nvpmodel/status", ("power_mode",)),
        ("var/lib/dpkg/status", ("jetpack",)),
        ("sys/class/devfreq/17000000.gpu/min_freq", ()),
        ("proc/device-tree/model", ()),
    ],
)
def test_what_cannot_be_read_is_left_out(tmp_path, missing, absent):
    found = describe_machine(tree(tmp_path, {name: text for name, text in ORIN.items() if name != missing}))
    expected = {"l4t", "jetpack", "power_mode", "gpu_clock", "cpu_clock"} - set(absent)
    assert expected <= set(found)
    assert not set(absent) & set(found)
    assert found["processor"]


def test_a_power_mode_without_a_name_is_its_number(tmp_path):
    files = {name: text for name, text in ORIN.items() if name != "etc/nvpmodel.conf"}
    assert describe_machine(tree(tmp_path, files))["power_mode"] == "mode 1"


def test_nvpmodel_itself_is_asked_first_and_may_fail(tmp_path, monkeypatch):
    from edgefair.runtimes import machine

    folder, tools = tree(tmp_path / "root", ORIN), tmp_path / "tools"
    tools.mkdir()
    program = tools / "nvpmodel"
    monkeypatch.setattr(machine, "_ROOT", folder)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    for text, expected in (
        ("echo 'NV Power Mode: MAXN_SUPER'; echo 2; echo 'NVPM ERROR: no rights' >&2; exit 1", "MAXN_SUPER"),
        ("exit 1", "25W"),
    ):
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        assert machine.describe_machine(folder)["power_mode"] == expected


def test_this_machine_and_an_empty_one_are_described(tmp_path):
    here, nowhere = describe_machine(), describe_machine(tmp_path)
    assert set(nowhere) == {"processor", "cores", "instructions", "system", "python"}
    assert set(nowhere) <= set(here)
    assert here == describe_machine()  # settings, not readings
