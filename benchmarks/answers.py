"""How the whole product answers the sample domain's questions: index, serve, ask each over HTTP, compare.

`python -m benchmarks.answers` prints shares with 95 % Wilson intervals, right out of `POST /v1/ask` with the variant
`rag`, over version 2 of the handbook, which the questions are about. A model is judged beside its retrieval:
`retrieved` is the share of answerable questions of which a document was among the passages that the model read. The
groups of questions (examples/helpdesk/README.md) are shown one by one; no adapter answers here, so what differs between
them is how hard their questions are.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from tandem.client import post
from tandem.demo import CONFIGURATION, DOMAIN, Demo
from tandem.measures import holds

Z95 = 1.959964
DOCUMENTS = CONFIGURATION.with_name("documents-v2")
HOLDS_VALUE = "answer holds the value"


def wilson(right: int, total: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    share, square = right / total, Z95**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = Z95 / (1 + square / total) * (share * (1 - share) / total + square / (4 * total**2)) ** 0.5
    return middle - half, middle + half


def judge(row: dict[str, Any], url: str) -> dict[str, bool]:
    """Ask one question; which of the measures it counts for, and whether it is right there."""
    answer = post(url, "/v1/ask", {"domain": DOMAIN, "question": row["question"], "variant": "rag"}, None, 120)
    if not row["answers"]:
        return {"abstains when unanswerable": answer["abstained"]}
    found = post(url, f"/v1/domains/{DOMAIN}/search", {"query": row["question"], "k": 4}, None, 120)
    retrieved = bool({hit["document"] for hit in found["hits"]} & set(row["documents"]))
    correct = any(holds(answer["answer"], reference) for reference in row["answers"])
    cited = bool({citation["document"] for citation in answer["citations"]} & set(row["documents"]))
    return {
        "retrieved": retrieved,
        HOLDS_VALUE: correct,
        f"{HOLDS_VALUE}: {row['group']['kind']}": correct,
        "right value and right document cited": correct and cited,
        "abstains when answerable": answer["abstained"],
        **({f"{HOLDS_VALUE}, when retrieved": correct} if retrieved else {}),
    }


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__).parse_args()
    lines = CONFIGURATION.with_name("questions.jsonl").read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(Path(folder), quiet=True)
        demo.command("index", DOMAIN, str(DOCUMENTS))
        with demo.server(keep=False) as wait_until_ready:
            url = wait_until_ready()
            judged = [judge(json.loads(line), url) for line in lines]
    for name in dict.fromkeys(name for result in judged for name in result):
        results = [result[name] for result in judged if name in result]
        low, high = wilson(sum(results), len(results))
        print(
            f"{name:40} {sum(results):4} of {len(results):4}  {sum(results) / len(results):.3f} [{low:.3f}, {high:.3f}]"
        )


if __name__ == "__main__":
    main()
