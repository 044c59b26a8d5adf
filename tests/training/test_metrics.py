"""The numbers of a run: what is written, what survives an interruption, and what they are drawn as."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.adapters import Adapter, AdapterCard
from training.curves import BOTTOM, LEFT, MOST_POINTS, RIGHT, TOP, WIDTH, curve_plot
from training.metrics import EVENTS, METRICS, RunLog, read_metrics
from training.overfitting import overfit_alarm
from training.preflight import MemoryEstimate
from training.reporter import show_seconds
from training.run_report import MARKDOWN, PAGE, write_run_report

LINE = {"step": 3, "epoch": 1.5, "loss": 1.25, "learning_rate": 9.1e-4, "tokens_per_second": 5310.4}


def take_steps(log: RunLog, steps: range) -> None:
    for step in steps:
        log.begin_step(0.1 * step)
        log.saw(float(step), 100 + step)
        log.end_step(step, step / 2)


def test_each_step_is_a_line_with_its_loss_rate_and_real_tokens(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0, 2) as log:
        take_steps(log, range(1, 3))
        log.evaluated(2, 1.0, {"train": 1.5, "unseen": 2.0})
        assert log.epoch_loss() == 1.5
    lines = read_metrics(tmp_path / METRICS)
    assert [(line["step"], line.get("loss"), line.get("tokens")) for line in lines] == [
        (1, 1.0, 101),
        (2, 2.0, 102),
        (2, None, None),
    ]
    assert lines[1]["learning_rate"] == 0.2
    assert lines[1]["memory_bytes"] > 1e6
    assert lines[2]["evaluation"] == {"train": 1.5, "unseen": 2.0}


def test_what_came_after_the_checkpoint_and_what_was_cut_off_is_dropped(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0, 4) as log:
        take_steps(log, range(1, 4))
    with (tmp_path / METRICS).open("ab") as file:
        file.write(b'{"step": 4, "lo')
    with RunLog(tmp_path, 2, 4) as log:
        take_steps(log, range(3, 5))
        assert log.epoch_loss() == 2.5
    assert [line["step"] for line in read_metrics(tmp_path / METRICS)] == [1, 2, 3, 4]


@given(st.binary(max_size=200))
def test_any_file_of_metrics_can_be_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / METRICS
    path.write_bytes(b'{"step": 1}\n' + data)
    lines = read_metrics(path)
    assert lines[0] == {"step": 1}
    assert all(isinstance(line["step"], int) for line in lines)


def test_tensorboard_files_hold_the_same_numbers(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    with RunLog(tmp_path, 0, 2) as log:
        take_steps(log, range(1, 3))
    (path,) = (tmp_path / EVENTS).iterdir()
    data, place, found = path.read_bytes(), 0, {}
    while place < len(data):  # records: length (8 bytes), its checksum (4), the event, its checksum (4)
        size = int.from_bytes(data[place : place + 8], "little")
        event = Event.FromString(data[place + 12 : place + 12 + size])
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        place += size + 16
    assert (found["train/loss", 1], found["train/loss", 2]) == (1.0, 2.0)
    assert found["train/learning_rate", 2] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("train", "watched", "alarmed"),
    [
        ([2.0, 1.0, 0.5], [2.0, 1.0, 1.2], True),
        ([2.0, 1.0, 0.5], [2.0, 1.0, 1.02], False),
        ([2.0, 1.0, 0.98], [2.0, 1.0, 1.2], False),
        ([2.0, 1.0, 0.5], [2.0, 1.5, 1.2], False),
        ([2.0], [2.0], False),
        ([], [], False),
    ],
)
def test_the_alarm_is_given_where_the_losses_come_apart(
    train: list[float], watched: list[float], alarmed: bool
) -> None:
    history: list[dict[str, Any]] = []
    for number, (one, other) in enumerate(zip(train, watched, strict=True), 1):
        history += [{"step": 10 * number, "loss": one}, {"step": 10 * number, "eval_unseen_rows_loss": other}]
    alarm = overfit_alarm(history, "unseen_rows")
    assert (alarm is not None) is alarmed
    if alarm:
        assert "since epoch 2 the loss on unseen rows rose from 1.0000 to 1.2000" in alarm
        assert "`training.epochs`" in alarm


def test_times_are_told_in_the_unit_that_fits() -> None:
    assert [show_seconds(seconds) for seconds in (40, 720, 12600)] == ["40 s", "12 min", "3.5 h"]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=1000))
def test_curves_stay_inside_their_plot(values: list[float]) -> None:
    plot = curve_plot({"loss": list(enumerate(values, 1)), "nothing": [(1, float("nan"))]})
    assert plot is not None
    (curve,) = plot.curves
    points = [tuple(map(float, point.split(","))) for point in curve.path.split()]
    assert len(points) <= MOST_POINTS
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= BOTTOM for x, y in points)
    assert curve.last == values[-1]


def test_without_numbers_nothing_is_drawn() -> None:
    assert curve_plot({"loss": []}) is None


def test_the_report_tells_the_losses_the_warning_and_the_memory_and_escapes_what_it_shows(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0, 2) as log:
        take_steps(log, range(1, 3))
        log.evaluated(2, 1.0, {"train": 1.5, "unseen_documents": 2.25})
    settings = {"rank": 8, "alpha": 16, "dropout": 0.0, "learning_rate": 1e-3, "batch_size": 4, "epochs": 1}
    values = {**settings, "preset": None, "rows": 7, "watched": {"unseen_documents": 3}, "steps": 2}
    card = AdapterCard("shop", "reading", "<b>", "0" * 64, "d" * 64, "p", (), hyperparameters=values, warnings=("Oh.",))
    write_run_report(Adapter("0" * 12, tmp_path / "shop-000", card), tmp_path, MemoryEstimate(2**30, 0, 0, 0, 10))
    markdown, page = (tmp_path / MARKDOWN).read_text(), (tmp_path / PAGE).read_text()
    for text in (markdown, page):
        assert "2.2500" in text
        assert "Oh." in text
        assert "1.00 GiB were expected" in text
        assert "203 without padding" in text
    assert page.count("<polyline") == 4
    assert "&lt;b&gt;" in page
    assert not any(word in page for word in ("<script", "http://", "https://"))
    assert json.loads((tmp_path / METRICS).read_text().splitlines()[0])["step"] == 1


def test_a_run_that_has_not_begun_has_no_numbers(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / METRICS) == []
