"""The pages about containers, Kubernetes and restarts say what their files and the server say."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pagi.cli.main import main
from pagi.server.config import OPTIONS
from pagi.server.supervisor.signals import NOT_FOR_WORKERS, SIGNALS
from pagi.server.supervisor.supervisor import KILL_GRACE
from tests.docs.test_readme import TIMEOUT, environment

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
HOW_TO = ROOT / "docs" / "how-to"
CONTAINER, KUBERNETES, RESTARTS, MIGRATE = (
    (HOW_TO / f"{name}.md").read_text(encoding="utf-8")
    for name in ("container", "kubernetes", "restarts", "migrate")
)
IMAGE = (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", "")
#: Where the page lets the application be.
CURRENT = "/srv/app/current"


def instruction(name: str) -> list[str]:
    """Return the words of the last instruction of this name."""
    found = re.findall(rf"^{name} (.*)$", IMAGE, re.MULTILINE)
    return list(json.loads(found[-1][found[-1].index("[") :]))


def commands() -> list[str]:
    """Return the ``pagi run`` and ``pagi check`` lines of the pages."""
    blocks = re.findall(
        r"^```console\n(.*?)^```",
        "\n".join((CONTAINER, KUBERNETES, RESTARTS, MIGRATE)),
        re.MULTILINE | re.DOTALL,
    )
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    return [line[2:] for line in lines if re.search(r"\bpagi (run|check) ", line)]


@pytest.fixture(scope="module")
def documents() -> list[Any]:
    """Return what the manifest declares."""
    yaml: Any = pytest.importorskip("yaml")
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PAGI_")]:
        if name != "PAGI_PURE_PYTHON":
            monkeypatch.delenv(name)


def effective(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the configuration that the words of a command line make."""
    status = main(["config", "--format", "json", *words])
    said = capsys.readouterr()
    assert status == 0, said.err
    return {name: each["value"] for name, each in json.loads(said.out).items()}


# --- files and pages -------------------------------------------------------------------------


