"""Rows prepared in a second, what each step of `tandem prepare` costs, and how much memory it takes.

`python -m benchmarks.preparing`. Short rows (a question of ten made-up words, an answer of six and a number, one
document for twenty rows) are drawn by a seed and written as JSON lines. Ours is `training.prepare.prepare` from that
file to the published dataset; the rival reads the same file with the `datasets` library, takes out exact duplicates,
splits and writes Parquet: a floor, since it checks nothing, keeps no documents apart and reports nothing. Then ours
runs with one more step at a time. Every run is a process of its own that has everything imported and one small dataset
prepared before its clock starts; counted are its CPU seconds, so that rows a second are for one core, and its peak
memory. `--rows 1000000` shows the memory of a million.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.paired import SEED, Comparison, arguments, in_turns, interval, machine, report

ROWS: Final = 100_000
WARM_ROWS: Final = 200
QUESTIONS: Final = 300
WORDS: Final = 4000
ROWS_OF_A_DOCUMENT: Final = 20

BARE: Final = {"cleaning": {"near_duplicates": False}, "languages": {"detect": False}}
"""Settings without near-duplicate and model-based steps."""
STEPS: Final[Mapping[str, Mapping[str, Any]]] = {
    "near duplicates": {"cleaning": {"near_duplicates": True}},
    "languages": {"languages": {"detect": True}},
    "anonymising (mask)": {"anonymise": {"mode": "mask"}},
    "contamination by questions": {},
}
"""Step → the settings that switch it on; the last one needs questions instead."""


def write_rows(path: Path, count: int) -> None:
    """So many short rows as JSON lines, the same each time."""
    chance = random.Random(SEED)
    words = made_up_words(chance)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            row = {
                "id": f"row-{number}",
                "question": f"{' '.join(chance.choices(words, k=10)).capitalize()}?",
                "answer": f"{' '.join(chance.choices(words, k=6)).capitalize()} {chance.randint(1, 9999)}.",
                "documents": [f"document-{number // ROWS_OF_A_DOCUMENT}.md"],
            }
            file.write(json.dumps(row) + "\n")


def made_up_words(chance: random.Random) -> list[str]:
    """Words of two or three syllables."""
    syllables = [first + vowel for first in "bdfgklmnprstvz" for vowel in "aeiou"]
    return ["".join(chance.choices(syllables, k=chance.randint(2, 3))) for _ in range(WORDS)]


def write_questions(path: Path) -> None:
    """Questions of an evaluation, in other words than the rows'."""
    chance = random.Random(SEED + 1)
    words = made_up_words(chance)
    lines = ({"id": str(number), "question": " ".join(chance.choices(words, k=10))} for number in range(QUESTIONS))
    path.write_text("".join(json.dumps({**line, "answers": ["a"]}) + "\n" for line in lines), encoding="utf-8")


def in_process(action: str, folder: Path, settings: Mapping[str, Any], questions: bool = False) -> tuple[float, float]:
    """CPU seconds and peak mebibytes of one run in a process of its own."""
    given = json.dumps({"settings": settings, "questions": questions})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.preparing", "--child", action, str(folder), given],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return found["seconds"], found["mebibytes"]


def child(action: str, folder: Path, given: Mapping[str, Any]) -> None:
    """What the process does: warm up, run, print."""
    run = {"ours": our_run, "rival": rival_run}[action]
    run(folder / "few.jsonl", folder, given)
    began = time.process_time()
    run(folder / "rows.jsonl", folder, given)
    seconds = time.process_time() - began
    print(json.dumps({"seconds": seconds, "mebibytes": peak_mebibytes()}))


def peak_mebibytes() -> float:
    """Of this program; what `getrusage` says counts the program that started it too."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def our_run(rows: Path, folder: Path, given: Mapping[str, Any]) -> None:
    """`tandem prepare` on one file, in a new workspace."""
    from tandem.settings import Config
    from tandem.workspace import Workspace
    from training.prepare import prepare

    domain = {"examples": str(rows)} | ({"questions": str(folder / "questions.jsonl")} if given["questions"] else {})
    config = Config.model_validate(
        {"base_model": "unused", "training": given["settings"], "domains": {"rows": domain}},
    )
    with tempfile.TemporaryDirectory(dir=folder) as home:
        prepare(config, Workspace.open(Path(home)), "rows")


def rival_run(rows: Path, folder: Path, _: Mapping[str, Any]) -> None:
    """The `datasets` library: read, exact duplicates out, split, write."""
    import datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(dir=folder) as home:
        read = datasets.load_dataset("json", data_files=str(rows), split="train", cache_dir=home)
        seen: set[tuple[str, str]] = set()

        def is_new(question: str, answer: str) -> bool:
            new = (question, answer) not in seen
            seen.add((question, answer))
            return new

        parts = read.filter(is_new, input_columns=["question", "answer"]).train_test_split(0.1, seed=SEED)
        for name, part in parts.items():
            part.to_parquet(str(Path(home) / f"{name}.parquet"))


def compare_with_library(folder: Path, rows: int, rounds: int) -> Iterator[Comparison]:
    """Rows a second for one core, and peak memory, in the same runs."""
    pairs = in_turns(rounds, lambda: in_process("ours", folder, BARE), lambda: in_process("rival", folder, {}))
    ours, rival = "tandem prepare, no near-duplicate or model-based step", "datasets: read, unique, split, write"
    speeds = [(rows / a[0], rows / b[0]) for a, b in pairs]
    yield Comparison("rows prepared a second of one core", ours, rival, "rows/s", speeds, {"rows": rows})
    yield Comparison("peak memory", ours, rival, "MiB", [(a[1], b[1]) for a, b in pairs], {"rows": rows})


def compare_steps(folder: Path, rows: int, rounds: int) -> Iterator[Comparison]:
    """CPU seconds with one step more, beside those without it."""
    for step, more in STEPS.items():
        with_it: Callable[[], tuple[float, float]] = lambda more=more: in_process(  # noqa: E731
            "ours", folder, {**BARE, **more}, questions=not more
        )
        pairs = in_turns(rounds, with_it, lambda: in_process("ours", folder, BARE))
        cost = interval([1e6 * (a[0] - b[0]) / rows for a, b in pairs])
        peaks = interval([a[1] for a, _ in pairs])
        details = {"microseconds_a_row": cost.show(1), "peak_mebibytes": f"{peaks.median:.0f}", "rows": rows}
        values = [(a[0], b[0]) for a, b in pairs]
        yield Comparison(f"CPU seconds with {step}", f"with {step}", "without", "s", values, details)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4]))
        return
    parser = arguments("preparing", "Rows prepared in a second, the cost of each step, and peak memory.", 3)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows (default: %(default)s)")
    options = parser.parse_args()
    before = machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "rows.jsonl", options.rows)
        write_rows(folder / "few.jsonl", WARM_ROWS)
        write_questions(folder / "questions.jsonl")
        comparisons = [
            *compare_with_library(folder, options.rows, options.repetitions),
            *compare_steps(folder, options.rows, options.repetitions),
        ]
    report("preparing", before, comparisons, options.json)


if __name__ == "__main__":
    main()
