"""An embedder run by OpenVINO, on a CPU: a question takes half the time, and starting does without torch.

The model is converted when it is first used, held against the model itself, and kept in the user's cache
(`TANDEM_CACHE`, or `tandem` in `XDG_CACHE_HOME` or ~/.cache) under the digest of its files and the versions
that made it.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import queue
import secrets
import shutil
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from retrieval.embedder import BatchedEmbedder, Vectors
from tandem.errors import ConfigError
from tandem.files import sync_path

if TYPE_CHECKING:
    from retrieval.sentence_embedder import SentenceEmbedder

FORMAT: Final = "1"
# Searches and the engine go before indexing, which takes what they leave.
DOCUMENTS_NICE: Final = 10
# A question of up to so many tokens is padded to them: a model of one shape takes less time.
QUESTION_TOKENS: Final = 32
_FILES: Final = ("model.xml", "model.bin", "tokenizer.json", "facts.json")
_MADE_BY: Final = ("openvino", "sentence-transformers", "transformers", "tokenizers")
_DIGEST_NAME: Final = "digest"
_GPUS: Final = ("/dev/nvidiactl", "/dev/kfd")
# What the model takes → the attribute of an encoded text.
_INPUTS: Final = {"input_ids": "ids", "token_type_ids": "type_ids", "attention_mask": "attention_mask"}
_LEAST_COSINE: Final = 0.999
_SAMPLES: Final = (
    "",
    "How long is the guarantee?",
    "  Upper case, Größe, 東京 and spaces  ",
    "one of many words " * 300,
    *(f"sentence {number} of some " * number for number in range(2, 30, 3)),
)

_logger = logging.getLogger(__name__)


class CompiledEmbedder(BatchedEmbedder):
    """A converted model; questions and passages have a queue each, so that neither waits for the other."""

    batch_size = 8

    def __init__(self, name: str, digest: str, folder: Path) -> None:
        """From the files that `convert` wrote to `folder`, which may go afterwards."""
        from tokenizers import Tokenizer

        facts = json.loads((folder / "facts.json").read_text())
        text = (folder / "tokenizer.json").read_text()
        super().__init__(
            name, digest, Tokenizer.from_str(text), facts["dimension"], facts["max_tokens"], facts["prefixes"]
        )
        # Its settings never change, so that it may be used by several threads.
        self._batch_tokenizer = Tokenizer.from_str(text)
        self._batch_tokenizer.enable_truncation(facts["max_tokens"])
        self._padding = facts["padding"]
        self._batch_tokenizer.enable_padding(**self._padding)
        self._inputs = [_INPUTS[wanted] for wanted in facts["inputs"]]
        core = _openvino().Core()
        # Read into memory: mapped, the file would have to stay.
        core.set_property({"ENABLE_MMAP": False})
        model = core.read_model(str(folder / "model.xml"))
        threads = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
        # A question is one computation of all threads; of passages each thread takes a batch of its own.
        question = model.clone()
        question.reshape({each: [1, QUESTION_TOKENS] for each in range(len(self._inputs))})
        self._question = _Queue(core, question, streams=1, threads=threads, nice=0)
        self._queues = {
            "query": _Queue(core, model, streams=1, threads=threads, nice=0),
            "document": _Queue(core, model, streams=threads, threads=threads, nice=DOCUMENTS_NICE),
        }

    def encode_batches(self, batches: Iterable[list[str]], kind: str) -> Iterator[Vectors]:
        """Vectors of a few texts each, shape (len(texts), dimension); the next batch is tokenized meanwhile."""
        running: deque[Callable[[], Vectors]] = deque()
        for texts in batches:
            computing, features = self._features(texts, kind)
            running.append(computing.start(features))
            if len(running) > computing.streams:
                yield running.popleft()()
        while running:
            yield running.popleft()()

    def _features(self, texts: list[str], kind: str) -> tuple["_Queue", list[Any]]:
        """Who is to compute, and on what: an array for each input."""
        encoded = self._batch_tokenizer.encode_batch([text.strip() for text in self.read_of(texts, kind)])
        computing = self._queues[kind]
        if kind == "query" and len(encoded) == 1 and len(encoded[0]) <= QUESTION_TOKENS:
            computing = self._question
            encoded[0].pad(QUESTION_TOKENS, **self._padding)
        return computing, [np.array([getattr(each, name) for each in encoded], np.int64) for name in self._inputs]


class _Queue:
    """The model, compiled when it is first asked; several threads may ask at once."""

    def __init__(self, core: Any, model: Any, *, streams: int, threads: int, nice: int) -> None:
        """`streams` batches are computed at a time, by `threads` threads in all, of that niceness."""
        self.streams = streams
        self._core, self._model, self._threads, self._nice = core, model, threads, nice
        self._compiling = threading.Lock()
        self._compiled: Any | None = None
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()

    def start(self, features: Sequence[Any]) -> Callable[[], Vectors]:
        """Begin to compute on `features`, one array for each input; what is returned waits for the output."""
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compile().create_infer_request()
        request.start_async(list(features))
        return partial(self._result, request)

    def _result(self, request: Any) -> Vectors:
        request.wait()
        result: Vectors = request.get_output_tensor(0).data.astype(np.float32)
        self._idle.put(request)
        return result

    def _compile(self) -> Any:
        with self._compiling:
            if self._compiled is None:
                with ThreadPoolExecutor(1) as executor:
                    self._compiled = executor.submit(self._compile_here).result()
            return self._compiled

    def _compile_here(self) -> Any:
        if self._nice:
            # The threads that compute inherit it from this one.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._nice)
        # Pinned to a core, a thread would not move away from the engine's.
        options = {"NUM_STREAMS": self.streams, "INFERENCE_NUM_THREADS": self._threads, "ENABLE_CPU_PINNING": False}
        return self._core.compile_model(self._model, "CPU", options)


def load_compiled(name: str, folder: Path, digest: str) -> CompiledEmbedder | None:
    """The model in `folder`, whose files have `digest`, converted now or before.

    None where OpenVINO is not installed, a GPU is there, or the converted model is not as good as the model; raises
    ConfigError where there is no model.
    """
    if any(Path(device).exists() for device in _GPUS) or importlib.util.find_spec("openvino") is None:
        return None
    kept = cache_folder() / "embedders" / _key(digest)
    found = _load(name, digest, kept)
    if found is not None:
        return found
    with _folder_beside(kept) as made:
        from retrieval.sentence_embedder import SentenceEmbedder

        try:
            source = SentenceEmbedder(name, folder, digest, exact=True)
            convert(source, made)
            compiled = CompiledEmbedder(name, digest, made)
            least = float((compiled.encode(_SAMPLES) * source.encode(_SAMPLES)).sum(axis=1).min())
            if not least >= _LEAST_COSINE:
                raise ValueError(f"a vector's cosine to the model's own is {least:.4f}")
        except ConfigError:
            raise
        except Exception as error:  # The converter's errors have no common class.
            _logger.warning("the embedder %r is not compiled (%s): it is run by sentence-transformers", name, error)
            return None
        _keep(made, kept)
    return compiled


def convert(source: "SentenceEmbedder", target: Path) -> None:
    """Write what `CompiledEmbedder` reads to the folder `target`.

    Raises ValueError for a model that does not take token ids alone, and whatever the converter raises.
    """
    import torch
    from transformers.utils import logging as transformers_logging

    model = source.model
    features = model.preprocess(["Some words of an example.", "Few"])
    inputs = [key for key, value in features.items() if hasattr(value, "shape")]
    if unknown := set(inputs) - set(_INPUTS):
        raise ValueError(f"the model takes {', '.join(sorted(unknown))}")

    class Whole(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, *tensors: Any) -> Any:
            embedding = self.inner(dict(zip(inputs, tensors, strict=True)))["sentence_embedding"]
            return torch.nn.functional.normalize(embedding, dim=1)

    openvino, verbosity = _openvino(), transformers_logging.get_verbosity()
    # The tracer looks at every attribute; what it would get wrong shows in the vectors.
    transformers_logging.set_verbosity_error()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        converted = openvino.convert_model(Whole().eval(), example_input=tuple(features[key] for key in inputs))
    transformers_logging.set_verbosity(verbosity)
    openvino.save_model(converted, str(target / "model.xml"))
    tokenizer = model.tokenizer
    facts = {
        "dimension": source.dimension,
        "max_tokens": source.max_tokens,
        "prefixes": source.prefixes,
        "padding": {
            "direction": tokenizer.padding_side,
            "pad_id": tokenizer.pad_token_id,
            "pad_type_id": tokenizer.pad_token_type_id,
            "pad_token": tokenizer.pad_token,
        },
        "inputs": inputs,
    }
    (target / "facts.json").write_text(json.dumps(facts))
    (target / "tokenizer.json").write_text(source.tokenizer.to_str())


def cache_folder() -> Path:
    """Where what can be made anew is kept for this user."""
    own = os.environ.get("TANDEM_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tandem"


def _openvino() -> Any:
    # It reports each import over the network where this package of its own is found.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def _key(digest: str) -> str:
    versions = [importlib.metadata.version(package) for package in _MADE_BY]
    return hashlib.blake2b("\n".join([FORMAT, digest, *versions]).encode(), digest_size=16).hexdigest()


def _load(name: str, digest: str, folder: Path) -> CompiledEmbedder | None:
    """The kept model; None where there is none, or a byte of it is not as it was written."""
    try:
        if (folder / _DIGEST_NAME).read_text() == _digest_of(folder):
            return CompiledEmbedder(name, digest, folder)
    except OSError:
        return None
    _logger.warning("%s is damaged and is made anew", folder)
    return None


def _digest_of(folder: Path) -> str:
    digest = hashlib.blake2b(digest_size=20)
    for file in _FILES:
        with (folder / file).open("rb") as opened:
            digest.update(hashlib.file_digest(opened, hashlib.blake2b).digest())
    return digest.hexdigest()


@contextlib.contextmanager
def _folder_beside(kept: Path) -> Iterator[Path]:
    """A new folder next to `kept`, or a temporary one where none can be made; it is gone at the end."""
    made: Path | None = kept.with_name(f".{kept.name}.{secrets.token_hex(6)}.tmp")
    assert made is not None
    try:
        made.mkdir(parents=True)
    except OSError:
        made = Path(tempfile.mkdtemp(prefix="tandem-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _keep(made: Path, kept: Path) -> None:
    """Move a converted model to its place; a failure costs the next process the conversion."""
    try:
        (made / _DIGEST_NAME).write_text(_digest_of(made))
        for file in (*_FILES, _DIGEST_NAME):
            sync_path(made / file)
        shutil.rmtree(kept, ignore_errors=True)
        made.rename(kept)
        sync_path(kept.parent)
    except OSError as error:
        _logger.warning("the embedder could not be kept as %s (%s): it is converted at each start", kept, error)
