"""Rooms are found by looking, and leave nothing behind."""

import sys

import pytest

import lib
from lib.ledger.faults import RecordError
from lib.ledger.metrics import Metrics
from lib.ledger.rooms import Rooms
from tests.ledger.toy import CLAIMS

CLAIM = 'Claim("{id}", "A sentence.", "Table 1", 1.0, "", "7B", "135M", (Part("all", None, None, "no GPU"),))'


def state(checkout, *ids, closing=",)"):
    claims = ", ".join(CLAIM.format(id=name) for name in ids)
    (checkout.lib / "toy" / "claims.py").write_text(f"from lib.ledger import Claim, Part\nCLAIMS = ({claims}{closing}")


def test_the_claims_of_every_room_are_found(checkout):
    (checkout.lib / "abc").mkdir()
    (checkout.lib / "abc" / "claims.py").write_text(
        f"from lib.ledger import Claim, Part\nCLAIMS = ({CLAIM.format(id='abc.C1')},)"
    )
    claims, faults = Rooms(checkout).claims()
    assert ([claim.id for claim in claims], faults) == (["abc.C1", "toy.C1", "toy.C2"], [])


def test_claims_are_ordered_by_number(checkout):
    state(checkout, "toy.C10", "toy.C2", "toy.C1")
    assert [claim.id for claim in Rooms(checkout).claims()[0]] == ["toy.C1", "toy.C2", "toy.C10"]


def test_another_checkouts_rooms_leave_no_module_behind(checkout, monkeypatch):
    monkeypatch.delattr(lib, "toy", raising=False)
    before, path, names = dict(sys.modules), list(lib.__path__), set(vars(lib))
    Rooms(checkout).claims()
    assert {name for name in sys.modules if name.startswith("lib.toy")} == set()
    assert (list(lib.__path__), set(vars(lib))) == (path, names)
    assert all(sys.modules[name] is module for name, module in before.items() if name.startswith("lib."))


def test_another_checkouts_room_may_have_a_name_that_is_in_use(checkout, monkeypatch):
    standing = type(sys)("lib.toy")
    monkeypatch.setitem(sys.modules, "lib.toy", standing)
    monkeypatch.setattr(lib, "toy", standing, raising=False)
    claims, faults = Rooms(checkout).claims()
    assert (len(claims), faults) == (2, [])
    assert sys.modules["lib.toy"] is standing is lib.toy


def test_two_checkouts_do_not_see_each_others_rooms(checkout, tmp_path):
    from tests.ledger.toy import toy_checkout

    other = toy_checkout(tmp_path / "other")
    state(other, "toy.C7")
    assert [claim.id for claim in Rooms(other).claims()[0]] == ["toy.C7"]
    assert [claim.id for claim in Rooms(checkout).claims()[0]] == ["toy.C1", "toy.C2"]


def test_claims_and_records_mean_the_same_metrics(checkout):
    rooms = Rooms(checkout)
    claims, _ = rooms.claims()
    assert rooms.metrics_type("lib.toy.metrics.Errors") is claims[0].parts[0].metrics


def test_a_room_that_cannot_be_imported_is_a_fault_and_the_others_stand(checkout):
    (checkout.lib / "broken").mkdir()
    (checkout.lib / "broken" / "claims.py").write_text("import nothing_of_that_name")
    claims, (fault,) = Rooms(checkout).claims()
    assert len(claims) == 2
    assert fault.where == "lib/broken/claims.py" and "nothing_of_that_name" in fault.problem


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CLAIMS.replace("CLAIMS =", "OTHERS ="), "cannot be imported"),
        (CLAIMS.replace('"toy.C2"', '"toy.C1"'), "toy.C1 is stated twice"),
        (CLAIMS.replace('"toy.C2"', '"other.C1"'), "other.C1 does not start with the room's name"),
        ("CLAIMS = ('toy.C1',)", "which is no Claim"),
        ("CLAIMS = 3", "which is no Claim"),
    ],
)
def test_claims_that_are_not_in_order_are_faults(checkout, text, says):
    (checkout.lib / "toy" / "claims.py").write_text(text)
    _, (fault,) = Rooms(checkout).claims()
    assert says in fault.problem


@pytest.mark.parametrize(
    "name",
    ["lib.toy.metrics.Gone", "lib.gone.metrics.Errors", "os.path.join", "lib.toy.metrics.dataclass", "Errors", ""],
)
def test_metrics_that_are_not_there_are_named_with_a_remedy(checkout, name):
    with pytest.raises(RecordError, match=r"its metrics .* make accept"):
        Rooms(checkout).metrics_type(name)


def test_this_checkouts_rooms_are_the_imported_ones():
    assert Rooms().metrics_type("lib.ledger.metrics.Metrics") is Metrics
