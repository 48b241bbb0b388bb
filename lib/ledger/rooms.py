"""The papers' rooms, found by looking: their claims, and the metrics that records name.

A room is a folder of `lib` with a `claims.py`. This library's own rooms are imported as ever. Those of another checkout
are imported from there, and leave neither modules nor paths behind.
"""

import contextlib
import importlib
import re
import sys
from collections.abc import Iterator
from types import ModuleType

import lib
from lib.checkout import Checkout
from lib.ledger.claim import Claim
from lib.ledger.faults import Fault, RecordError
from lib.ledger.metrics import Metrics

_TYPE_NAME = re.compile(r"(lib\.\w+(?:\.\w+)*)\.(\w+)")


class Rooms:
    """The rooms of one checkout; each of their modules is imported once an instance."""

    def __init__(self, checkout: Checkout = Checkout()) -> None:
        self._checkout = checkout
        self._foreign: dict[str, ModuleType] = {}

    def names(self) -> list[str]:
        """Return the rooms that state claims."""
        return sorted(path.parent.name for path in self._checkout.lib.glob("*/claims.py"))

    def module(self, name: str) -> ModuleType:
        """Import a module by its full name, "lib.onebit.claims"; raises whatever it raises."""
        if self._checkout.root.resolve() == Checkout().root:
            return importlib.import_module(name)
        with self._in_place(name.split(".")[1]):
            return importlib.import_module(name)

    def metrics_type(self, name: str) -> type[Metrics]:
        """Return the metrics that a record names, "lib.onebit.metrics.Separation".

        Raises:
            RecordError: There is none of that name.
        """
        remedy = "measure again with the present code (make reports, make accept), or take the code of that commit"
        match = _TYPE_NAME.fullmatch(name)
        try:
            found = getattr(self.module(match[1]), match[2]) if match else None
        except Exception as error:
            raise RecordError(
                f"its metrics {name} cannot be loaded ({type(error).__name__}: {error})", remedy
            ) from error
        if not (isinstance(found, type) and issubclass(found, Metrics)):
            raise RecordError(f"its metrics {name!r} are no metrics of this checkout", remedy)
        return found

    def claims(self) -> tuple[list[Claim], list[Fault]]:
        """Return all claims, room by room and by number, and what is wrong with those that are left out."""
        claims: dict[str, Claim] = {}
        faults: list[Fault] = []
        for room in self.names():
            where = f"lib/{room}/claims.py"
            try:
                stated = self.module(f"lib.{room}.claims").CLAIMS
            except Exception as error:  # one room's mistake must not hide the others' claims
                faults.append(Fault(where, f"cannot be imported ({type(error).__name__}: {error})", "mend the module"))
                continue
            for claim in stated if isinstance(stated, tuple) else [stated]:
                if problem := _problem(claim, room, claims):
                    faults.append(Fault(where, problem, "correct CLAIMS, a tuple of Claim with an id of its own each"))
                else:
                    claims[claim.id] = claim
        return sorted(claims.values(), key=lambda claim: (claim.room, int(claim.id.rpartition(".C")[2]))), faults

    @contextlib.contextmanager
    def _in_place(self, room: str) -> Iterator[None]:
        """Let `lib.<room>` mean the other checkout's room for as long as an import takes."""
        own, path, attribute = _loaded(room), list(lib.__path__), vars(lib).get(room)
        for name in own:
            del sys.modules[name]
        sys.modules.update({name: self._foreign[name] for name in self._foreign if _belongs(name, room)})
        lib.__path__.insert(0, str(self._checkout.lib))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            self._foreign |= _loaded(room)
            for name in _loaded(room):
                del sys.modules[name]
            sys.modules.update(own)
            lib.__path__[:] = path
            vars(lib).pop(room, None)
            if attribute is not None:
                setattr(lib, room, attribute)


def _problem(claim: object, room: str, known: dict[str, Claim]) -> str | None:
    if not isinstance(claim, Claim):
        return f"CLAIMS holds {claim!r:.80}, which is no Claim"
    if claim.room != room:
        return f"{claim.id} does not start with the room's name, {room}"
    return f"{claim.id} is stated twice" if claim.id in known else None


def _loaded(room: str) -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if _belongs(name, room)}


def _belongs(name: str, room: str) -> bool:
    return name == f"lib.{room}" or name.startswith(f"lib.{room}.")
