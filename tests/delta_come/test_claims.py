"""Every claim of the paper has a row."""

from lib.delta_come.claims import CLAIMS


def test_all_seventeen_claims_have_a_row():
    assert [claim.id for claim in CLAIMS] == [f"delta_come.C{number}" for number in range(1, 18)]


def test_what_is_not_measured_says_what_it_waits_for():
    assert all(part.reason for claim in CLAIMS for part in claim.parts if part.metrics is None)
