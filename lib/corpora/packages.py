"""Which packages' docstrings make the default corpus, and which of them are held out.

All are pinned in requirements.lock, bring the same Python sources on every operating system, and carry a permissive
licence. What is held out was chosen for a low leak rate (measured between each package and all others: 0 to 1.2 % of
13-grams for most; numpy's 3.2 % and traitlets' 4.0 % stand elsewhere too) and for more than one kind of prose.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """One package of the default corpus.

    Attributes:
        name: The distribution's name.
        licence: SPDX name of the licence of its Python sources.
        split: "train", "validation" or "test".
    """

    name: str
    licence: str
    split: str = "train"


PACKAGES: tuple[Package, ...] = (
    Package("babel", "BSD-3-Clause"),
    Package("click", "BSD-3-Clause", "test"),
    Package("datasets", "Apache-2.0"),
    Package("fonttools", "MIT"),
    Package("fsspec", "BSD-3-Clause"),
    Package("huggingface-hub", "Apache-2.0"),
    Package("ipython", "BSD-3-Clause"),
    Package("jinja2", "BSD-3-Clause", "validation"),
    Package("matplotlib", "LicenseRef-Matplotlib", "validation"),  # its own, after the PSF's
    Package("mpmath", "BSD-3-Clause"),
    Package("narwhals", "MIT"),
    Package("networkx", "BSD-3-Clause", "test"),
    Package("numpy", "BSD-3-Clause"),
    Package("packaging", "Apache-2.0 OR BSD-2-Clause"),
    Package("pandas", "BSD-3-Clause"),
    Package("pillow", "MIT-CMU"),
    Package("prompt-toolkit", "BSD-3-Clause"),
    Package("pydantic", "MIT", "test"),
    Package("pyparsing", "MIT"),
    Package("rich", "MIT", "validation"),
    Package("scikit-learn", "BSD-3-Clause"),
    Package("scipy", "BSD-3-Clause"),
    Package("setuptools", "MIT"),
    Package("sympy", "BSD-3-Clause"),
    Package("torch", "BSD-3-Clause"),
    Package("tornado", "Apache-2.0", "test"),
    Package("transformers", "Apache-2.0"),
)

# Enough text for a model that is trained in seconds, read in seconds: the numerical packages in one style.
SMALL: tuple[str, ...] = ("matplotlib", "networkx", "numpy", "pandas", "scikit-learn", "scipy")
