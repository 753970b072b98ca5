"""The files for container engines, Kubernetes, systemd and Prometheus: valid, hardened, and about what exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.nginx import Nginx, needs_nginx
from trigger_api.app import create_app
from trigger_api.observability.metrics import Metrics
from trigger_api.settings import SECRETS, Settings
from trigger_api.tasks import TASKS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
ALERTS = DEPLOY / "prometheus" / "alerts.yml"

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def manifest(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes" / f"{name}.yaml").read_text("utf-8"))
    return content


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return content


@pytest.mark.skipif(find_spec("kubernetes_validate") is None, reason="kubernetes-validate is not installed")
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_kubernetes_knows_every_field(path: Path) -> None:
    import kubernetes_validate

    for document in yaml.safe_load_all(path.read_text("utf-8")):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_every_manifest_is_about_the_same_pods() -> None:
    labels = manifest("deployment")["spec"]["template"]["metadata"]["labels"]
    assert manifest("service")["spec"]["selector"] == labels
    assert manifest("pdb")["spec"]["selector"]["matchLabels"] == labels
    assert manifest("networkpolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert manifest("hpa")["spec"]["scaleTargetRef"]["name"] == manifest("deployment")["metadata"]["name"]


def test_the_autoscaler_asks_for_the_metric_that_the_adapter_makes() -> None:
    (metric,) = manifest("hpa")["spec"]["metrics"]
    (rule,) = yaml.safe_load(manifest("prometheus-adapter")["data"]["config.yaml"])["rules"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]


def test_pods_have_time_to_finish() -> None:
    pod = manifest("deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    drain = next(int(each["value"]) for each in container["env"] if each["name"] == "TRIGGER_API_DRAIN_S")
    assert pod["terminationGracePeriodSeconds"] > container["lifecycle"]["preStop"]["sleep"]["seconds"] + drain
    assert int(compose()["x-node"]["stop_grace_period"].rstrip("s")) > Settings().drain_s


@pytest.mark.skipif(find_spec("check_jsonschema") is None, reason="check-jsonschema is not installed")
def test_the_compose_specification_knows_every_field() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_service_is_hardened_limited_and_asked_for_its_health() -> None:
    services = compose()["services"]
    assert set(services) == {"nginx", "node-1", "node-2", "database", "prometheus", "grafana"}
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        assert "healthcheck" in service or name.startswith("node-"), name  # a node's is in its image
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text("utf-8")


def test_every_file_that_compose_mounts_exists_but_its_secrets() -> None:
    content = compose()
    mounted = [each.split(":")[0] for service in content["services"].values() for each in service.get("volumes", [])]
    assert not [path for path in mounted if path.startswith("./") and not (ROOT / path).exists()]
    assert all(each["file"].startswith("./secrets/") for each in content["secrets"].values())


def test_compose_names_secrets_and_addresses_that_are_read() -> None:
    content = compose()
    secrets = set(content["x-node"]["secrets"])
    assert {each.removeprefix("trigger_api_") for each in secrets} <= Settings.model_fields.keys()
    assert str(SECRETS) == "/run/secrets"
    nodes = {content["services"][name]["networks"]["nodes"]["ipv4_address"] for name in ("node-1", "node-2")}
    assert set(re.findall(r"server ([\d.]+):8000", (DEPLOY / "compose" / "nodes.conf").read_text("utf-8"))) == nodes
    trusted = content["x-node"]["environment"]["FORWARDED_ALLOW_IPS"]
    assert content["services"]["nginx"]["networks"]["nodes"]["ipv4_address"] == trusted


def test_secrets_are_made_once(tmp_path: Path) -> None:
    script = tmp_path / "deploy" / "compose" / "make-secrets.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(DEPLOY / "compose" / "make-secrets.sh", script)
    subprocess.run([script], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert made.keys() == compose()["secrets"].keys()
    assert made["postgres_password"].strip() in made["trigger_api_database_url"]
    assert len(made["trigger_api_tokens"].strip()) == 48
    subprocess.run([script], check=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made
    settings = Settings(_secrets_dir=tmp_path / "secrets")
    assert [token.get_secret_value() for token in settings.tokens] == [made["trigger_api_tokens"].strip()]


@needs_nginx
def test_nginx_takes_the_files_of_compose(tmp_path: Path) -> None:
    made = Nginx(tmp_path, [])
    for name in ("nodes.conf", "listen.conf"):
        shutil.copy(DEPLOY / "compose" / name, tmp_path / "trigger_api" / name)
    made.check()


def test_nginx_knows_every_stream_of_events_and_every_prediction() -> None:
    server = (DEPLOY / "nginx" / "trigger_api" / "server.conf").read_text("utf-8")
    predictions, events = (re.compile(each) for each in re.findall(r"^location ~ (\S+) \{", server, re.MULTILINE))
    paths = create_app(Settings()).openapi()["paths"]
    assert [path for path in paths if path.endswith("/events")]
    assert all(events.search(path) for path in paths if path.endswith("/events"))
    assert all(predictions.search(path) for path in paths if path.endswith("/infer"))
    found = {path for path in paths if predictions.search(path)}
    assert {"/", "/predict", "/api", *(f"/v1/{task.name}" for task in TASKS if f"/v1/{task.name}" in paths)} <= found


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("path", sorted((DEPLOY / "systemd").iterdir()), ids=lambda path: path.name)
def test_systemd_knows_every_line(path: Path, tmp_path: Path) -> None:
    unit = tmp_path / path.name
    unit.write_text(path.read_text("utf-8").replace("/opt/trigger-api/bin/trigger-api", "/bin/true"), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    ["check rules alerts.yml", "test rules alerts_test.yml", "check config --syntax-only prometheus.yml"],
)
def test_prometheus_takes_its_files(arguments: str) -> None:
    command = ["promtool", *arguments.split()]
    done = subprocess.run(command, cwd=ALERTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    rules = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"][0]["rules"]
    tested = yaml.safe_load((ALERTS.parent / "alerts_test.yml").read_text("utf-8"))["tests"]
    fired = {each["alertname"] for test in tested for each in test["alert_rule_test"] if each.get("exp_alerts")}
    assert {rule["alert"] for rule in rules} == fired


@pytest.mark.parametrize("path", [ALERTS, DEPLOY / "kubernetes" / "prometheus-adapter.yaml", *DASHBOARDS], ids=str)
def test_every_metric_that_is_named_exists(path: Path) -> None:
    text = path.read_text("utf-8").replace("trigger_api_queue_seconds_mean", "")  # the adapter's own
    named = set(re.findall(r"\b(?:trigger_api|process)_[a-z_]+", text))
    known = {sample for family in Metrics().registry.collect() for sample in names_of(family)}
    assert named
    assert named <= known


def names_of(family: Any) -> set[str]:
    """The names of a metric's series: those of counters and histograms have endings."""
    endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    return {family.name + ending for ending in endings.get(family.type, [""])}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_titles_and_do_not_overlap(path: Path) -> None:
    panels = [each for each in json.loads(path.read_text("utf-8"))["panels"] if each["type"] != "row"]
    assert len({panel["title"] for panel in panels}) == len(panels)
    cells = [cell for panel in panels for cell in cells_of(panel["gridPos"])]
    assert len(set(cells)) == len(cells)
    assert all(target["expr"] for panel in panels for target in panel["targets"])


def cells_of(place: dict[str, int]) -> list[tuple[int, int]]:
    columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    assert columns.stop <= 24
    return [(column, row) for column in columns for row in rows]
