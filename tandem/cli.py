"""The command line: `tandem`. It and `tandem.commands` may import everything; nothing imports them."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

# Typer carries its own copy of click and exports this one nowhere else.
from typer._click.exceptions import ClickException

from tandem import __version__
from tandem.commands import adapters, ask, compare, data, demo, doctor, index_group, init, prepare, search, serve, train
from tandem.commands import eval as evaluation
from tandem.commands.output import print_bug, print_error
from tandem.errors import TandemError, UserError
from tandem.quiet import turn_off_telemetry

app = typer.Typer(
    name="tandem",
    help="Adapt a language model to a domain, measure which way is best there, and serve it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    init.init,
    search.search,
    prepare.prepare,
    train.train,
    serve.serve,
    ask.ask,
    compare.compare,
    doctor.doctor,
    demo.demo,
):
    app.command()(command)
# The function cannot be called as the command is: that is a name of Python's own.
app.command("eval")(evaluation.evaluate)
app.add_typer(index_group.app)
app.add_typer(adapters.app)
app.add_typer(data.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"tandem {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    del version


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status: 0 fine, 2 the user's mistake, 1 ours, 130 interrupted."""
    as_json = "--json" in arguments
    try:
        # Outside of its standalone mode the parser raises instead of printing, so that --json holds for usage too.
        status = app(args=list(arguments) or ["--help"], prog_name="tandem", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except TandemError as error:
        return print_error(error, as_json)
    except ClickException as error:
        return print_error(
            UserError(f"{error.format_message().rstrip('.')}; see `tandem --help`.", code="usage"), as_json
        )
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader (head, less) has left; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return print_bug(error, as_json)


def main() -> None:
    """Entry point of the script `tandem`."""
    turn_off_telemetry()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
