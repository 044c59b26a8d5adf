"""`tandem serve`: gateway and engine."""

from typing import Annotated

import typer

from tandem.commands.options import DEFAULT_CONFIG, DEFAULT_HOME, ConfigOption, HomeOption, JsonOption, open_project


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port to listen at; 0 takes a free one.")
    ] = 8321,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Serve the configured domains over HTTP; starts the engine unless `engine.url` names one."""
    del json  # nothing is printed but errors, whose form `tandem.cli` takes from the command line
    settings, workspace = open_project(config, home)
    from serving.run import serve as run_server

    run_server(settings, workspace.home, host, port)
