"""The cron line, the systemd unit and the GitHub Actions job of the guide: their commands are run as written."""

from __future__ import annotations

import configparser
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from support import CLEAN, ROOT, Exit, Sandbox, run_shell, run_words

EXAMPLES = ROOT / "examples" / "monitoring"
HOME = "/opt/nexla-data-flows-operator"


@pytest.fixture
def places(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """The fixed places of the examples, and what stands for them here."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "var").mkdir()
    env_file, webhook = tmp_path / "etc" / "health.env", tmp_path / "etc" / "webhook"
    env_file.write_text(f"NEXLA_API_URL={sandbox.url}\nNEXLA_SERVICE_KEY={sandbox.key}\n")
    webhook.write_text("https://hooks.example.com/services/x\n")
    for file in (env_file, webhook):
        file.chmod(0o600)
    return {
        f"{HOME}/.venv/bin/python": sys.executable, ".venv/bin/python": sys.executable, HOME: str(ROOT),
        "/etc/nexla": str(tmp_path / "etc"), "/var/lib/nexla": str(tmp_path / "var"),
    }  # fmt: skip


def here(text: str, places: dict[str, str]) -> str:
    longest_first = "|".join(re.escape(fixed) for fixed in sorted(places, key=len, reverse=True))
    return re.sub(longest_first, lambda match: places[match[0]], text)


def test_the_cron_line_runs_in_a_bare_environment(places: dict[str, str], tmp_path: Path) -> None:
    (line,) = [line for line in (EXAMPLES / "crontab").read_text().splitlines() if not line.startswith("#")]
    fields = line.split(maxsplit=5)
    assert fields[:5] == ["*/15", "*", "*", "*", "*"]
    assert "%" not in fields[5]  # cron would end the command there
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SHELL": "/bin/sh"}
    done = run_words(["/bin/sh", "-c", here(fields[5], places)], env=bare).ok()
    assert (done.out, done.err) == ("", "")  # nothing to mail
    assert {file.name for file in (tmp_path / "var").iterdir()} >= {"state.json", "health.html", "health.json"}


def test_the_systemd_unit_runs_and_its_timer_is_valid(places: dict[str, str], tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(EXAMPLES / "nexla-health.service")
    command = here(unit["Service"]["ExecStart"], places)
    run_words(["/bin/sh", "-c", command], env={"HOME": str(tmp_path)}).ok()
    assert unit["Service"]["SuccessExitStatus"] == "10"
    timer = configparser.ConfigParser()
    timer.read(EXAMPLES / "nexla-health.timer")
    assert timer["Timer"]["OnCalendar"] == "*:0/15"
    if shutil.which("systemd-analyze"):
        run_words(["systemd-analyze", "calendar", "*:0/15"], env=CLEAN).ok()


def test_the_github_job_runs_and_writes_its_summary(sandbox: Sandbox, tmp_path: Path) -> None:
    job = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())["jobs"]["health"]
    save = next(step for step in job["steps"] if step.get("uses", "").startswith("actions/cache/save"))
    assert save["if"] == "always()"  # a plain cache is saved only when the job is green
    (step,) = [step for step in job["steps"] if "health_check.py" in step.get("run", "")]
    for name in ("scripts", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    summary = tmp_path / "summary.md"
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    env = {**sandbox.env, "PATH": path, "GITHUB_STEP_SUMMARY": str(summary)}
    assert set(step["env"]) == {"NEXLA_SERVICE_KEY", "NEXLA_ALERT_WEBHOOK"}
    run_shell(step["run"], cwd=tmp_path, env=env).ok()
    assert summary.read_text().startswith("### Nexla health: 0 unhealthy, 0 unknown, 3 healthy")
    sandbox.api("PUT", "/data_sinks/123/pause")
    run_shell(step["run"], cwd=tmp_path, env=env).ends(Exit.FINDINGS)