def test_the_pages_show_the_files() -> None:
    whole = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert whole.partition("\n\n")[2] in CONTAINER
    assert (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8") in KUBERNETES


@pytest.mark.parametrize("command", commands())
def test_commands_of_the_pages_are_accepted(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pagi.toml").touch()
    words = shlex.split(command.replace(CURRENT, str(tmp_path)), comments=True)

    effective(words[words.index("pagi") + 2 :], capsys)


# --- the image -------------------------------------------------------------------------------


def test_pagi_check_accepts_the_command_of_the_image() -> None:
    words = instruction("CMD")
    assert words[:2] == ["pagi", "run"]
    done = subprocess.run(
        [sys.executable, "-m", "pagi", "check", *words[2:]],
        cwd=DEPLOY / "example",
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr


def test_the_image_is_as_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    config = effective(instruction("CMD")[2:], capsys)
    user = re.findall(r"^USER (\d+):(\d+)$", IMAGE, re.MULTILINE)
    ports = re.findall(r"^EXPOSE (\d+)$", IMAGE, re.MULTILINE)

    assert f"useradd --uid {user[0][0]} " in IMAGE
    assert ports == [str(config["port"])]
    assert "STOPSIGNAL SIGTERM\n" in IMAGE
    assert f"http://127.0.0.1:{admin_port(config)}/healthz" in IMAGE
    numbers = [config[name] for name in ("shutdown_timeout", "lifespan_shutdown_timeout")]
    total = config["drain_delay"] + sum(numbers) + KILL_GRACE
    assert f"--stop-timeout {total:g}" in CONTAINER
    assert f"stop_grace_period: {total:g}s" in CONTAINER
    assert f"--drain-delay {config['drain_delay']:g}" in CONTAINER


def admin_port(config: dict[str, Any]) -> int:
    return int(str(config["admin"]).rpartition(":")[2])


def test_every_line_of_the_image_is_explained() -> None:
    explained = "".join(re.findall(r"^\| (`.*?) \|", CONTAINER, re.MULTILINE))
    for name in set(re.findall(r"^([A-Z]+) ", IMAGE, re.MULTILINE)):
        assert name in explained


@pytest.fixture
def image_process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run the command of the image on free ports, under a supervisor as process 1 does."""
    words = [*instruction("CMD")[2:], "--port", "0", "--admin", "127.0.0.1:0", "--workers", "1"]
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "pagi", "run", *words],
            cwd=DEPLOY / "example",
            env=environment(),
            stderr=out,
            text=True,
        )
    try:
        yield process, log
    finally:
        process.kill()
        process.wait()


def test_the_health_check_of_the_image_works(
    image_process: tuple[subprocess.Popen[str], Path],
) -> None:
    process, log = image_process
    until(lambda: "admin process is ready" in log.read_text() and "1 is ready" in log.read_text())
    port = re.findall(r"admin on \S+:(\d+)", log.read_text())[0]
    words = [sys.executable, *instruction("HEALTHCHECK.*? CMD")[1:]]
    words[-1] = words[-1].replace(":9100/", f":{port}/")
    ready = words[-1].replace("healthz", "readyz")

    assert subprocess.run(words, timeout=TIMEOUT).returncode == 0
    assert subprocess.run([*words[:-1], ready], timeout=TIMEOUT).returncode == 0
    process.send_signal(signal.SIGTERM)
    until(lambda: "drain_delay" in log.read_text())
    assert subprocess.run([*words[:-1], ready], stderr=subprocess.DEVNULL).returncode == 1
    assert subprocess.run(words, timeout=TIMEOUT).returncode == 0
    process.send_signal(signal.SIGTERM)  # ends the delay
    assert process.wait(TIMEOUT) == 0


# --- Kubernetes ------------------------------------------------------------------------------


def of_kind(documents: list[Any], kind: str) -> Any:
    return next(each["spec"] for each in documents if each["kind"] == kind)


def pod_of(documents: list[Any]) -> Any:
    return of_kind(documents, "Deployment")["template"]


def container_of(documents: list[Any]) -> Any:
    return pod_of(documents)["spec"]["containers"][0]


def configured(documents: list[Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    arguments = container_of(documents)["args"]
    assert arguments[:2] == ["pagi", "run"]
    return effective(arguments[2:], capsys)


def test_ports_are_those_of_the_server(
    documents: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config, pod = configured(documents, capsys), pod_of(documents)
    ports = {port["name"]: port["containerPort"] for port in container_of(documents)["ports"]}
    notes = pod["metadata"]["annotations"]

    assert ports == {"http": config["port"], "admin": admin_port(config)}
    assert config["host"] == "0.0.0.0"
    assert config["admin"].startswith("0.0.0.0:")
    assert f"on port {ports['admin']}," in KUBERNETES
    assert notes["prometheus.io/port"] == str(ports["admin"])
    assert notes["prometheus.io/path"] == "/metrics"
    assert [port["targetPort"] for port in of_kind(documents, "Service")["ports"]] == ["http"]


def test_labels_belong_together(documents: list[Any]) -> None:
    labels = pod_of(documents)["metadata"]["labels"]
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert of_kind(documents, kind)["selector"]["matchLabels"] == labels
    assert of_kind(documents, "Service")["selector"] == labels


@pytest.mark.parametrize(
    ("name", "path"),
    [("startupProbe", "/readyz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")],
)
def test_probes_are_as_the_page_says(documents: list[Any], name: str, path: str) -> None:
    probe = container_of(documents)[name]
    row = re.findall(rf"^\| `{name}` \| (.*)$", KUBERNETES, re.MULTILINE)[0]
    times = probe["failureThreshold"]

    assert probe["httpGet"] == {"path": path, "port": "admin"}
    assert f"`{path}` every {probe['periodSeconds']} s" in row
    if times > 1:
        assert f"{times} times" in row
    if name == "startupProbe":
        assert f"has {times * probe['periodSeconds']} s to load" in row


def test_the_grace_period_is_long_enough(
    documents: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(documents, capsys)
    names = ("drain_delay", "shutdown_timeout", "lifespan_shutdown_timeout")
    parts = [config[name] for name in names]
    grace = pod_of(documents)["spec"]["terminationGracePeriodSeconds"]

    assert "preStop" not in (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")
    assert grace == sum(parts) + KILL_GRACE
    assert " + ".join(f"{part:g}" for part in parts) + f" = {sum(parts):g}" in KUBERNETES
    assert f"With {KILL_GRACE:g} seconds more, {grace}," in KUBERNETES
    rows = re.findall(r"^\| (?:until )?(\d+) s \|", KUBERNETES, re.MULTILINE)
    ends = [0, parts[0], sum(parts[:2]), sum(parts), grace, grace]
    assert [int(row) for row in rows] == ends


def test_resources_fit_the_workers(
    documents: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config, resources = configured(documents, capsys), container_of(documents)["resources"]
    workers, limit = config["workers"], config["max_memory"]

    assert resources["requests"]["cpu"] == str(workers)
    assert resources["limits"] == {"memory": resources["requests"]["memory"]} == {"memory": "1Gi"}
    assert workers * limit < 1 << 30
    assert f"here {workers}." in KUBERNETES
    assert f"at {limit >> 20} MiB, of which {workers} fit into 1 GiB" in KUBERNETES


def test_disruptions_are_as_the_page_says(documents: list[Any]) -> None:
    replicas = of_kind(documents, "Deployment")["replicas"]
    away = of_kind(documents, "PodDisruptionBudget")["maxUnavailable"]

    assert f"at most {away} pod of the {replicas} is away" in KUBERNETES
    assert of_kind(documents, "Deployment")["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert pod_of(documents)["spec"]["enableServiceLinks"] is False


# --- restarts --------------------------------------------------------------------------------


def test_the_table_of_signals_is_complete() -> None:
    section = RESTARTS[RESTARTS.index("## Signals") : RESTARTS.index("## A stop")]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    names = {re.findall(r"`(\w+)`", row[0])[0]: row[3].rstrip(" |") for row in rows}

    assert {f"SIG{name}" for name in names} == {each.name for each in SIGNALS} - {"SIGCHLD"}
    ignored = {f"SIG{name}" for name, worker in names.items() if worker == "ignored"}
    assert ignored == {each.name for each in NOT_FOR_WORKERS}
    reference = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    assert [name for name in names if f"SIG{name}" not in reference] == []


def test_times_are_the_defaults() -> None:
    told = re.findall(r"\[`(\w+)`\]\([^)]*\) \((\d+ s|off)\)", RESTARTS)

    assert len(told) >= 5
    for name, time_ in told:
        seconds = None if time_ == "off" else float(time_.removesuffix(" s"))
        assert OPTIONS[name].default == seconds, name
    assert f"what is still there {KILL_GRACE:g} s after both timeouts is killed" in RESTARTS


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so; there is nobody who would tell."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


RELEASE = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"{}"}})
"""


def test_a_release_behind_a_link_is_found(tmp_path: Path) -> None:
    """HUP loads the application through the link, USR2 the program as well."""
    current, pid_file, log = tmp_path / "current", tmp_path / "pid", tmp_path / "log"

    def switch(number: int) -> None:
        release = tmp_path / f"release{number}"
        release.mkdir()
        (release / "main.py").write_text(RELEASE.format(number))
        (release / "pagi.toml").touch()
        (tmp_path / "next").symlink_to(release)
        os.replace(tmp_path / "next", current)

    def served() -> str:
        port = re.findall(r"listening on \S+:(\d+)", log.read_text())[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=TIMEOUT) as answer:
            return str(answer.read().decode())

    switch(1)
    command = next(each for each in commands() if "--pid-file" in each)
    words = shlex.split(command.replace(CURRENT, str(current)))
    words[: words.index("pagi") + 1] = [sys.executable, "-m", "pagi"]
    words[words.index("--pid-file") + 1] = str(pid_file)
    words[words.index("--workers") + 1] = "1"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*words, "--port", "0"], cwd=current, env=environment(), stderr=out
        )
    try:
        until(lambda: "1 is ready" in log.read_text())
        assert served() == "1"
        switch(2)
        process.send_signal(signal.SIGHUP)
        until(lambda: served() == "2")
        switch(3)
        process.send_signal(signal.SIGUSR2)
        until(lambda: served() == "3")
        assert process.wait(TIMEOUT) == 0
    finally:
        process.kill()
        process.wait()
        if pid_file.exists():
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
    until(lambda: not pid_file.exists())
