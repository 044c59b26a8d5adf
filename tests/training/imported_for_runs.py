"""What a training run imports, so that the process which others are forked from has it."""

import peft  # noqa: F401
import torch  # noqa: F401
import transformers  # noqa: F401
import trl  # noqa: F401

import training.lora
import training.prepare
import training.publishing
import training.train
import training.trainer  # noqa: F401
