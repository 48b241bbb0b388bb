"""What a record says of the code, the device and the versions that measured, as rows for a page."""

from typing import Any

from lib.batch.report.layout import duration, moment, words


def provenance_rows(stored: dict[str, Any]) -> list[tuple[str, str]]:
    """Return name and text of what a record's provenance says about code, device and versions.

    Args:
        stored: The record's `provenance`; what it lacks is left out.
    """
    device = stored.get("device") or {}
    commit = stored.get("commit")
    changed = {True: ", with changes that are not committed", False: ", clean"}.get(stored.get("dirty"), "")
    versions = stored.get("versions") or {}
    rows = [
        ("Commit", f"{commit}{changed}" if commit else ""),
        ("Content of the code", stored.get("content") or ""),
        ("Lock", stored.get("lock_hash") or ""),
        ("Notebook's code", stored.get("notebook_hash") or ""),
        ("Device", device.get("name") or ""),
        ("Processor", ", ".join(filter(None, [device.get("processor"), _cores(device)]))),
        ("Python", stored.get("python") or ""),
        ("Measured", _when(stored)),
        ("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    return [(name, str(value)) for name, value in rows if value]


def _cores(device: dict[str, Any]) -> str:
    return words(device["cores"], "core") if device.get("cores") else ""


def _when(stored: dict[str, Any]) -> str:
    seconds = stored.get("duration_s")
    parts = [moment(str(stored.get("started") or "")), f"took {duration(seconds)}" if seconds is not None else ""]
    return ", ".join(part for part in parts if part)
