import json
import multiprocessing
import warnings
from pathlib import Path

import pytest

from lib import artifacts
from lib.artifacts import MANIFEST, find, store
from lib.checkout import Checkout

RECIPE = {"width": 8, "seed": 0}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.delenv(artifacts.STORE, raising=False)
    return Checkout(tmp_path)


def write_weights(folder: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "weights.bin").write_bytes(b"\x01" * 100)
    (folder / "parts" / "notes.txt").write_text("a note")


def must_not_run(folder: Path) -> None:
    raise AssertionError("made again although it was there")


def test_an_artifact_lies_under_its_name_and_the_hash_of_its_recipe(checkout):
    folder = store("teacher", RECIPE, write_weights, checkout)
    assert folder.parent == checkout.root / "artifacts"
    assert folder.name.startswith("teacher-")
    assert len(folder.name) == len("teacher-") + 12
    assert (folder / "parts" / "notes.txt").read_text() == "a note"


def test_what_is_there_is_not_made_again(checkout):
    first = store("teacher", RECIPE, write_weights, checkout)
    assert store("teacher", dict(reversed(RECIPE.items())), must_not_run, checkout) == first


def test_another_recipe_is_another_artifact(checkout):
    assert store("teacher", RECIPE, write_weights, checkout) != store("teacher", {"width": 9}, write_weights, checkout)


def test_the_manifest_holds_the_recipe_and_every_file(checkout):
    manifest = json.loads((store("teacher", RECIPE, write_weights, checkout) / MANIFEST).read_text())
    assert manifest["recipe"] == RECIPE
    assert manifest["files"]["weights.bin"]["size"] == 100
    assert set(manifest["files"]) == {"weights.bin", "parts/notes.txt"}


@pytest.mark.parametrize("damaged", ["weights.bin", "parts/notes.txt"])
def test_a_changed_file_is_named_and_the_artifact_made_again(checkout, damaged):
    folder = store("teacher", RECIPE, write_weights, checkout)
    content = (folder / damaged).read_bytes()
    (folder / damaged).write_bytes(b"?" + content[1:])
    with pytest.warns(UserWarning, match=f"{damaged} does not match its checksum"):
        store("teacher", RECIPE, write_weights, checkout)
    assert (folder / damaged).read_bytes() == content


def test_a_deleted_file_is_named_and_the_artifact_made_again(checkout):
    folder = store("teacher", RECIPE, write_weights, checkout)
    (folder / "weights.bin").unlink()
    with pytest.warns(UserWarning, match=r"weights\.bin is missing"):
        assert (store("teacher", RECIPE, write_weights, checkout) / "weights.bin").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": {"weights.bin": 3}, "recipe": {}}'])
def test_a_broken_manifest_is_not_trusted(checkout, text):
    (store("teacher", RECIPE, write_weights, checkout) / MANIFEST).write_text(text)
    with pytest.warns(UserWarning, match="manifest"):
        store("teacher", RECIPE, write_weights, checkout)


def test_a_folder_without_a_manifest_is_not_taken_for_complete(checkout):
    folder = store("teacher", RECIPE, write_weights, checkout)
    (folder / MANIFEST).unlink()
    with pytest.warns(UserWarning, match="missing or unreadable"):
        assert find("teacher", RECIPE, checkout) is None


def test_an_interrupted_attempt_leaves_nothing_behind(checkout):
    def interrupted(folder: Path) -> None:
        write_weights(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store("teacher", RECIPE, interrupted, checkout)
    assert find("teacher", RECIPE, checkout) is None
    assert [path.name for path in (checkout.root / "artifacts").iterdir() if not path.name.endswith(".lock")] == []


def test_what_a_killed_process_left_is_swept_and_never_used(checkout):
    folder = store("teacher", RECIPE, write_weights, checkout)
    leftover = folder.with_name(f".{folder.name}.making-deadbeef")
    folder.rename(leftover)  # the state after kill -9: files and even the manifest, but not renamed
    assert find("teacher", RECIPE, checkout) is None
    store("teacher", RECIPE, write_weights, checkout)
    assert not leftover.exists()


def test_find_returns_what_store_made_and_makes_nothing_itself(checkout):
    assert find("teacher", RECIPE, checkout) is None
    folder = store("teacher", RECIPE, write_weights, checkout)
    assert find("teacher", RECIPE, checkout) == folder


def test_one_variable_moves_the_store(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv(artifacts.STORE, str(tmp_path / "elsewhere"))
    assert store("teacher", RECIPE, write_weights, checkout).parent == tmp_path / "elsewhere"


def test_a_complete_artifact_can_be_read_from_a_store_without_locking(checkout):
    folder = store("teacher", RECIPE, write_weights, checkout)
    for lock in folder.parent.glob(".*.lock"):
        lock.unlink()
    store("teacher", RECIPE, must_not_run, checkout)
    assert not list(folder.parent.glob(".*.lock"))


@pytest.mark.parametrize("name", ["Teacher", "../teacher", "", "a b", ".hidden"])
def test_a_name_that_is_no_folder_name_is_refused(checkout, name):
    with pytest.raises(ValueError, match="name"):
        store(name, RECIPE, write_weights, checkout)


def test_a_recipe_must_be_json(checkout):
    with pytest.raises(TypeError, match="JSON"):
        store("teacher", {"path": Path()}, write_weights, checkout)


def test_an_empty_artifact_is_an_error(checkout):
    with pytest.raises(ValueError, match="nothing was written"):
        store("teacher", RECIPE, lambda folder: None, checkout)


def make_in_process(root: Path, barrier) -> None:
    def append_a_line(folder: Path) -> None:
        with (root / "made").open("a") as log:
            log.write("made\n")
        write_weights(folder)

    barrier.wait()
    store("teacher", RECIPE, append_a_line, Checkout(root))


def test_two_processes_make_it_once(checkout):
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    workers = [context.Process(target=make_in_process, args=(checkout.root, barrier)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert (checkout.root / "made").read_text() == "made\n"


def test_nothing_is_said_about_an_intact_artifact(checkout):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store("teacher", RECIPE, write_weights, checkout)
        store("teacher", RECIPE, must_not_run, checkout)
