"""Images, compose file and scripts of deploy/: what can be known of them without Docker and without a Jetson."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
IMAGES = ("Dockerfile", "deploy/jetson/Dockerfile")
SCRIPTS = ("deploy/install.sh", "deploy/run_on_device.sh", "deploy/jetson/install.sh")
BESIDE = Path(sys.executable).parent


def instructions(name):
    """(instruction, words) of a Dockerfile, continued lines joined."""
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", (ROOT / name).read_text())).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


@pytest.mark.parametrize("name", IMAGES)
def test_what_an_image_copies_and_runs_is_there(name):
    known = instructions(name)
    assert {word for word, _ in known} <= {"ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "ENTRYPOINT", "CMD"}
    copied = [shlex.split(rest)[:-1] for word, rest in known if word == "COPY"]
    assert copied
    for path in (path for sources in copied for path in sources):
        assert (ROOT / path).exists(), path
    for word, rest in known:
        for path in re.findall(r"(?:^|\s)(deploy/\S+\.sh)", rest) if word == "RUN" else []:
            assert os.access(ROOT / path, os.X_OK), path
            assert ["."] in copied or any(path in sources for sources in copied)
        for path in re.findall(r'"/edgefair/([^"]+)"', rest):
            assert (ROOT / path).is_file(), path


def test_the_base_of_the_device_image_is_the_users_to_name():
    known = instructions("deploy/jetson/Dockerfile")
    assert known[:2] == [("ARG", "BASE"), ("FROM", "${BASE}")]
    readme = (ROOT / "deploy" / "README.md").read_text()
    for text in ("l4t-jetpack:r36.4.0", "| 10.3 |", "| 11.4.1 |", "ubuntu24.04"):
        assert text in readme


def test_no_file_of_deploy_names_a_registry():
    for path in (ROOT / "Dockerfile", *(ROOT / "deploy").rglob("*")):
        if path.is_file():
            named = re.findall(r"(?:FROM |image: |BASE=)\S*?[\w-]+\.[a-z]{2,}/\S+", path.read_text())
            assert named == [], path


def test_the_compose_file_names_files_that_are_there():
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    assert set(services) == {"job", "tests", "device"}
    for service in services.values():
        context = (ROOT / "deploy" / service["build"]["context"]).resolve()
        assert context == ROOT.resolve()
        assert (context / service["build"]["dockerfile"]).is_file()
        arguments = {rest.split("=")[0] for word, rest in instructions(service["build"]["dockerfile"]) if word == "ARG"}
        assert set(service["build"].get("args", {})) == arguments
    for name in ("job", "tests"):
        (device,) = services[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device["capabilities"] == ["gpu"]
    assert services["device"]["runtime"] == "nvidia"


def test_the_commands_of_the_compose_file_are_commands():
    from edgefair.cli import cli

    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    command, *arguments = services["job"]["command"]
    cli.commands[command].make_context(command, list(arguments))  # raises where an option is unknown
    done = subprocess.run(
        ["sh", str(ROOT / "deploy/run_on_device.sh"), *services["device"]["command"]], capture_output=True, text=True
    )
    assert "/kit/kit.json is missing" in done.stderr  # the options are known, the kit is not there


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_posix_and_clean(name):
    path = ROOT / name
    assert path.read_bytes().startswith(b"#!/bin/sh\n")
    assert os.access(path, os.X_OK)
    subprocess.run(["sh", "-n", str(path)], check=True)
    checker = shutil.which("shellcheck", path=f"{BESIDE}{os.pathsep}{os.environ['PATH']}")
    if checker is None:
        pytest.skip("shellcheck is not installed")
    subprocess.run([checker, str(path)], check=True)


def test_a_device_is_told_which_tensorrt_is_known(tmp_path):
    command = [str(ROOT / "deploy/jetson/install.sh"), str(tmp_path / "venv"), "9.1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "give 10.3 or 11.4.1" in done.stderr) == (2, True)
    assert not (tmp_path / "venv").exists()


@pytest.mark.slow
def test_nothing_is_newer_than_the_python_of_the_oldest_device():
    """JetPack 6 has TensorRT for Python 3.10 alone."""
    command = [str(BESIDE / "vermin"), "-t=3.10-", "--no-tips", "--violations", str(ROOT / "edgefair")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
