"""`tandem prepare`: examples in, a dataset to train on out."""

from tandem.commands.options import (
    DEFAULT_CONFIG,
    DEFAULT_HOME,
    ConfigOption,
    DomainArgument,
    HomeOption,
    JsonOption,
    open_project,
)
from tandem.commands.output import print_json


def prepare(
    domain: DomainArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Check, clean and split a domain's examples; prints what was kept, removed, outdated and leaked."""
    settings, workspace = open_project(config, home)
    from training.prepare import prepare as prepare_dataset
    from training.prepare import summary

    dataset = prepare_dataset(settings, workspace, domain)
    if json:
        print_json({"dataset": dataset.name, "folder": str(dataset.folder), **dataset.report})
        return
    print(f"{domain}: dataset {dataset.name}")
    for line in summary(dataset.report):
        print(f"  {line}")
    print(f"  {dataset.folder / 'report.md'}")
