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
from collections.abc import Sequence
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
    """Finds the registry as Python would, has it registered in once it has run, and is gone after that."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _REGISTRY:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def run_and_register(module: ModuleType) -> None:
            run(module)
            _register(module)

        spec.loader.exec_module = run_and_register
        return spec


def _register(registry: ModuleType) -> None:
    if METHOD in registry.AUTO_QUANTIZER_MAPPING:
        return
    # By name: who only decomposes matrices does not depend on the code of the quantizer.
    quantizer = importlib.import_module("lib.onebit.pretrained.quantizer")
    registry.register_quantization_config(METHOD)(quantizer.OneBitConfig)
    registry.register_quantizer(METHOD)(quantizer.OneBitQuantizer)
