"""How long commands take that load no model, beside a Python that does nothing."""

import statistics
import subprocess
import sys
import time

RUNS = 7
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "tandem --help": [sys.executable, "-m", "tandem.cli", "--help"],
    "tandem ask --help": [sys.executable, "-m", "tandem.cli", "ask", "--help"],
}


def main() -> None:
    """Print median and best wall milliseconds of each command."""
    for name, command in COMMANDS.items():
        milliseconds = []
        for _ in range(RUNS):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            milliseconds.append(1000 * (time.perf_counter() - began))
        print(f"{name:20} median {statistics.median(milliseconds):6.0f} ms   best {min(milliseconds):6.0f} ms")


if __name__ == "__main__":
    main()
