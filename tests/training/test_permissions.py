"""The ledger: what a domain demands is there, or the example leaves and is listed; what left never trains."""

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.errors import UserError
from tandem.settings import Config
from tandem.workspace import Workspace
from tests.training.helpers import example, kettle_config, kettle_rows, write_lines
from training.dataset import read_dataset
from training.examples import Example
from training.permissions import KEYS, ledger, permitted
from training.prepare import prepare, summary

TEXT = st.none() | st.sampled_from(["a", "b", "own work"])
EXAMPLES = st.lists(st.fixed_dictionaries(dict.fromkeys(KEYS, TEXT)), max_size=20).map(
    lambda rows: [example(str(number), **row) for number, row in enumerate(rows)]
)
DEMANDS = st.sampled_from([list(keys) for count in range(4) for keys in combinations(KEYS, count)])


def demanding(folder: Path, rows: list[dict[str, Any]], demanded: list[str]) -> Config:
    values = kettle_config(folder).model_dump()
    write_lines(folder / "train.jsonl", rows)
    values["domains"]["shop"]["permissions"] = demanded
    return Config.model_validate(values)


@given(EXAMPLES, DEMANDS)
def test_what_stays_names_all_that_is_demanded_and_nothing_else_leaves(
    rows: list[Example], demanded: list[str]
) -> None:
    kept, refused = permitted(rows, demanded, "shop")
    lacking = {row.id for row in rows if any(getattr(row, key) is None for key in demanded)}
    assert {item.id for item in refused} == lacking
    assert kept == [row for row in rows if row.id not in lacking]
    for item in refused:
        row = next(row for row in rows if row.id == item.id)
        assert {key for key in KEYS if f"no {key}" in item.reason} == {
            key for key in demanded if getattr(row, key) is None
        }


@given(EXAMPLES)
def test_the_ledger_counts_every_example_once_for_each_key(rows: list[Example]) -> None:
    counted = ledger(rows, [])
    for key in KEYS:
        assert sum(counted["named"][key].values()) + counted["unnamed"][key] == len(rows)


def test_what_is_refused_is_in_no_part_of_the_dataset_and_listed(tmp_path: Path) -> None:
    rows = [{**row, "licence": "own", "basis": "own work"} for row in kettle_rows()]
    del rows[2]["basis"], rows[7]["licence"], rows[7]["basis"]
    workspace = Workspace.open(tmp_path / "home")
    report = prepare(demanding(tmp_path, rows, ["licence", "basis"]), workspace, "shop").report
    stored = read_dataset(workspace, "shop").split
    assert {row.id for row in [*stored.train, *stored.validation]} == {row["id"] for row in rows} - {
        "Brisa-3",
        "Vela-2",
    }
    assert [(item["id"], item["reason"]) for item in report["left"]] == [
        ("Brisa-3", "it names no basis, which `domains.shop.permissions` demands"),
        ("Vela-2", "it names no licence and no basis, which `domains.shop.permissions` demands"),
    ]
    assert report["permissions"]["named"]["licence"] == {"own": 16}
    assert "permissions: 16 own by licence; 16 own work by basis; demanded: licence, basis" in summary(report)


def test_of_two_equal_examples_the_permitted_one_stays(tmp_path: Path) -> None:
    rows = [{**row, "licence": "own"} for row in kettle_rows()]
    twin = {**rows[0], "id": "no-licence"}
    del twin["licence"]
    report = prepare(demanding(tmp_path, [twin, *rows], ["licence"]), Workspace.open(tmp_path / "home"), "shop").report
    assert [item["id"] for item in report["left"]] == ["no-licence"]


def test_a_source_of_which_nothing_is_permitted_is_one_sentence_with_its_reasons(tmp_path: Path) -> None:
    config = demanding(tmp_path, kettle_rows(), ["source"])
    with pytest.raises(UserError, match="18 as it names no source, which `domains.shop.permissions`") as caught:
        prepare(config, Workspace.open(tmp_path / "home"), "shop")
    assert len(caught.value.details["left"]) == 18


def test_rows_without_the_new_keys_keep_the_digest_they_had(tmp_path: Path) -> None:
    prepared = prepare(kettle_config(tmp_path), Workspace.open(tmp_path / "home"), "shop")
    assert prepared.digest == KETTLES_DIGEST
    config = demanding(tmp_path, [{**row, "source": "the handbook"} for row in kettle_rows()], [])
    named = prepare(config, Workspace.open(tmp_path / "home"), "shop")
    assert named.digest != KETTLES_DIGEST
    assert [row.id for row in named.split.validation] == [row.id for row in prepared.split.validation]


KETTLES_DIGEST = "7fa18f21592021ee4cad6f1783b22934d7429b0fc7771a8744de7eefab80ca3b"
"""Computed by the code before there were these keys."""
