"""Which files a list of files and folders holds, and under which ids."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from retrieval.addresses import SUFFIX, FoundUrl, read_list
from retrieval.documents import clean_text
from retrieval.results import Failure
from tandem.errors import UserError

# Hidden files, editors' backups and the lock files of office programs are nobody's documents.
_IGNORED_BEGINNINGS: Final = (".", "~$")
_IGNORED_ENDS: Final = ("~", ".tmp", ".swp")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file, the folder it was found for (or the file itself, if named), and its document's id."""

    id: str
    path: Path
    root: Path

    @property
    def place(self) -> str:
        """Where the document comes from."""
        return str(self.path)


@dataclass(slots=True)
class Scan:
    """What is there: files in the order of the paths given, then by name; and addresses in lists among them."""

    roots: list[Path] = field(default_factory=list)
    files: dict[str, FoundFile] = field(default_factory=dict)
    urls: dict[str, FoundUrl] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    unlisted: list[Path] = field(default_factory=list)
    """Folders and lists that could not be read: what was indexed from them is kept."""


def scan(paths: Sequence[Path]) -> Scan:
    """Find the files in `paths`; folders recursively, symbolic links out of them not followed.

    An id is the path relative to the folder given, with `/`; a file given itself has its name.
    Raises UserError naming every path that does not exist.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise UserError(f"There is no {' and no '.join(missing)}.", code="missing_path", paths=missing)
    found = Scan()
    for path in paths:
        root = Path(os.path.abspath(path))
        found.roots.append(root)
        if root.is_dir():
            _scan_folder(found, root)
        else:
            _take(found, FoundFile(_name(Path(root.name)), root, root))
    return found


def _scan_folder(found: Scan, root: Path) -> None:
    def note(error: OSError) -> None:
        folder = Path(error.filename)
        found.unlisted.append(folder)
        reason = f"The folder cannot be listed: {os.strerror(error.errno or 0)}."
        found.failures.append(Failure(_name(folder.relative_to(root)), reason))

    for place, folders, files in os.walk(root, onerror=note):
        folder = Path(place)
        for name in sorted(folders):
            if not _ignored(name) and (folder / name).is_symlink():
                reason = "The folder is a symbolic link, which is not followed."
                found.failures.append(Failure(_name((folder / name).relative_to(root)), reason))
        folders[:] = sorted(name for name in folders if not _ignored(name))
        for name in sorted(files):
            if not _ignored(name):
                _take(found, FoundFile(_name((folder / name).relative_to(root)), folder / name, root))


def _take(found: Scan, file: FoundFile) -> None:
    reason = _objection(found, file)
    if reason:
        found.failures.append(Failure(file.id, reason))
    elif file.path.suffix.lower() == SUFFIX:
        _take_list(found, file)
    else:
        found.files[file.id] = file


def _take_list(found: Scan, file: FoundFile) -> None:
    try:
        listed, failures = read_list(file.path, file.root)
    except (OSError, UnicodeDecodeError) as error:
        found.unlisted.append(file.path)
        listed, failures = [], [Failure(file.id, f"The list of addresses cannot be read: {error}.")]
    found.urls |= {one.id: one for one in listed if one.id not in found.urls}
    found.failures += failures


def _objection(found: Scan, file: FoundFile) -> str | None:
    if file.id in found.files:
        other = found.files[file.id].path
        return None if other == file.path else f"Another file has the same id and is indexed instead: {other}."
    if file.path != file.root and not file.path.resolve().is_relative_to(file.root.resolve()):
        return "The file is a symbolic link that leads out of the folder."
    try:
        regular = stat.S_ISREG(file.path.stat().st_mode)
    except OSError:
        return None  # reading it will say why
    return None if regular else "This is not a regular file."


def _name(relative: Path) -> str:
    """The path with `/` and in one Unicode form, whatever the file system's."""
    return clean_text(os.fsencode(relative.as_posix()).decode("utf-8", "replace"))


def _ignored(name: str) -> bool:
    return name.startswith(_IGNORED_BEGINNINGS) or name.endswith(_IGNORED_ENDS)
