"""What vLLM cannot serve is refused in a sentence each; PEFT's own configuration is what is judged."""

from typing import Any, get_args

import pytest
from peft import LoraConfig

from tandem.errors import ConfigError
from tandem.fields import AdapterRank
from tandem.training_settings import TrainingConfig
from tests.training.helpers import TINY
from training.base import find_base
from training.lora import lora_config
from training.servable import check_servable, check_targets


@pytest.mark.parametrize("rank", get_args(AdapterRank))
def test_what_the_settings_give_is_served(rank: Any) -> None:
    check_servable(lora_config(TrainingConfig(rank=rank)))


def test_a_rank_below_the_highest_is_served_whatever_it_is() -> None:
    check_servable(LoraConfig(r=5, rank_pattern={"q_proj": 12}))


@pytest.mark.parametrize("init", [True, False, "gaussian", "orthogonal"])
def test_plain_ways_to_begin_are_served(init: Any) -> None:
    check_servable(LoraConfig(init_lora_weights=init))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"alora_invocation_tokens": [1, 2]}, "activated LoRA"),
        ({"lora_bias": True}, "lora_bias"),
        ({"bias": "all"}, "set bias to 'none'"),
        ({"bias": "lora_only"}, "set bias to 'none'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights='pissa'"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights='pissa_niter_4'"),
        ({"init_lora_weights": "olora"}, "init_lora_weights='olora'"),
        ({"init_lora_weights": "corda"}, "init_lora_weights='corda'"),
        ({"r": 600}, "rank 600: take 512 at most"),
        ({"r": 8, "rank_pattern": {"q_proj": 700}}, "rank 700"),
    ],
)
def test_what_vllm_refuses_is_refused_before(values: dict[str, Any], said: str) -> None:
    settings = LoraConfig(
        task_type="CAUSAL_LM", **{"r": 8, **{key: value for key, value in values.items() if key != "init_lora_weights"}}
    )
    # Set afterwards: PEFT itself wants packages or more settings for some ways to begin.
    for key, value in values.items():
        setattr(settings, key, value)
    with pytest.raises(ConfigError) as caught:
        check_servable(settings)
    assert caught.value.code == "not_servable"
    (sentence,) = caught.value.details["obstacles"]
    assert said in sentence
    assert sentence.endswith(".")


def test_all_obstacles_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        check_servable(LoraConfig(r=513, use_dora=True, modules_to_save=["lm_head"]))
    assert len(caught.value.message.splitlines()) == 3


def test_the_named_matrices_alone_are_adapted_and_an_unknown_one_is_refused() -> None:
    base = find_base(str(TINY))
    check_targets(TrainingConfig(targets=["q_proj", "down_proj"]), base)
    assert set(lora_config(TrainingConfig(targets=["q_proj"])).target_modules) == {"q_proj"}
    with pytest.raises(ConfigError, match="has 'lm_head', and the layers of tiny have down_proj, gate_proj, k_proj"):
        check_targets(TrainingConfig(targets=["q_proj", "lm_head"]), base)
