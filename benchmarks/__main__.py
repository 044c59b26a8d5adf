"""`make bench`: runs every module of this folder as a program of its own, or those named on the command line."""

import pkgutil
import subprocess
import sys

import benchmarks


def main(wanted: list[str]) -> int:
    """Run the benchmarks; each prints its own table. The exit status is 1 when one of them fails."""
    names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__")
    unknown = [name for name in wanted if name not in names]
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there is {', '.join(names)}.", file=sys.stderr)
        return 2
    failed = 0
    for name in wanted or names:
        print(f"== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
