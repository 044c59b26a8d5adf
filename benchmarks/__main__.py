"""`make bench`: runs every benchmark of this folder as a program of its own, or those named on the command line.

Options after the names go to each of them: `python -m benchmarks gateway training --json --repetitions 20`.
"""

import pkgutil
import subprocess
import sys

import benchmarks

SHARED = {"__main__", "large_model", "made_index", "paired"}
"""Modules that are no benchmarks."""


def names() -> list[str]:
    """The benchmarks, in the order in which they run."""
    return sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in SHARED)


def main(words: list[str]) -> int:
    """Run the benchmarks; each prints its own table. The exit status is 1 when one of them fails."""
    first = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    wanted, options = words[:first], words[first:]
    unknown = [name for name in wanted if name not in names()]
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there is {', '.join(names())}.", file=sys.stderr)
        return 2
    if options and not wanted:
        print(f"Options are for benchmarks that are named before them: {', '.join(names())}.", file=sys.stderr)
        return 2
    failed = 0
    for name in wanted or names():
        # On the error stream, so that --json gives one object a line and nothing else.
        print(f"== {name}", file=sys.stderr, flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options]).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
