"""The documentation shows only what exists, and the check that says so sees what does not."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def check(*pages: Path) -> subprocess.CompletedProcess[str]:
    """Run `make docs-check`'s script."""
    command = [sys.executable, "scripts/docs_check.py", *map(str, pages)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_every_command_in_the_documentation_exists() -> None:
    finished = check()
    assert finished.stderr == ""
    assert finished.returncode == 0


def test_what_does_not_exist_is_named_with_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n```bash\n"
        "make setup\n"
        "make nothing\n"
        "tandem nothing\n"
        ".venv/bin/tandem ask helpdesk 'a | b' --nothing x  # a remark\n"
        "tandem serve --config nowhere/tandem.yaml\n"
        "python -m training.nothing\n"
        "curl -s http://127.0.0.1:8321/v1/models | python3 -m json.tool\n"
        'curl http://127.0.0.1:8321/v1/ask \\\n  -d \'{"domain": "a",\n  "question": "b"}\'\n'
        "curl -s http://127.0.0.1:8321/v1/nothing && cd nowhere/folder\n"
        "TANDEM_HOME=x tandem index example\n"
        "tandem init mine && cd mine\n"
        "tandem serve --config mine/tandem.yaml\n"
        "docker compose --profile cpu up --build --wait\n"
        "docker compose --profile tpu up\n"
        "docker compose --profile gpu exec tandem-cpu tandem ask --nothing\n"
        "docker compose run --rm nothing tandem\n"
        "```\n<!-- docs-check: skip shows what is coming -->\n```bash\nmake later\n```\n```text\nmake text\n```\n"
    )
    finished = check(page)
    assert finished.returncode == 1
    assert finished.stderr.splitlines() == [
        "page.md:4: there is no target `make nothing`",
        "page.md:5: there is no `tandem nothing`",
        "page.md:6: `tandem ask` has no option --nothing",
        "page.md:7: there is no file nowhere/tandem.yaml",
        "page.md:8: there is no module training.nothing",
        "page.md:13: the gateway has no route GET /v1/nothing",
        "page.md:13: there is no file nowhere/folder",
        "page.md:18: compose.yaml has no profile tpu",
        "page.md:19: the service tandem-cpu is not in the profile gpu",
        "page.md:19: `tandem ask` has no option --nothing",
        "page.md:20: compose.yaml has no service nothing",
        "page.md:20: there is no `tandem tandem`",
    ]
    assert finished.stdout == "docs-check: 19 commands, 12 wrong\n"
