"""Write a folder whole or not at all, and never over somebody else's files."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chainrule.demo.errors import DemoError

__all__ = ["MANIFEST", "check_target", "whole_folder"]

# Lists what the demo wrote into a folder: the sign by which it knows its own files again.
MANIFEST = "chainrule-demo.json"


def check_target(target: Path) -> None:
    """Raise a DemoError unless `target` can be made, or is empty, or holds only what a demo wrote."""
    try:
        if not target.exists():
            return
        if not target.is_dir():
            raise DemoError(
                f"--output {target}: this is a file; expected a new folder, or one that a demo wrote before",
                2,
            )
        if target.samefile(Path.cwd()):
            raise DemoError(f"--output {target}: this is the folder you are in; name a folder within it", 2)
        entries = {entry.name for entry in target.iterdir()}
        foreign = sorted(entries - _own_files(target)) if entries else []
    except OSError as error:
        raise DemoError(
            f"--output {target}: cannot be read ({error.strerror}); name another folder", 2
        ) from None
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise DemoError(
            f"--output {target}: the folder holds files that the demo did not write "
            f"({', '.join(foreign[:3])}{more}); "
            "name a new or an empty folder",
            2,
        )


def _own_files(target: Path) -> set[str]:
    try:
        listed = json.loads((target / MANIFEST).read_text(encoding="utf-8"))["files"]
        # A folder in there is not the demo's, whatever its name.
        return {name for name in listed if isinstance(name, str) and not (target / name).is_dir()} | {
            MANIFEST
        }
    except (OSError, ValueError, KeyError, TypeError):
        return set()


@contextmanager
def whole_folder(target: Path, about: dict[str, Any]) -> Iterator[Path]:
    """Give a new folder to write into; at the end it takes `target`'s place in one rename.

    It lies beside the target, on the same file system, so that the rename cannot leave a part behind.  If the
    body raises, it is removed and the target stays as it was.

    Parameters
    ----------
    target : Path
        Where the folder is to be; what a demo left there before is replaced.
    about : dict
        Goes into the manifest beside the list of files.

    Raises
    ------
    DemoError
        If the target holds foreign files or cannot be written.
    """
    target = target.resolve()  # through a symbolic link: its folder is replaced, not the link
    check_target(target)
    mark = secrets.token_hex(4)
    fresh, old = (target.with_name(f".{target.name}.{kind}-{mark}") for kind in ("new", "old"))
    try:
        fresh.mkdir(parents=True)
        yield fresh
        manifest = {**about, "files": sorted([*(entry.name for entry in fresh.iterdir()), MANIFEST])}
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        check_target(target)  # once more: the training took a while
        try:
            if target.exists():
                target.rename(old)
            fresh.rename(target)
        except BaseException:
            if old.exists() and not target.exists():
                old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise DemoError(
            f"--output {target}: cannot be written ({error.strerror}); name another folder", 2
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
