"""`tandem doctor`: what is installed, and what will work here."""

from dataclasses import asdict
from typing import Annotated

import typer

from tandem.commands.options import DEFAULT_CONFIG, DEFAULT_HOME, ConfigOption, HomeOption, JsonOption
from tandem.commands.output import print_json


def doctor(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port that is to be free.")] = 8321,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> int:
    """Check machine, packages, configuration and workspace; exit 1 when something needed fails."""
    from tandem.doctor import examine

    checks = []
    for check in examine(config, home, port):
        checks.append(check)
        if not json:
            first, *rest = check.message.splitlines()
            print(f"{check.state:5}{check.name:11}{first}", flush=True)
            details = rest if check.state == "ok" else [*rest, f"→ {check.way_out}"]
            for line in details:
                print(f"{'':16}{line}", flush=True)
    failed = [check.name for check in checks if check.state == "fail"]
    if json:
        shown = [{key: value for key, value in asdict(check).items() if key != "found"} for check in checks]
        print_json({"ok": not failed, "checks": shown})
    return 1 if failed else 0
