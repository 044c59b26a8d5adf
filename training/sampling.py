"""How often rows are seen in an epoch, so that what is rare is not forgotten; none is left out."""

import random
from collections.abc import Mapping


def tempered(sizes: Mapping[str, int], temperature: float) -> dict[str, float]:
    """Rows of an epoch for each part, in proportion to size ** (1 / temperature).

    The largest part has each of its rows once. At 1 all parts stay as they are, at infinity all have the largest one's
    number. After Arivazhagan et al. 2019, "Massively Multilingual Neural Machine Translation in the Wild".
    """
    largest = max(sizes.values(), default=0)
    return {name: size * (largest / size) ** (1 - 1 / temperature) for name, size in sizes.items()}


def times_each(count: int, wanted: int, seed: object) -> list[int]:
    """How often each of `count` rows is seen so that there are `wanted`; which are seen once more the seed draws."""
    whole, rest = divmod(wanted, count)
    more = set(random.Random(str(seed)).sample(range(count), rest))
    return [whole + (position in more) for position in range(count)]
