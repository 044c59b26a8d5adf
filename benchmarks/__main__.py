"""`make bench`: runs every module of this folder that has a `main()`, or those named on the command line."""

import importlib
import pkgutil
import sys

import benchmarks


def main(wanted: list[str]) -> int:
    """Run the benchmarks; each prints its own table. Returns the exit status."""
    names = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__")
    unknown = [name for name in wanted if name not in names]
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there is {', '.join(names)}.", file=sys.stderr)
        return 2
    for name in wanted or names:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"== {name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        module.main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
