"""`tandem demo`: the main job on the sample domain, done with the commands that a user would type."""

import json as json_module
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tandem.errors import TandemError, UserError

CONFIGURATION: Final = Path(__file__).resolve().parent.parent / "examples" / "helpdesk" / "tandem.yaml"
DOMAIN: Final = "helpdesk"
STARTUP_SECONDS: Final = 300.0
STOP_SECONDS: Final = 45.0


def run(keep: bool, home: Path | None, json: bool) -> int:
    """Index the sample domain, serve it, ask three questions with an answer and one without.

    `home` None takes a temporary workspace, removed at the end unless `keep` leaves the server running. Returns the
    exit status. Raises UserError when the sample domain is not there, TandemError when a step fails.
    """
    if not CONFIGURATION.is_file():
        raise UserError(f"The sample domain is not at {CONFIGURATION}: run the demo from a checkout of the project.")
    began = time.monotonic()
    workspace = home or Path(tempfile.mkdtemp(prefix="tandem-demo-"))
    try:
        report = _demo(Demo(workspace, quiet=json), keep)
    finally:
        if home is None and not keep:
            shutil.rmtree(workspace, ignore_errors=True)
    report["seconds"] = round(time.monotonic() - began, 1)
    if json:
        print(json_module.dumps(report, ensure_ascii=False))
    else:
        print(f"\nDone in {report['seconds']:.0f} s.")
    return 0


def demo_questions(path: Path) -> list[dict[str, Any]]:
    """The questions of a file that are marked `"demo": true`, in its order."""
    rows = [json_module.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [row for row in rows if row.get("demo")]


def _demo(demo: "Demo", keep: bool) -> dict[str, Any]:
    """The demo whole: index, serve, ask, and how to go on."""
    demo.say(demo.command("index", DOMAIN, *demo.project).rstrip())
    with demo.server(keep) as url:
        answers = []
        for row in demo_questions(CONFIGURATION.with_name("questions.jsonl")):
            answers.append({"question": row["question"], "expected": row["answers"], **demo.ask(row, url)})
        ask = f'.venv/bin/tandem ask {DOMAIN} "YOUR QUESTION" --url {url}'
        serve = f".venv/bin/tandem serve --config {shlex.quote(os.path.relpath(CONFIGURATION))}"
        if keep:
            demo.say(f"\nThe server goes on (process {demo.server_process}). Ask your own:\n  {ask}")
            demo.say(f"Stop it with:\n  kill {demo.server_process}")
        else:
            own = f'.venv/bin/tandem ask {DOMAIN} "YOUR QUESTION"'
            demo.say(f"\nAsk your own, in two terminals:\n  make serve          # or: {serve}\n  {own}")
    return {"answers": answers, "url": url if keep else None, "home": str(demo.workspace)}


class Demo:
    """Runs `tandem` commands on one workspace and shows them with what they print."""

    def __init__(self, workspace: Path, quiet: bool) -> None:
        self.workspace, self.quiet = workspace, quiet
        self.project = ("--config", str(CONFIGURATION), "--home", str(workspace))
        self.server_process = 0

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)

    def command(self, *arguments: str) -> str:
        """Show one command, run it to its end, and return its output."""
        self._show(arguments)
        done = subprocess.run(_tandem(*arguments), stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise TandemError(f"`tandem {arguments[0]}` failed with status {done.returncode}; its message is above.")
        return done.stdout

    def ask(self, row: dict[str, Any], url: str) -> dict[str, Any]:
        """Ask one question, show answer and citations beside what the handbook says."""
        answer: dict[str, Any] = json_module.loads(self.command("ask", DOMAIN, row["question"], "--url", url, "--json"))
        self.say(f"  {answer['answer']}")
        for citation in answer["citations"]:
            self.say(f"    [{citation['marker']}] {citation['document']}: “{' '.join(citation['quote'].split())}”")
        expected = " or ".join(row["answers"]) or "nothing: no document says it"
        self.say(f"    (the handbook says {expected}; {answer['timings_ms']['total']:.0f} ms)")
        return answer

    @contextmanager
    def server(self, keep: bool) -> Iterator[str]:
        """A running `tandem serve` on a free port; stopped at the end unless `keep` and all went well."""
        arguments = ("serve", *self.project, "--port", "0")
        self._show(arguments)
        log = self.workspace / "logs" / "serve.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                _tandem(*arguments), stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
            )
        self.server_process, finished = process.pid, False
        try:
            began = time.monotonic()
            url = _wait_for_address(process, log)
            self.say(f"  ready at {url} after {time.monotonic() - began:.0f} s")
            yield url
            finished = True
        finally:
            if not (keep and finished):
                _stop(process)

    def _show(self, arguments: tuple[str, ...]) -> None:
        shown = [argument for argument in arguments if argument not in self.project and argument != "--json"]
        if "--config" in arguments:
            shown += ["--config", os.path.relpath(CONFIGURATION)]
        self.say(f"\n$ tandem {shlex.join(shown)}")


def _tandem(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tandem.cli", *arguments]


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that `tandem serve` prints once it is ready."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            if line.startswith("Tandem listens at "):
                return line.split()[3]
        if process.poll() is not None:
            raise TandemError(f"The server did not start: {' '.join(text.splitlines()[-3:])}")
        time.sleep(0.1)
    raise TandemError(f"The server was not ready after {STARTUP_SECONDS:.0f} s; its log is {log}.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
