"""`tandem demo`: the whole loop on the sample domain, done with the commands that a user would type."""

import json as json_module
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tandem.client import post
from tandem.errors import TandemError, UserError

CONFIGURATION: Final = Path(__file__).resolve().parent.parent / "examples" / "helpdesk" / "tandem.yaml"
DOMAIN: Final = "helpdesk"
NEW_EDITION: Final = CONFIGURATION.with_name("documents-v2")
STARTUP_SECONDS: Final = 300.0
STOP_SECONDS: Final = 45.0
ANSWER_SECONDS: Final = 120.0
READERS: Final = 4
"""Questions in flight while an adapter is swapped."""
EVALUATED: Final = ("--limit", "120", "--concurrency", "16")
"""Of the test questions so many, drawn by a seed: all of them take the demo past six minutes on two cores."""


def run(keep: bool, home: Path | None, json: bool) -> int:
    """Index, train, serve, index the new edition, swap under load, evaluate, and show answers side by side.

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
    """The demo whole."""
    questions = demo_questions(CONFIGURATION.with_name("questions.jsonl"))
    demo.title("Spring: the handbook, and examples of how the house answers")
    demo.command("index", DOMAIN)
    demo.command("prepare", DOMAIN)
    with demo.training() as trained:
        memory = trained("closed-book")
        with demo.server(keep) as wait_until_ready:
            reading = trained("reading")
            demo.title("Autumn: a new edition of the handbook")
            demo.command("index", DOMAIN, os.path.relpath(NEW_EDITION), "--replace")
            stale = demo.stale_examples()
            url = wait_until_ready()
            demo.title("Put the adapters live while questions are being asked")
            demo.swap(memory, "finetuned", url)
            demo.swap(memory, "hybrid", url)
            asked = demo.swap_under_load(reading, memory, url, [row["question"] for row in questions])
            demo.title("Which way is best?")
            verdict = demo.evaluate(url)
            demo.title("The same question, every way")
            for row in questions:
                expected = " or ".join(row["answers"]) or "nothing: no document says it"
                demo.command("compare", DOMAIN, row["question"], "--url", url, project=False)
                demo.say(f"(the handbook says {expected})")
            ask = f'.venv/bin/tandem ask {DOMAIN} "YOUR QUESTION"'
            if keep:
                demo.say(f"\nThe server goes on (process {demo.server_process}). Ask your own:\n  {ask} --url {url}")
                demo.say(f"Stop it with:\n  kill {demo.server_process}")
            else:
                serve = f".venv/bin/tandem serve --config {shlex.quote(os.path.relpath(CONFIGURATION))}"
                demo.say(f"\nAsk your own, in two terminals:\n  make serve          # or: {serve}\n  {ask}")
    return {
        "adapters": {"finetuned": memory, "hybrid": reading},
        "stale": stale,
        "swap": asked,
        "verdict": verdict,
        "url": url if keep else None,
        "home": str(demo.workspace),
    }


class Demo:
    """Runs `tandem` commands on one workspace and shows them with what they print."""

    def __init__(self, workspace: Path, quiet: bool) -> None:
        self.workspace, self.quiet = workspace, quiet
        self.project = ("--config", str(CONFIGURATION), "--home", str(workspace))
        self.server_process = 0

    def say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)

    def title(self, text: str) -> None:
        self.say(f"\n== {text}")

    def command(self, *arguments: str, project: bool = True) -> None:
        """Show one command and run it to its end; what it prints is shown as it comes."""
        self._show(arguments, project)
        output = subprocess.DEVNULL if self.quiet else None
        self._check(arguments, subprocess.run(_tandem(*arguments, *(self.project if project else ())), stdout=output))

    def result(self, *arguments: str, project: bool = True) -> dict[str, Any]:
        """What one command gives as JSON; nothing is shown."""
        given = (*arguments, *(self.project if project else ()), "--json")
        done = subprocess.run(_tandem(*given), stdout=subprocess.PIPE, text=True)
        self._check(arguments, done)
        parsed: dict[str, Any] = json_module.loads(done.stdout)
        return parsed

    @contextmanager
    def training(self) -> Iterator[Callable[[str], str]]:
        """Both kinds of adapter in training at the same time, on half of the cores each.

        Gives a function that waits for one kind, shows what its command printed, and returns the adapter's version.
        """
        commands = {kind: ("train", DOMAIN, "--kind", kind) for kind in ("closed-book", "reading")}
        half = max(1, len(os.sched_getaffinity(0)) // 2)
        environment = {**os.environ, "OMP_NUM_THREADS": str(half)}
        for arguments in commands.values():
            self._show(arguments)
        self.say("  (both at once, for some minutes)")
        with ExitStack() as stack:
            outputs = {kind: stack.enter_context(tempfile.TemporaryFile("w+")) for kind in commands}
            running = {
                kind: subprocess.Popen(_tandem(*arguments, *self.project), stdout=outputs[kind], env=environment)
                for kind, arguments in commands.items()
            }

            def wait_for(kind: str) -> str:
                running[kind].wait()
                outputs[kind].seek(0)
                self.say(outputs[kind].read().rstrip())
                self._check(commands[kind], running[kind])
                adapters = self.result("adapters", "list", DOMAIN)["adapters"]
                return [str(adapter["version"]) for adapter in adapters if adapter["kind"] == kind][-1]

            try:
                yield wait_for
            finally:
                for process in running.values():
                    process.kill()
                    process.wait()

    def stale_examples(self) -> int:
        """How many examples the indexed documents no longer bear out, and say so."""
        self._show(("prepare", DOMAIN))
        report = self.result("prepare", DOMAIN)
        self.say(f"  stale: {len(report['stale'])} examples that the indexed documents no longer bear out")
        return len(report["stale"])

    def swap(self, version: str, variant: str, url: str, expected: str | None = None) -> None:
        """Put an adapter live."""
        known = () if expected is None else ("--expected", expected)
        self.command("adapters", "swap", DOMAIN, version, "--variant", variant, *known, "--url", url, project=False)

    def swap_under_load(self, version: str, expected: str, url: str, questions: Sequence[str]) -> dict[str, Any]:
        """Swap the hybrid variant while readers ask it; how many answers each version gave, and how many failed."""
        readers = Readers(url, questions)
        with readers.asking():
            readers.wait_for(READERS)
            self.swap(version, "hybrid", url, expected)
            readers.wait_for(READERS)
        by_version = ", ".join(f"{count} from {name}" for name, count in readers.answered.items())
        self.say(f"  {READERS} readers asked meanwhile: {by_version}, {len(readers.failed)} failed")
        for message in readers.failed[:1]:
            self.say(f"  the first failure: {message}")
        return {"answered": dict(readers.answered), "failed": len(readers.failed)}

    def evaluate(self, url: str) -> dict[str, Any]:
        """Compare all variants on the test questions; the recommendation and every variant's mean success."""
        self.command("eval", DOMAIN, *EVALUATED, "--url", url)
        newest = max((self.workspace / "verdicts").glob("*/verdict.json"), key=lambda path: path.stat().st_mtime)
        verdict = json_module.loads(newest.read_bytes())
        return {"recommendation": verdict["recommendation"], "folder": str(newest.parent)}

    @contextmanager
    def server(self, keep: bool) -> Iterator[Callable[[], str]]:
        """`tandem serve` on a free port, which starts while other things are done; stopped at the end.

        Gives a function that waits until it is ready and returns its address. With `keep` it is left running when all
        went well.
        """
        arguments = ("serve", "--port", "0")
        self._show(arguments)
        self.say("  (it starts while the rest is done)")
        log = self.workspace / "logs" / "serve.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                _tandem(*arguments, *self.project),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

        def wait_until_ready() -> str:
            url = _wait_for_address(process, log)
            self.say(f"\n  the server is ready at {url}")
            return url

        self.server_process, finished = process.pid, False
        try:
            yield wait_until_ready
            finished = True
        finally:
            if not (keep and finished):
                _stop(process)

    def _show(self, arguments: Sequence[str], project: bool = True) -> None:
        shown = [*arguments, *(("--config", os.path.relpath(CONFIGURATION)) if project else ())]
        self.say(f"\n$ tandem {shlex.join(shown)}")

    def _check(
        self, arguments: Sequence[str], done: "subprocess.CompletedProcess[Any] | subprocess.Popen[Any]"
    ) -> None:
        if done.returncode:
            raise TandemError(f"`tandem {arguments[0]}` failed with status {done.returncode}; its message is above.")


