"""Names of people and postal addresses, as far as rules find them: by the words around them and by their shape.

A name that nothing announces and that does not begin with one of `GIVEN` is not found; docs/decisions/0012 has the
measured share.
"""

import re
from collections.abc import Iterator
from typing import Final

from training.personal_data import Span

_UPPER: Final = "A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĘĚĢĪĶŁĻŃŇŌŐŘŚŞŠŤŪŮŰŹŻŽΑ-ΩΆΈΉΊΌΎΏА-Я"
_WORD: Final = rf"(?:[{_UPPER}][’'])?[{_UPPER}][^\W\d_]*(?:[-’'][^\W\d_]+)*"
_INITIAL: Final = rf"[{_UPPER}]\."
_PARTICLE: Final = (
    r"(?:van der|van den|van de|von der|de la|de los|van|von|de|del|della|der|den|di|da|dos|du|la|le|al|bin|ben|ter|y)"
)
_PART: Final = rf"(?:{_INITIAL}|{_WORD})"
_NAME: Final = rf"{_PART}(?:[ ](?:{_PARTICLE}[ ])?{_PART}){{0,4}}"
_TITLE: Final = (
    r"(?:Mrs?|Ms|Miss|Mx|Dr|Prof|Professor|Doctor|Sir|Lady|Herrn?|Frau"
    r"|Monsieur|Madame|Mme|Mlle|Señora?|Sra?|Signora?)\.?"
)
_START: Final = r"(?:(?<![^\n])|(?<=[.!?:\"“] )|(?<=^[\"“]))"
_GREETING: Final = (
    r"(?:[Dd]ear|[Hh]i|[Hh]ello|[Hh]ey|[Gg]ood (?:morning|afternoon|evening)|[Hh]allo|[Ll]iebe[rs]?"
    r"|[Ss]ehr geehrte[rs]?|[Bb]onjour|[Cc]her|[Cc]hère|[Hh]ola|[Ee]stimad[oa]|[Bb]uongiorno|[Cc]iao)"
)
_CLOSING: Final = (
    r"(?:(?:[Kk]ind|[Bb]est|[Ww]arm|[Ww]ith kind|[Ww]ith best)(?: [Rr]egards| [Ww]ishes)|[Rr]egards|[Ss]incerely"
    r"|[Yy]ours (?:sincerely|truly|faithfully)|[Ss]incerely yours|[Cc]heers|[Mm]any thanks"
    r"|[Tt]hanks|[Tt]hank you|[Bb]est"
    r"|[Mm]it freundlichen Grüßen|[Vv]iele Grüße|[Cc]ordialement|[Ss]aludos|[Cc]ordiali saluti)"
)
_SAYS: Final = (
    r"(?:[Mm]y (?:full |first |last |maiden )?name is|[Mm]y name’s|[Mm]y name's|[Nn]ame's|(?:she|he) is called"
    r"|[Ii]ch heiße|[Mm]ein Name ist|[Jj]e m['’]appelle|[Mm]e llamo|[Mm]i chiamo|[Cc]all me|[Ss]igned by|[Aa]sk for"
    r"|(?:wife|husband|son|daughter|brother|sister|mother|father|friend|neighbour|neighbor|colleague|boss),?"
    r"|[Nn]ame(?: on (?:the )?(?:card|account))?:|[Cc]ustomer:|[Pp]atient:|[Cc]ontact:|[Aa]ttn:?|[Rr]ecipient:"
    r"|[Ss]urname:|[Bb]elongs to|[Dd]eliver(?:ed)? to)"
)
_SPEAKS: Final = r"(?:speaking|calling|here|from|writing)"

