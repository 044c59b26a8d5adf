"""Adapters behind the tuned variants: swaps, what stops one, restarts; with the canned engine over real HTTP."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.adapters import Adapters
from serving.auth import Keys
from serving.canned import CannedEngine
from serving.engine import CHAT, EngineClient
from serving.swaps import WARM_UP
from serving.targets import Target
from tandem.adapters import WEIGHTS, Adapter
from tandem.database import Database
from tandem.errors import Unavailable
from tandem.workspace import Workspace
from tests.serving.adapters import make_adapter, make_base
from tests.serving.gateway import Gateway, run_gateway, sample_config
from tests.waiting import until, until_holds

QUESTION = "How much water does the Brisa kettle hold?"
ADAPTERS = "/v1/domains/shop/adapters"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_base(tmp_path / "base")


@pytest.fixture
def workspace(home: Path) -> Workspace:
    return Workspace.open(home)


@pytest.fixture
def start(home: Path, base: Path) -> Callable[..., Any]:
    @contextmanager
    def started(engine: CannedEngine | None = None, keys: Keys | None = None) -> Iterator[Gateway]:
        with run_gateway(home, engine, keys, base_model=str(base)) as gateway:
            yield gateway

    return started


@pytest.fixture
def gateway(start: Callable[..., Any]) -> Iterator[Gateway]:
    with start() as running:
        yield running


def swap(gateway: Gateway, adapter: Adapter, variant: str = "hybrid", **fields: Any) -> httpx.Response:
    return gateway.http.post(f"{ADAPTERS}/swap", json={"variant": variant, "version": adapter.version, **fields})


def live(gateway: Gateway, variant: str = "hybrid") -> str | None:
    pointer = gateway.http.get(ADAPTERS).json()["pointers"][variant]
    return pointer and str(pointer["version"])


def refused(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_a_swap_is_answered_with_from_the_next_request_on(gateway: Gateway, workspace: Workspace, base: Path) -> None:
    adapter = make_adapter(workspace, base)
    assert refused(gateway.ask(QUESTION, variant="hybrid")) == (409, "no_adapter")
    done = swap(gateway, adapter).json()
    assert (done["variant"], done["version"], done["previous"]) == ("hybrid", adapter.version, None)
    assert done["parity"]["holds"]
    body = gateway.ask(QUESTION, variant="hybrid").json()
    assert body["versions"]["adapter"] == adapter.version
    assert body["citations"][0]["document"] == "kettle.md"
    assert gateway.engine.bodies[-1]["model"] == adapter.name
    assert gateway.engine.adapters == {adapter.name: str(adapter.folder)}
    assert refused(gateway.ask(QUESTION, variant="finetuned")) == (409, "no_adapter")


def test_finetuned_answers_without_passages_and_rag_without_the_adapter(
    gateway: Gateway, workspace: Workspace, base: Path
) -> None:
    adapter = make_adapter(workspace, base)
    assert swap(gateway, adapter, "finetuned").status_code == 200
    chat = gateway.chat(QUESTION, model="shop/finetuned").json()["tandem"]
    assert (chat["versions"]["adapter"], chat["versions"]["snapshot"], chat["citations"]) == (adapter.version, None, [])
    raw = gateway.http.post("/v1/completions", json={"model": "shop/finetuned", "prompt": "Once"})
    assert raw.json()["choices"][0]["text"] == " after Once"
    assert gateway.engine.bodies[-1]["model"] == adapter.name
    assert gateway.ask(QUESTION, variant="rag").json()["versions"]["adapter"] is None
    assert gateway.engine.bodies[-1]["model"] == "base"


def test_requests_in_flight_finish_on_their_version_and_it_is_unloaded_after_them(
    start: Callable[..., Any], workspace: Workspace, base: Path
) -> None:
    old, new = make_adapter(workspace, base, 1), make_adapter(workspace, base, 2)
    engine = CannedEngine(
        lambda messages: "word " * (90 if "Go on" in messages[-1]["content"] else 1), token_seconds=0.05
    )
    with start(engine) as gateway:
        swap(gateway, old)
        body = {"model": "shop/hybrid", "stream": True, "messages": [{"role": "user", "content": "Go on"}]}
        with gateway.http.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = response.iter_lines()
            next(lines)
            assert swap(gateway, new).json()["previous"] == old.version
            assert gateway.ask(QUESTION, variant="hybrid").json()["versions"]["adapter"] == new.version
            assert old.name in gateway.engine.adapters
            rest = "".join(lines)
        assert f'"adapter":"{old.version}"' in rest
        until(lambda: gateway.engine.adapters.keys() == {new.name})


def test_a_pinned_version_answers_beside_the_live_one(gateway: Gateway, workspace: Workspace, base: Path) -> None:
    live_one, other = make_adapter(workspace, base, 1), make_adapter(workspace, base, 2)
    swap(gateway, live_one)
    asked = gateway.ask(QUESTION, variant="hybrid", version=other.version).json()
    assert asked["versions"]["adapter"] == other.version
    assert (
        gateway.chat(QUESTION, model=f"shop/hybrid@{other.version}").json()["model"] == f"shop/hybrid@{other.version}"
    )
    assert gateway.ask(QUESTION, variant="hybrid").json()["versions"]["adapter"] == live_one.version
    records = gateway.records()
    assert {record.adapter for record in records} == {live_one.version, other.version}


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"variant": "hybrid", "version": "0" * 12}, 404, "adapter_not_found"),
        ({"variant": "hybrid", "version": "../secret"}, 400, "invalid_version"),
        ({"variant": "rag", "version": "0" * 12}, 400, "unsupported_variant"),
    ],
)
def test_a_version_that_is_not_there_is_an_error_and_never_the_base_model(
    gateway: Gateway, fields: dict[str, str], status: int, code: str
) -> None:
    assert refused(gateway.ask(QUESTION, **fields)) == (status, code)
    assert gateway.engine.bodies == []


def test_a_swap_that_expects_another_version_says_what_is_live(
    gateway: Gateway, workspace: Workspace, base: Path
) -> None:
    one, two = make_adapter(workspace, base, 1), make_adapter(workspace, base, 2)
    assert swap(gateway, one, expected=None).status_code == 200
    for expected in (None, two.version):
        response = swap(gateway, two, expected=expected)
        assert refused(response) == (409, "stale_pointer")
        assert response.json()["error"]["live"] == one.version
    assert live(gateway) == one.version
    assert swap(gateway, two, expected=one.version).json()["previous"] == one.version


def test_of_two_swaps_at_once_one_wins_and_the_other_is_told(
    gateway: Gateway, workspace: Workspace, base: Path
) -> None:
    adapters = [make_adapter(workspace, base, seed) for seed in (1, 2)]
    responses: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda a=a: responses.append(swap(gateway, a, expected=None))) for a in adapters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(response.status_code for response in responses) == [200, 409]
    winner = next(response.json()["version"] for response in responses if response.status_code == 200)
    assert live(gateway) == winner
    until(lambda: gateway.engine.adapters.keys() == {f"shop-{winner}"})


def test_rollback_brings_the_one_before_back_and_a_second_one_undoes_it(
    gateway: Gateway, workspace: Workspace, base: Path
) -> None:
    one, two = make_adapter(workspace, base, 1), make_adapter(workspace, base, 2)
    back = {"variant": "hybrid"}
    assert refused(gateway.http.post(f"{ADAPTERS}/rollback", json=back)) == (409, "no_adapter")
    swap(gateway, one)
    assert refused(gateway.http.post(f"{ADAPTERS}/rollback", json=back)) == (409, "no_previous")
    swap(gateway, two)
    for version in (one.version, two.version):
        assert gateway.http.post(f"{ADAPTERS}/rollback", json=back).json()["version"] == version
        assert gateway.ask(QUESTION, variant="hybrid").json()["versions"]["adapter"] == version


def spoil_weights(adapter: Adapter) -> None:
    with (adapter.folder / WEIGHTS).open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\0\0\1")


PREFIX = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"card": {"base_digest": "0" * 64}}, "adapter_unfit", "with the digest 000000000000"),
        ({"card": {"prompt_hash": "0" * 16}}, "adapter_unfit", "another prompt"),
        ({"settings": {"use_dora": True}}, "adapter_unfit", "vLLM cannot serve DoRA (use_dora)"),
        ({"settings": {"r": 64}}, "adapter_unfit", "its rank is 64, and the engine takes at most 16"),
        ({"settings": {"init_lora_weights": "pissa"}}, "adapter_unfit", "'pissa', which changes the base model"),
        (
            {"shapes": {f"{PREFIX}.lora_A.weight": (8, 5), f"{PREFIX}.lora_B.weight": (12, 8)}},
            "adapter_unfit",
            "8×5 and 12×8 for a weight of 12×6",
        ),
        ({"shapes": {f"{PREFIX}.lora_A.weight": (8, 6)}}, "adapter_unfit", "8×6 and missing"),
        (
            {"shapes": {"base_model.model.x.lora_A.weight": (8, 6), "base_model.model.x.lora_B.weight": (12, 8)}},
            "adapter_unfit",
            "the base model has no x",
        ),
        ({"logprob_error": 0.06}, "adapter_parity", "differ by 0.060 on average, and 0.05 is allowed"),
        ({"logprob_error": float("nan")}, "adapter_parity", "reference tokens"),
    ],
)
def test_an_adapter_that_fails_a_check_leaves_the_live_one(
    gateway: Gateway, workspace: Workspace, base: Path, changes: dict[str, Any], code: str, reason: str
) -> None:
    good, bad = make_adapter(workspace, base, 1), make_adapter(workspace, base, 2, **changes)
    swap(gateway, good)
    response = swap(gateway, bad)
    assert refused(response) == (409, code)
    assert reason in response.json()["error"]["message"]
    assert live(gateway) == good.version
    assert gateway.ask(QUESTION, variant="hybrid").json()["versions"]["adapter"] == good.version
    until(lambda: gateway.engine.adapters.keys() == {good.name})


def test_changed_files_and_a_refusing_engine_leave_the_live_one(
    gateway: Gateway, workspace: Workspace, base: Path
) -> None:
    good, spoiled, unwelcome = (make_adapter(workspace, base, seed) for seed in (1, 2, 3))
    swap(gateway, good)
    spoil_weights(spoiled)
    assert refused(swap(gateway, spoiled, force=True)) == (409, "adapter_damaged")
    gateway.engine.refuses_adapters = "LoRA rank 64 is greater than max_lora_rank 16."
    response = swap(gateway, unwelcome)
    assert refused(response) == (409, "adapter_refused")
    assert "max_lora_rank 16" in response.json()["error"]["message"]
    assert live(gateway) == good.version


def test_everything_that_does_not_fit_is_told_at_once(gateway: Gateway, workspace: Workspace, base: Path) -> None:
    bad = make_adapter(workspace, base, settings={"use_dora": True, "r": 32}, card={"prompt_hash": "0" * 16})
    problems = swap(gateway, bad).json()["error"]["problems"]
    assert len(problems) == 4  # prompt, DoRA, rank, and shapes that are not of that rank


def test_force_skips_the_comparison_with_training_only(gateway: Gateway, workspace: Workspace, base: Path) -> None:
    different, unfit = (
        make_adapter(workspace, base, 1, logprob_error=1.0),
        make_adapter(workspace, base, 2, settings={"r": 64}),
    )
    assert swap(gateway, different, force=True).json()["parity"] is None
    assert refused(swap(gateway, unfit, force=True)) == (409, "adapter_unfit")
    assert live(gateway) == different.version


def test_an_engine_that_was_restarted_gets_the_adapter_again(
    gateway: Gateway, workspace: Workspace, base: Path
) -> None:
    adapter = make_adapter(workspace, base)
    swap(gateway, adapter)
    gateway.engine.adapters.clear()
    assert gateway.ask(QUESTION, variant="hybrid").json()["versions"]["adapter"] == adapter.version
    assert gateway.engine.events == [("load", adapter.name)] * 2


def test_pointers_survive_a_restart_of_gateway_and_engine(
    start: Callable[..., Any], workspace: Workspace, base: Path
) -> None:
    adapter = make_adapter(workspace, base)
    with start() as first:
        swap(first, adapter)
    with start() as second:
        assert second.ask(QUESTION, variant="hybrid").json()["versions"]["adapter"] == adapter.version
        assert live(second) == adapter.version


def test_the_list_says_what_each_adapter_answers_for(gateway: Gateway, workspace: Workspace, base: Path) -> None:
    one = make_adapter(workspace, base, 1)
    two = make_adapter(workspace, base, 2, card={"kind": "closed-book"})
    swap(gateway, one)
    body = gateway.http.get(ADAPTERS).json()
    listed = [(a["version"], a["kind"], a["answers_for"]) for a in body["adapters"]]
    assert listed == [(one.version, "reading", ["hybrid"]), (two.version, "closed-book", [])]
    assert body["adapters"][0]["parity"]["holds"]
    assert body["pointers"]["finetuned"] is None
    assert body["pointers"]["hybrid"]["changed"].startswith("20")
    models = {model["id"]: model["tandem"] for model in gateway.http.get("/v1/models").json()["data"]}
    assert (models["shop/hybrid"]["adapter"], models["shop/hybrid"]["answers"]) == (one.version, True)
    assert (models["shop/finetuned"]["adapter"], models["shop/finetuned"]["answers"]) == (None, False)
    assert gateway.http.get(f"/v1/models/shop/hybrid@{two.version}").json()["tandem"]["kind"] == "closed-book"


def test_swaps_need_an_administrator(start: Callable[..., Any], workspace: Workspace, base: Path) -> None:
    adapter = make_adapter(workspace, base)
    keys = Keys.from_environment({"TANDEM_API_KEY": "u", "TANDEM_ADMIN_KEY": "a"})
    with start(keys=keys) as gateway:
        gateway.http.headers["Authorization"] = "Bearer u"
        assert refused(swap(gateway, adapter)) == (403, "forbidden")
        assert refused(gateway.http.post(f"{ADAPTERS}/rollback", json={"variant": "hybrid"})) == (403, "forbidden")
        gateway.http.headers["Authorization"] = "Bearer a"
        assert swap(gateway, adapter).status_code == 200


def test_a_swap_for_a_variant_or_domain_without_adapters_is_refused(
    gateway: Gateway, workspace: Workspace, base: Path
) -> None:
    adapter = make_adapter(workspace, base)
    assert refused(swap(gateway, adapter, "rag")) == (400, "unsupported_variant")
    assert refused(gateway.http.get("/v1/domains/nowhere/adapters")) == (404, "unknown_domain")


def test_an_adapter_asked_for_by_name_is_unloaded_after_a_while_and_a_live_one_is_not(
    workspace: Workspace, base: Path
) -> None:
    live_one, asked_for = make_adapter(workspace, base, 1), make_adapter(workspace, base, 2)
    database, engine = Database(workspace.database_url()), CannedEngine()
    database.move_pointer("shop", "hybrid", live_one.version, None)

    async def main() -> None:
        async with engine.serve() as address, EngineClient(lambda: address, 5) as client:
            config = sample_config(base_model=str(base))
            adapters = Adapters(config, workspace, database, client, idle_seconds=0.3)
            async with (
                adapters.hold(Target("shop", "hybrid")),
                adapters.hold(Target("shop", "hybrid", asked_for.version)),
            ):
                await asyncio.sleep(1)
                assert engine.adapters.keys() == {live_one.name, asked_for.name}
            await until_holds(lambda: engine.adapters.keys() == {live_one.name})
            await adapters.close()

    asyncio.run(main())
    database.close()


def test_an_adapter_is_unloaded_when_idle_after_the_engine_was_away(workspace: Workspace, base: Path) -> None:
    asked_for = make_adapter(workspace, base)
    target = Target("shop", "hybrid", asked_for.version)
    database, engine, away = Database(workspace.database_url()), CannedEngine(), threading.Event()

    async def main() -> None:
        async with engine.serve() as address:

            def locate() -> str:
                if away.is_set():
                    raise Unavailable("The engine is restarting.")
                return address

            async with EngineClient(locate, 5) as client:
                config = sample_config(base_model=str(base))
                adapters = Adapters(config, workspace, database, client, idle_seconds=0.2)
                async with adapters.hold(target):
                    away.set()
                await asyncio.sleep(1)  # long idle, and cannot be unloaded
                engine.adapters.clear()
                away.clear()
                async with adapters.hold(target) as adapter:
                    async for _ in adapters.generate(CHAT, WARM_UP, adapter):
                        assert engine.adapters.keys() == {asked_for.name}
                await until_holds(lambda: engine.adapters == {})
                await adapters.close()

    asyncio.run(main())
    database.close()
