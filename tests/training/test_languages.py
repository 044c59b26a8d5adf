"""Languages are told without a network; those that are not allowed leave, and what cannot be told stays."""

from pathlib import Path

import pytest

from tandem.errors import ConfigError
from tandem.settings import Config
from tandem.workspace import Workspace
from tests.training.helpers import example, kettle_config, kettle_rows, write_lines
from training.languages import UNDETERMINED, detect_languages, in_languages, language_of
from training.prepare import prepare

GERMAN = {
    "id": "de",
    "question": "Wie viel Wasser passt in den Wasserkocher?",
    "answer": "Das weiß hier niemand so genau.",
}
FRENCH = {
    "id": "fr",
    "question": "Où puis-je trouver la bouilloire bleue ?",
    "answer": "Elle se trouve dans la cuisine.",
}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How much water does the kettle hold, and where is it made?", "en"),
        (f"{GERMAN['question']} {GERMAN['answer']}", "de"),
        (f"{FRENCH['question']} {FRENCH['answer']}", "fr"),
        ("¿Cuánta agua cabe en el hervidor y dónde se fabrica?", "es"),
        ("Сколько воды вмещает этот чайник и где его делают?", "ru"),
        ("このやかんには水が何リットル入りますか", "ja"),
        ("كم لترا من الماء تتسع له هذه الغلاية؟", "ar"),
        ("12", UNDETERMINED),
        ("12 euros", UNDETERMINED),
        ("?!", UNDETERMINED),
        ("", UNDETERMINED),
        ("\ufffd", UNDETERMINED),
    ],
)
def test_whole_sentences_are_told_and_scraps_are_not(text: str, language: str) -> None:
    assert language_of(text) == language


def test_what_cannot_be_told_stays_and_others_leave_with_their_language() -> None:
    rows = [example("12", "12", answer="12"), example("de", GERMAN["question"], answer=GERMAN["answer"])]
    kept, left = in_languages(rows, detect_languages(rows), ["en", "fr"])
    assert [row.id for row in kept] == ["12"]
    assert [(item.id, item.reason) for item in left] == [
        ("de", "its language is de, and `training.languages.allowed` has en, fr")
    ]


def test_a_code_that_is_never_detected_is_refused_before_all_leave() -> None:
    with pytest.raises(ConfigError, match="'xx', which is none of the") as caught:
        in_languages([], {}, ["en", "xx"])
    assert caught.value.code == "unknown_language"


def test_the_report_counts_by_language_and_lists_who_left(tmp_path: Path) -> None:
    config = kettle_config(tmp_path, languages={"allowed": ["en", "de"]})
    write_lines(tmp_path / "train.jsonl", [*kettle_rows(), GERMAN, FRENCH])
    dataset = prepare(config, Workspace.open(tmp_path / "home"), "shop")
    assert dataset.report["balance"]["language"]["de"] == 1
    assert "fr" not in dataset.report["balance"]["language"]
    assert [item["id"] for item in dataset.report["left"] if item["id"] in ("de", "fr")] == ["fr"]


def test_switched_off_nothing_is_looked_at(tmp_path: Path) -> None:
    config = kettle_config(tmp_path, languages={"detect": False})
    assert prepare(config, Workspace.open(tmp_path / "home"), "shop").report["balance"]["language"] == {}
    values = config.model_dump()
    values["training"]["languages"]["allowed"] = ["en"]
    with pytest.raises(ValueError, match="detect cannot be false beside it"):
        Config.model_validate(values)
