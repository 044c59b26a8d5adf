"""Options that several commands share, and what they stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.workspace import Workspace

if TYPE_CHECKING:
    from tandem.settings import Config

DEFAULT_CONFIG = Path("tandem.yaml")
DEFAULT_HOME = Path(".tandem")
DEFAULT_URL = "http://127.0.0.1:8321"

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", envvar="TANDEM_CONFIG", help="The configuration.")
]
HomeOption = Annotated[
    Path, typer.Option("--home", metavar="DIR", envvar="TANDEM_HOME", help="The workspace folder; made when missing.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
DomainArgument = Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain of the configuration.")]
ServedDomainArgument = Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain that the server knows.")]
UrlOption = Annotated[str, typer.Option("--url", envvar="TANDEM_URL", help="The server.")]
UserKeyOption = Annotated[
    str | None, typer.Option("--api-key", envvar="TANDEM_API_KEY", show_envvar=True, help="The user's key.")
]
AdminKeyOption = Annotated[
    str | None, typer.Option("--api-key", envvar="TANDEM_ADMIN_KEY", show_envvar=True, help="The administrator's key.")
]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for an answer.")]
FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter", metavar="KEY=VALUE", help="Only documents with this metadata; more than one may be given."
    ),
]
SnapshotOption = Annotated[
    int | None, typer.Option("--snapshot", min=0, help="Search the index as it was at this snapshot.")
]
MinSimilarityOption = Annotated[
    float | None, typer.Option("--min-similarity", min=-1, max=1, help="Least cosine to the question.")
]
CollapseOption = Annotated[
    float | None, typer.Option("--collapse", min=0, max=1, help="Fold passages whose cosine reaches this.")
]
NeighboursOption = Annotated[
    int | None, typer.Option("--neighbours", min=0, max=10, help="Take so many passages before and after each, too.")
]
LanguageOption = Annotated[
    str | None, typer.Option("--language", metavar="CODE", help="Of the question, such as es; else detected.")
]
PassagesOption = Annotated[int | None, typer.Option("-k", "--k", min=1, help="How many passages the model reads.")]


def open_project(config_path: Path, home: Path) -> tuple["Config", Workspace]:
    """Configuration and workspace; the configuration first, so that a mistake there makes no folder."""
    from tandem.config import load_config

    config = load_config(config_path)
    return config, Workspace.open(home)
