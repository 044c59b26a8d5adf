"""Sentences with personal data whose places are known, and sentences that only look so: made by a seeded generator."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from stdnum import iban, luhn

from training.personal_data import Span

Chance = random.Random

LISTED = ("Anna", "Peter", "Maria", "Thomas", "Laura", "Daniel", "Sofia", "Martin", "Julia", "Robert")
UNLISTED = ("Kwabena", "Thandiwe", "Zbyszek", "Aroha", "Ngozi", "Ilmari", "Saoirse", "Tariku", "Xiomara", "Bohumil")
SURNAMES = (
    "Okafor",
    "Lindqvist",
    "Moreau",
    "Castellanos",
    "Whitfield",
    "Nakamura",
    "Brandt",
    "O'Leary",
    "Kowalska",
    "Haugen",
)
STREETS = ("Maple Street", "Station Road", "Harbour Lane", "Queen Avenue", "Mill Court", "Park Drive")
TOWNS = ("Leeds", "Bristol", "Portland", "Galway", "Dover", "Salem")
MAILS = ("inbox.example.de", "post.net.uk", "provider.org", "firma.at")

# {name} stands for personal data; what stands around a name decides whether a rule can see it.
TEMPLATES = (
    "My name is {name} and my kettle leaks.",
    "Dear {name}, thank you for your order.",
    "Please send it back.\n\nKind regards,\n{name}",
    "Mrs {surname} asked about the warranty.",
    "Yesterday {name} called about the toaster.",
    "We promised {name} a new lid.",
    "The parcel was signed for by {name} at noon.",
    "Write to {email} when it is ready.",
    "{email} is my e-mail, is that in the file?",
    "You can call me on {phone} after six.",
    "The number {phone} does not answer.",
    "I paid with {card} last week.",
    "Refund it to {iban}, please.",
    "The request came from {ip} at night.",
    "My social security number is {ssn}.",
    "Her national insurance number is {nino}.",
    "My passport number is {passport}.",
    "I live at {address}.",
    "Deliver the lamp to {address} on Friday.",
    "Ich wohne in der {german_address} und warte.",
)
HARD = (
    "Order number {digits10} has not arrived.",
    "The order 4{digits15bad} was paid twice.",
    "Product code K{digits2}-{digits4} fits the Brisa kettle.",
    "Firmware {digits1}.{digits1}.{digits2}.{digits1} fixes the light.",
    "The update to version 8.8.{digits1}.{digits1} takes a minute.",
    "It was bought on 2024-0{digit}-1{digit} for {digits3}.99 euros.",
    "The Tavry K{digits1} holds 1.{digits1} litres and costs {digits2},{digits3} crowns.",
    "Serial SN-{digits4}-{digits4}-{digits4} is printed below.",
    "Dear Customer, the Orio fan turns {digits3} times a minute.",
    "Hello Support Team, the E14 bulb is broken.",
    "Thanks, Monday is fine.",
    "I am German and live near Leeds.",
    "Open 192.168.{digits1}.1 in a browser.",
    "Article {digits4}/{digits4} is out of stock at 10:{digits2}.",
    "Chapter 3.{digits1}.{digits1} of the manual names {digits2} levels.",
    "Use the Quick Start button for {digits2} minutes.",
    "The IBAN DE00{digits10}{digits4}{digits4} was refused.",
    "Ship {digits2} Blue Mugs to the shop in Dover.",
    "The ratio is {digits2}:{digits2}, the mail is at reception.",
    "The Acorn Points of March 2025 are {digits4}.",
)


@dataclass(frozen=True)
class Sentence:
    """A text, and where its personal data stands."""

    text: str
    spans: tuple[Span, ...] = ()


def sentences(seed: int, rounds: int) -> list[Sentence]:
    """Each template `rounds` times, filled anew each time."""
    chance = Chance(seed)
    return [fill(template, chance) for _ in range(rounds) for template in (*TEMPLATES, *HARD)]


def fill(template: str, chance: Chance) -> Sentence:
    """A template with its gaps filled; gaps of digits are no personal data."""
    text, spans = "", []
    for number, part in enumerate(template.replace("}", "{").split("{")):
        if number % 2 == 0:
            text += part
        elif part.startswith("digit"):
            text += _digits(part, chance)
        else:
            kind, value = PERSONAL[part](chance)
            spans.append(Span(len(text), len(text) + len(value), kind))
            text += value
    return Sentence(text, tuple(spans))


def _digits(gap: str, chance: Chance) -> str:
    if gap == "digits15bad":
        rest = _number(chance, 14)
        check = luhn.calc_check_digit("4" + rest)
        return rest + str((int(check) + 1 + chance.randrange(9)) % 10)
    return _number(chance, int(gap.removeprefix("digits") or 1) if gap != "digit" else 1)


def _number(chance: Chance, count: int) -> str:
    return str(chance.randint(1, 9)) + "".join(str(chance.randint(0, 9)) for _ in range(count - 1))


def _name(chance: Chance) -> tuple[str, str]:
    return "name", f"{chance.choice(LISTED + UNLISTED)} {chance.choice(SURNAMES)}"


def _email(chance: Chance) -> tuple[str, str]:
    local = f"{chance.choice(UNLISTED).lower()}{chance.choice(['.', '_', '', '+'])}{_number(chance, 2)}"
    return "email", f"{local}@{chance.choice(MAILS)}"


def _phone(chance: Chance) -> tuple[str, str]:
    forms = (
        f"+44 7{chance.choice('4589')}00 {_number(chance, 6)}",
        f"+49 30 {_number(chance, 7)}",
        f"212-{chance.choice('2345678')}{chance.choice('2345678')}7-{_number(chance, 4)}",
        f"020 7{_number(chance, 3)} {_number(chance, 4)}",
        f"0{chance.choice('23')}{_number(chance, 2)} / {_number(chance, 6)}",
    )
    return "phone", chance.choice(forms)


def _card(chance: Chance) -> tuple[str, str]:
    start = chance.choice(("4", "52", "34", "6011"))
    body = start + _number(chance, (15 if start == "34" else 16) - len(start) - 1)
    digits = body + luhn.calc_check_digit(body)
    groups = [digits[place : place + 4] for place in range(0, len(digits), 4)]
    return "card", chance.choice((" ", "-", "")).join(groups)


def _iban(chance: Chance) -> tuple[str, str]:
    # The structures of Germany and the Netherlands, with their check digits.
    country, body = chance.choice((("DE", _number(chance, 18)), ("NL", f"INGB{_number(chance, 10)}")))
    value = iban.calc_check_digits(f"{country}00{body}")
    return "iban", chance.choice((iban.format, iban.compact))(f"{country}{value}{body}")


def _ip(chance: Chance) -> tuple[str, str]:
    if chance.random() < 0.3:
        return "ip", f"2a02:{_number(chance, 3)}:1::{_number(chance, 2)}"
    parts = [chance.choice((81, 93, 145)), *(chance.randint(1, 250) for _ in range(3))]
    return "ip", ".".join(map(str, parts))


def _address(chance: Chance) -> tuple[str, str]:
    street = f"{_number(chance, chance.randint(1, 3))} {chance.choice(STREETS)}"
    tail = chance.choice(("", f", {chance.choice(TOWNS)} LS{chance.randint(1, 9)} {chance.randint(1, 9)}AB"))
    return "address", street + tail


PERSONAL: dict[str, Callable[[Chance], tuple[str, str]]] = {
    "name": _name,
    "surname": lambda chance: ("name", chance.choice(SURNAMES)),
    "email": _email,
    "phone": _phone,
    "card": _card,
    "iban": _iban,
    "ip": _ip,
    "ssn": lambda chance: ("id", f"{chance.randint(100, 665)}-{chance.randint(10, 99)}-{_number(chance, 4)}"),
    "nino": lambda chance: ("id", f"AB {chance.randint(10, 99)} {chance.randint(10, 99)} {chance.randint(10, 99)} C"),
    "passport": lambda chance: ("id", f"C{chance.choice('FGHJK')}{_number(chance, 7)}"),
    "address": _address,
    "german_address": lambda chance: (
        "address",
        f"{chance.choice(('Hauptstraße', 'Gartenweg', 'Lindenallee'))} {chance.randint(1, 99)}",
    ),
}