_RULES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<!\w){_TITLE}[ ](?P<name>{_NAME})",
        rf"{_START}{_GREETING}[ ](?:{_TITLE}[ ])?(?P<name>{_NAME})(?=[ ]?[,!:;\n.–—-]|$)",
        rf"(?<!\w){_CLOSING}(?:,[ ]*\n?|[ ]*\n|!\n)[ ]*(?P<name>{_NAME})(?=[ ]?[.,\n]|$)",
        rf"(?<!\w){_SAYS}[ ](?:{_TITLE}[ ])?(?P<name>{_NAME})",
        rf"(?<!\w)(?:I am|I[’']m|[Tt]his is)[ ](?P<name>{_NAME})(?=,?[ ]{_SPEAKS}\b)",
        # A middle initial makes a name of the words around it.
        rf"(?<![\w’'-])(?P<name>{_WORD}[ ]{_INITIAL}[ ]{_WORD})",
        rf"(?<!\w)(?:I am|I[’']m)[ ](?P<name>{_PART}[ ](?:{_PARTICLE}[ ])?{_PART})",
    )
)
_PAIR: Final = re.compile(
    # Looked at from each word on, so that `Is Anna Moreau in?` is not taken for one name.
    rf"(?<![\w’'-])(?=(?P<name>(?P<given>{_WORD})(?:[ ]{_INITIAL}|[ ][A-Z](?=[ ]))?"
    rf"[ ](?:{_PARTICLE}[ ])?{_WORD}(?:[ ]{_WORD})?))"
)
"""A given name that is known and what is written large after it."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NO_NAMES: Final = _words(
    """
    a about account address admin after again agent all also am an and any april are as at august australia
    austria bank be because before belgium billing brazil british but by can canada card care chat china city
    company contact could customer customers czech danish december denmark department desk did do does dutch
    email england english europe everyone everybody february finland folks for france french friday friend
    friends from german germany good great greek guest guests have hello help helpdesk her here hi his hotline
    how i if in india indian invoice ireland irish is it italian italy january japan japanese july june just
    ladies later let london london's madam march may me member members monday my neighbour neighbor no norway
    not november october of office on one only or order our paris phone please poland polish portal portugal
    regards reply russia sales saturday september service she shop since sir sirs so spain spanish store sunday
    support sweden swedish swiss switzerland team thanks thank that the their then there these they this those
    thursday to today tomorrow tuesday turkey uk ukraine us usa user valued warranty we website wednesday
    welcome what when where which while who why will with world yes yesterday you your
    """
)
"""Words that are written large for other reasons; a name ends before one of them."""

GIVEN: Final = _words(
    """
    Aaron Adam Adrian Agnes Ahmed Aisha Alan Albert Alejandro Alessandro Alexander Alexandra Alfred Ali Alice
    Alicia Alison Amanda Amelia Amy Ana Andrea Andreas Andrew Angela Anita Anja Ann Anna Anne Annette Anthony
    Antonio Arthur Astrid Barbara Beatrice Benjamin Bernd Bernard Birgit Bob Brenda Brian Bruno Camille Carla
    Carlos Carmen Carol Caroline Catherine Cecilia Charles Charlotte Chloe Chris Christian Christina Christine
    Christopher Claire Clara Claudia Colin Cynthia Daniel Daniela Danielle David Deborah Denise Dennis Diana
    Diego Dieter Dimitri Dmitri Donald Dorothy Douglas Edith Eduardo Edward Elena Eleanor Elisabeth Elizabeth
    Ella Ellen Emil Emily Emma Eric Erik Ernst Esther Eva Evelyn Fatima Felix Fernando Fiona Florence Frances
    Francesca Francesco Francis Francisco Franz Fred Frederick Gabriel Gareth Gary Geoffrey George Georg Gerald
    Gerard Gillian Giovanni Giulia Giuseppe Gordon Graham Greta Gregory Gustav Hannah Hans Harold Harriet Harry
    Hassan Heather Heidi Heinz Helen Helena Henri Henrik Henry Herbert Hilda Hugo Ian Ibrahim Ida Ines Ingrid
    Irene Isaac Isabel Isabella Ivan Jack Jacob Jacqueline Jacques James Jan Jane Janet Janice Jason Javier Jean
    Jeffrey Jennifer Jeremy Jessica Joan Joanna Johan Johann Johannes John Jonas Jonathan Jorge José Joseph
    Josephine Joshua Juan Judith Julia Julian Julie Jürgen Karen Karin Karl Karl-Heinz Katharina Katherine
    Kathleen Katrin Keith Kenneth Kevin Klaus Kurt Lars Laura Lauren Laurence Lawrence Lea Lena Leon Leonard
    Lewis Liam Lidia Linda Lisa Louis Louise Lucas Lucia Lucy Luigi Luis Lukas Luke Magdalena Manfred Manuel
    Marcel Marco Marcus Margaret Maria Marianne Marie Mario Marion Markus Marta Martha Martin Martina Mary Mateo
    Matteo Matthew Matthias Maurice Max Maxim Megan Melissa Michael Michel Michelle Miguel Mikhail Mohamed
    Mohammed Monica Monika Muhammad Nadia Natalia Natalie Nathan Nicholas Nicolas Nicole Nigel Nikolai Nina Noah
    Nora Norman Olga Oliver Olivia Oscar Otto Pablo Pamela Patricia Patrick Paul Paula Pauline Pedro Peter Petra
    Philip Philippe Pierre Priya Rachel Rafael Rainer Ralph Raymond Rebecca Renate Ricardo Richard Rita Robert
    Roberto Robin Roger Roland Ronald Rosa Rosemary Ruth Ryan Sabine Sally Samantha Samuel Sandra Sara Sarah
    Sebastian Sergei Sergio Sharon Sheila Shirley Silvia Simon Simone Sofia Sonia Sophia Sophie Stefan Stella
    Stephanie Stephen Steven Stuart Susan Susanne Suzanne Sven Sylvia Tanja Tatiana Teresa Thérèse Thomas
    Timothy Tobias Tom Tomas Ulrich Ursula Uwe Valentina Valerie Vanessa Vera Veronica Victor Victoria Viktor
    Vincent Vladimir Walter Wei Wendy Werner William Wolfgang Xavier Yasmin Yolanda Yusuf Yves Zoe
    """
)
"""Given names that are no other common word; with a second word written large they make a name."""


def find_names(text: str) -> Iterator[Span]:
    """Names behind titles, greetings, closings and words such as `my name is`, and known given names with a surname."""
    for rule in _RULES:
        for match in rule.finditer(text):
            yield from _span(text, *match.span("name"))
    for match in _PAIR.finditer(text):
        if match["given"] in GIVEN:
            found = list(_span(text, *match.span("name")))
            if found and " " in text[found[0].start : found[0].end]:
                yield found[0]


def _span(text: str, start: int, end: int) -> Iterator[Span]:
    """The words before the first that is no name; nothing where that is the first, or where it is a lone initial."""
    stop = start
    for word in re.finditer(r"\S+", text[start:end]):
        plain = word[0].strip(".,").casefold()
        if plain in NO_NAMES or plain.removesuffix("'s").removesuffix("’s") in NO_NAMES:
            break
        if word[0][0].isupper():
            stop = start + word.end()
    name = text[start:stop]
    for possessive in ("'s", "’s"):
        name = name.removesuffix(possessive)
    if len(name.rstrip(".")) > 1:
        yield Span(start, start + len(name), "name")


_STREET_WORD: Final = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Court|Ct|Close|Crescent|Square|Sq|Boulevard|Blvd|Way|Place|Pl"
    r"|Terrace|Gardens|Grove|Highway|Hwy|Parkway|Pkwy|Row|Mews|Quay|Circle|Trail)"
)
_LARGE: Final = rf"[{_UPPER}][^\W\d_]*[.]?(?:[-’'][^\W\d_]+)*"
_POSTCODE: Final = (
    r"(?:[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|(?:[A-Z]{2},? )\d{5}(?:-\d{4})?"
    r"|(?:[A-Z]{1,2}-)?\d{4,6}(?: [A-Z]{2})?)"
)
_TOWN: Final = rf"{_LARGE}(?:[ -](?!{_POSTCODE}(?!\w)){_LARGE}){{0,2}}"
_UNIT: Final = r"(?:,?[ \n](?:[Aa]pt|[Aa]partment|[Ff]lat|[Ss]uite|[Uu]nit|#)\.?[ ]?[\dA-Z][\w-]*)?"
_TAIL: Final = (
    rf"{_UNIT}(?:(?:,[ ]?|[ ]*\n[ ]*){_TOWN})?(?:,?[ ]|[ ]*\n[ ]*|,[ ]?\n)?(?:{_POSTCODE}(?!\w)(?:[ ]{_TOWN})?)?"
)
_NUMBER: Final = r"\d{1,5}[A-Za-z]?(?:-\d{1,4})?"
_STREETS: Final = (
    # 12 Baker Street; 12 rue de la Paix; Hauptstraße 12; Calle Mayor 5; P.O. Box 12
    rf"{_NUMBER}[ ](?:(?:North|South|East|West|[NSEW]\.?)[ ])?{_LARGE}(?:[ ]{_LARGE}){{0,2}}?[ ]{_STREET_WORD}\b",
    (
        rf"{_NUMBER},?[ ](?:rue|avenue|boulevard|place|chemin|quai|allée)[ ]"
        rf"(?:de[ ]la[ ]|du[ ]|des[ ]|de[ ]|d['’]|l['’])?{_TOWN}"
    ),
    (
        r"[^\W\d_][^\W\d_-]{2,}(?:straße|strasse|str\.|weg|platz|allee|gasse"
        r"|straat|laan|plein|gatan|vägen|veien|vej|gade|katu|tie)"
        r"[ ]\d{1,4}[a-zA-Z]?"
    ),
    rf"{_LARGE}[- ](?:Straße|Strasse|Allee|Platz|Weg)[ ]\d{{1,4}}[a-zA-Z]?",
    (
        rf"(?:Calle|C/|Avenida|Av\.|Paseo|Plaza|Via|Viale|Piazza|Rua|Ulica|ul\.)[ ]"
        rf"(?:de[ ]la[ ]|del?[ ]|do[ ]|da[ ]|dos[ ])?{_TOWN},?[ ]\d{{1,5}}[a-zA-Z]?"
    ),
    r"P\.?[ ]?O\.?[ ]Box[ ]\d{1,6}",
    # The post of the United States' forces: PSC 3294, Box 9168 APO AA 61487
    r"(?:(?:PSC[ ]\d+,|[Uu]nit[ ]\d+)[ ][Bb]ox[ ]\d+[ ,\n]+)?(?:APO|FPO|DPO)[ ]A[AEP][ ]\d{5}",
)
_ADDRESSES: Final = tuple(re.compile(rf"(?<![\w.,€$£-]){street}(?!\w){_TAIL}") for street in _STREETS)
_CUED_POSTCODE: Final = re.compile(
    rf"(?:[Pp]ost(?:al)?[ ]?code|[Zz][Ii][Pp](?:[ ]?code)?|PLZ|Postleitzahl)"
    rf"(?:[ ](?:is|was|of|to))?[ :]+(?P<code>{_POSTCODE})(?!\w)"
)


def find_addresses(text: str) -> Iterator[Span]:
    """A street with a number, with the town and postcode that follow it; post boxes; postcodes that are called so."""
    if not any(letter.isdigit() for letter in text):
        return
    for pattern in _ADDRESSES:
        for match in pattern.finditer(text):
            yield Span(match.start(), match.start() + len(match[0].rstrip(" ,.\n")), "address")
    for match in _CUED_POSTCODE.finditer(text):
        yield Span(*match.span("code"), "address")
