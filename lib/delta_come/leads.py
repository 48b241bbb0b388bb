"""Who is ahead, and when R cannot tell.

Where both methods have recovered everything (R of at least 0.98) or nothing (at most 0.02), or answer alike item by
item, R cannot decide. Such a tie neither holds nor fails by itself: the KL decides where it was compared, and then the
pair holds in direction at best; else the pair is inconclusive. What is shown to be behind, with an interval below 0,
is no tie. An interval that merely touches 0 tells nothing, for answers are counted in whole items.

This rule was added after a review, when part of the records had been made and some of them seen.
"""

from collections.abc import Sequence
from dataclasses import replace

from lib.ledger import Estimate, Status, Verdict, above

_EVERYTHING, _NOTHING = 0.98, 0.02  # of R


def tie(lead: Estimate, ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return why R cannot tell who is ahead; "" where it can.

    Args:
        lead: R of ours minus R of the other method.
        ours: R of ours, one a seed; empty where it is not known.
        theirs: R of the other method.
    """
    low, high = lead.interval or (lead.value, lead.value)
    if lead.interval and high < 0:
        return ""
    both = [sum(each) / len(each) for each in (ours, theirs) if each]
    if len(both) == 2 and min(both) >= _EVERYTHING:
        return "both recover everything, so R cannot decide"
    if len(both) == 2 and max(both) <= _NOTHING:
        return "both recover nothing, so R cannot decide"
    return "both answer alike, so R cannot decide" if low == high == 0 else ""


def ahead(lead: Estimate) -> Verdict:
    """Judge that a lead is above 0; an interval that touches 0 is inconclusive."""
    verdict = above(lead, 0)
    low, high = lead.interval or (lead.value, lead.value)
    if verdict.status is not Status.FAILS or not low <= 0 <= high:
        return verdict
    reason = f"{verdict.reason}; nor is it shown to be below"
    return replace(verdict, status=Status.INCONCLUSIVE, reason=reason)


def ahead_or_tied(lead: Estimate, ours: Sequence[float], theirs: Sequence[float]) -> Verdict:
    """Judge by R alone that ours is ahead; a tie is inconclusive. Arguments as in `tie`."""
    verdict, why = ahead(lead), tie(lead, ours, theirs)
    if not why:
        return verdict
    return replace(verdict, status=Status.INCONCLUSIVE, reason=f"{verdict.reason}; {why}")
