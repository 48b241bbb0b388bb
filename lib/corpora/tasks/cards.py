"""A format and style task: a sentence about a person becomes a card of a strict form.

    Mara Lind lives in Oslo, flat 14, and was born on 9 March 1987.
    LIND Mara|1987-03-09|OSLO 14

An answer is right if it is the card, sign by sign. Style is the share of the form's rules that it keeps, whatever the
facts: a model that has learnt the form and mixes up the facts has full style.
"""

import random
import re
from collections.abc import Mapping
from typing import Any

from lib.corpora.tasks.task import Generator, Item, words

_FIRST = words("Mara Jonas Ella Pavel Rita Hugo Dana Felix Irma Oscar Vera Nils Tara Bruno Alma Emil Lena Nora Ivan")
_LAST = words("Lind Berg Novak Silva Moreau Rossi Weber Larsen Costa Duran Kovacs Bauer Olsen Marin Keller Nagy")
_CITIES = words("Oslo Paris Rome Vienna Lisbon Prague Madrid Berlin Athens Dublin Geneva Turin Bergen Malaga")
_MONTHS = words("January February March April May June July August September October November December")

_TEMPLATES = (
    "{first} {last} lives in {city}, flat {flat}, and was born on {day} {month} {year}.",
    "Born on {day} {month} {year}, {first} {last} now lives in flat {flat} in {city}.",
    "Flat {flat} in {city} is the home of {first} {last}, who was born on {month} {day}, {year}.",
    "{last}, {first}: born {month} {day}, {year}; home is {city}, flat {flat}.",
    "In {city}, at flat {flat}, you find {first} {last}. The birthday is {day} {month} {year}.",
)
_RULES = (
    re.compile(r"[^|]*\|[^|]*\|[^|]*"),  # three fields
    re.compile(r"[A-Z]+ [A-Z][a-z]+(\|.*|$)"),  # the family name first, in capitals
    re.compile(r"[^|]*\|\d{4}-\d\d-\d\d(\|.*|$)"),  # the date as year-month-day
    re.compile(r".*\|[A-Z]+ \d+"),  # the city in capitals, then the flat
)


def _draw(dice: random.Random) -> Item:
    number, month = dice.randrange(len(_TEMPLATES)), dice.randrange(12)
    day, year, flat = dice.randint(1, 28), dice.randint(1930, 2009), dice.randint(2, 99)
    first, last, city = dice.choice(_FIRST), dice.choice(_LAST), dice.choice(_CITIES)
    sentence = _TEMPLATES[number].format(
        first=first, last=last, city=city, flat=flat, day=day, month=_MONTHS[month], year=year
    )
    card = f"{last.upper()} {first}|{year}-{month + 1:02}-{day:02}|{city.upper()} {flat}"
    numbers = " ".join(map(str, sorted((day, year, flat))))
    return Item(f"{sentence}\nCard:", f" {card}", f"template {number}", numbers)


def _correct(item: Mapping[str, Any], answer: str) -> bool:
    return answer.strip() == item["answer"].strip()


def _style(answer: str) -> float:
    return sum(rule.fullmatch(answer.strip()) is not None for rule in _RULES) / len(_RULES)


CARDS = Generator("cards", "a sentence about a person as a card of a strict form", _draw, _correct, _style, 40)
