"""Numbers as people read them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.ledger.digits import four_digits, interval_text, paper_text

unhurried = settings(deadline=None, max_examples=50)  # a busy machine is no failure


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.371949, "0.3719"),
        (9999, "9999"),
        (9999.6, "10 k"),
        (12346, "12.35 k"),
        (134515008, "134.5 M"),
        (-2.5e9, "-2.5 G"),
        (3e13, "30 T"),
        (1.2e-7, "1.2e-07"),
        (1e20, "1e+20"),
        (None, "–"),
        (True, "True"),
    ],
)
def test_numbers_read_well(number, text):
    assert four_digits(number) == text


@unhurried
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_number_has_more_than_four_significant_digits(number):
    mantissa = re.split("e| ", four_digits(number))[0]
    assert len(mantissa.replace("-", "").replace(".", "").lstrip("0")) <= 4


@unhurried
@given(st.floats(min_value=1e-300, max_value=1e300))
def test_the_text_is_the_number_within_half_a_thousandth(number):
    factors = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    mantissa, _, suffix = four_digits(number).partition(" ")
    assert float(mantissa) * factors[suffix] == pytest.approx(number, rel=6e-4)


def test_a_finer_resolution_shows_more_digits():
    assert (four_digits(1.00732, 5e-6), four_digits(1.00732)) == ("1.00732", "1.007")


def test_intervals_and_the_papers_numbers():
    assert (interval_text((0.1, 12346.0)), interval_text(None)) == ("0.1 to 12.35 k", "")
    assert (paper_text((1.0073, 2)), paper_text(None), paper_text(0.0)) == ("1.0073, 2", "–", "0")
