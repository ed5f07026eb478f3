"""The container files: nothing runs as root or writes to its own image, and nobody but this machine reaches a port."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
OURS = ("app", "nightly")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))["services"]


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    job = yaml.safe_load((DOCKER / "nightly-cronjob.yaml").read_text("utf-8"))
    return job["spec"]["jobTemplate"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """(instruction, its arguments), lines that go on joined."""
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(words[0], " ".join(words[1:])) for line in lines if (words := line.split())]


# ---- the image


def test_the_image_ends_with_a_user_that_is_not_root(steps: list[tuple[str, str]]):
    final = steps[max(index for index, (word, _) in enumerate(steps) if word == "FROM") :]
    users = [arguments for word, arguments in final if word == "USER"]
    assert users == ["10001:10001"]


def test_the_image_asks_its_own_health_without_curl(steps: list[tuple[str, str]]):
    check = next(arguments for word, arguments in steps if word == "HEALTHCHECK")
    assert "python" in check
    assert "/livez" in check
    assert "curl" not in check


def test_the_image_pins_the_torch_of_the_project_and_installs_it_first(steps: list[tuple[str, str]]):
    project = re.search(r'"(torch==[\d.]+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    installs = [arguments for word, arguments in steps if word == "RUN" and "pip install" in arguments]
    assert project is not None
    assert installs[0].endswith(project.group(1))


def test_the_image_holds_every_package_of_the_project(steps: list[tuple[str, str]]):
    copied = {arguments.split()[0] for word, arguments in steps if word == "COPY"}
    assert {"rag", "eval", "retriever_training", "ui", "docs"} <= copied
    assert all((ROOT / name).exists() for name in copied if not name.startswith("--"))


def test_the_build_context_lets_in_what_the_image_copies(steps: list[tuple[str, str]]):
    allowed = set(re.findall(r"^!(.+)$", (DOCKER / "Dockerfile.dockerignore").read_text("utf-8"), re.MULTILINE))
    from_context = [arguments.split()[:-1] for word, arguments in steps if word == "COPY" and "--from" not in arguments]
    assert {name for names in from_context for name in names} == allowed


def test_the_image_never_asks_a_model_hub(steps: list[tuple[str, str]]):
    environment = " ".join(arguments for word, arguments in steps if word == "ENV")
    assert "HF_HUB_OFFLINE=1" in environment
    assert "NIGHTJAR_DATA=/data" in environment


# ---- compose


@pytest.mark.parametrize("name", ["app", "nightly", "chroma", "postgres"])
def test_every_service_is_locked_down(services: dict[str, Any], name: str):
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "cap_add" not in service
    assert not service.get("privileged", False)
    assert {"mem_limit", "cpus", "pids_limit", "stop_grace_period", "tmpfs"} <= set(service)


def test_only_loopback_ports_are_published(services: dict[str, Any]):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 1
    assert all(str(port).startswith("127.0.0.1:") for port in ports)
    assert all(service.get("network_mode") is None for service in services.values())


def test_only_the_application_starts_without_a_profile(services: dict[str, Any]):
    assert [name for name, service in services.items() if "profiles" not in service] == ["app"]


def test_app_and_night_share_image_and_state(services: dict[str, Any]):
    assert services["app"]["image"] == services["nightly"]["image"]
    assert services["app"]["volumes"] == services["nightly"]["volumes"]
    assert services["app"]["volumes"][0] == "nightjar-data:/data"


def test_documents_are_mounted_for_reading_only(services: dict[str, Any]):
    assert [volume for volume in services["app"]["volumes"] if volume.endswith("/documents:ro")]


def test_the_commands_and_flags_of_the_containers_exist(services: dict[str, Any], pod: dict[str, Any]):
    from ui.cli import app

    root = typer.main.get_command(app)
    for name, *flags in (services["app"]["command"], pod["containers"][0]["args"]):
        command: click.Command = root.commands[name]  # type: ignore[attr-defined]
        known = {flag for option in command.params for flag in [*option.opts, *option.secondary_opts]}
        chosen = [re.sub(r"\$\{\w+:-(.*)\}", r"\1", flag) for flag in flags]
        assert {flag for flag in chosen if flag.startswith("--")} <= known


def test_the_environment_of_the_containers_is_accepted(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    """With nothing set, every variable has the default of its setting, save the names that are answered to."""
    from rag.settings import Settings, load_settings

    for name, value in services["app"]["environment"].items():
        default = re.fullmatch(r"\$\{\w+:-(.*)\}", value)
        assert default is not None, name
        if name.startswith("NIGHTJAR"):
            monkeypatch.setenv(name, default.group(1))
    accepted, ours = load_settings(), Settings()
    assert accepted.server.hosts == ("localhost",)
    assert accepted.model_copy(update={"server": ours.server}).model_dump() == ours.model_dump()


def test_without_accounts_only_this_machines_names_are_answered_to(services: dict[str, Any]):
    from rag.settings import load_settings
    from ui.auth.setup import served_host_names

    assert services["app"]["command"][-1] == "${NIGHTJAR_SIGN_IN:---no-accounts}"
    served = load_settings(server={"host": "0.0.0.0", "hosts": ["localhost"]}, accounts={"required": "never"})
    assert served_host_names(served) == {"localhost", "127.0.0.1", "::1"}


def test_the_night_of_compose_sleeps_until_the_hour(services: dict[str, Any]):
    script = services["nightly"]["command"][0].replace("$$", "$")
    seconds = re.search(r'sleep "\$\((.*)\)"; do', script)
    assert seconds is not None
    sums = f'NIGHTJAR__SCHEDULE__AT=$(date -d "+1 hour" +%H:%M); echo "$({seconds.group(1)})"'
    done = subprocess.run(["/bin/sh", "-c", sums], capture_output=True, text=True, check=True)
    assert 3539 <= int(done.stdout) <= 3602


def test_docker_itself_can_read_the_compose_file():
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("there is no docker client with the compose plugin here")
    every = ["--profile", "nightly", "--profile", "chroma", "--profile", "postgres"]
    command = [docker, "compose", "-f", str(DOCKER / "compose.yaml"), *every, "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- Kubernetes


def test_two_nights_never_run_at_once_on_kubernetes():
    job = yaml.safe_load((DOCKER / "nightly-cronjob.yaml").read_text("utf-8"))
    assert job["kind"] == "CronJob"
    assert job["spec"]["concurrencyPolicy"] == "Forbid"


def test_the_pod_of_the_night_is_locked_down(pod: dict[str, Any]):
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"requests", "limits"} <= set(container["resources"])


def test_the_pod_writes_where_the_image_expects_it(pod: dict[str, Any]):
    assert {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]} == {"/data", "/tmp"}
