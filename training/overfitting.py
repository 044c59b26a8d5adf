"""The alarm for a run that learns its rows by heart: the training loss falls while the watched one rises."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from training.stopping import best_evaluation, evaluations, losses_at

RISE: Final = 1.05
"""The watched loss has risen by a twentieth over its lowest: less is noise in sets of a few hundred rows."""
FALL: Final = 0.9
"""While the training loss fell by a tenth since then."""


def overfit_alarm(history: Sequence[Mapping[str, Any]], name: str) -> str | None:
    """One sentence with advice where training and watched loss have come apart since the best evaluation; else None.

    `history` is a trainer's; `name` is the set of watched rows that decides.
    """
    scored = evaluations(history, name)
    if len(scored) < 2:
        return None
    (best_step, best_loss), (last_step, last_loss) = best_evaluation(history, name), scored[-1]
    then = losses_at(history, best_step, []).get("train")
    now = losses_at(history, last_step, []).get("train")
    if then is None or now is None or last_loss < best_loss * RISE or now > then * FALL:
        return None
    best_epoch = next(number for number, (step, _) in enumerate(scored, 1) if step == best_step)
    return (
        f"The run learns its rows by heart: since epoch {best_epoch} the loss on {name.replace('_', ' ')} rose from "
        f"{best_loss:.4f} to {last_loss:.4f} while that on the training rows fell from {then:.4f} to {now:.4f}; "
        f"the weights of epoch {best_epoch} are kept, and more examples, fewer `training.epochs`, a lower "
        "`training.rank` or a `training.dropout` of 0.1 would do better."
    )