@dataclass
class Readers:
    """Threads that ask the hybrid variant one question after another."""

    url: str
    questions: Sequence[str]
    answered: Counter[str] = field(default_factory=Counter)
    """Answers by the adapter version that they report."""
    failed: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _ended: bool = False

    @contextmanager
    def asking(self) -> Iterator[None]:
        """The readers ask while the context lasts; it ends when their last answers are there."""
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(READERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended = True
            for thread in threads:
                thread.join()

    def wait_for(self, more: int) -> None:
        """Return once so many more questions have been answered or have failed."""
        with self._changed:
            enough = self._count() + more
            self._changed.wait_for(lambda: self._count() >= enough, ANSWER_SECONDS)

    def _ask(self, number: int) -> None:
        while not self._ended:
            body = {"domain": DOMAIN, "variant": "hybrid", "question": self.questions[number % len(self.questions)]}
            number += 1
            try:
                version = post(self.url, "/v1/ask", body, None, ANSWER_SECONDS)["versions"]["adapter"]
            except (TandemError, KeyError) as error:
                with self._changed:
                    self.failed.append(str(error))
                    self._changed.notify_all()
            else:
                with self._changed:
                    self.answered[version] += 1
                    self._changed.notify_all()

    def _count(self) -> int:
        return self.answered.total() + len(self.failed)


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
