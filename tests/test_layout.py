"""The folders and their imports are those of the design: arrows point one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("tandem", "training", "retrieval", "serving", "eval")

ALLOWED = {
    "tandem": {"tandem"},
    "retrieval": {"tandem", "retrieval"},
    "training": {"tandem", "retrieval", "training"},
    "serving": {"tandem", "retrieval", "serving"},
    "eval": {"tandem", "retrieval", "eval"},
}
"""Package → the packages of ours that it may import."""

MAY_IMPORT_EVERYTHING = ("tandem/cli.py", "tandem/commands/", "tandem/demo")

HOMES = {
    "trl": ("training/",),
    "peft": ("training/",),
    "faiss": ("retrieval/",),
    "tantivy": ("retrieval/",),
    "sentence_transformers": ("retrieval/",),
    "vllm": ("serving/",),
}
"""Heavy library → the only folders that import it."""

LATE = {"torch", "vllm", "transformers", "faiss", "sentence_transformers", "peft", "trl", "datasets", "accelerate"}
"""Not imported at the top of a module in these packages, so that the command line answers at once."""
LATE_IN = ("tandem/", "serving/", "eval/")

FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def name(path: Path) -> str:
    """The path inside the checkout."""
    return path.relative_to(ROOT).as_posix()


def imports(path: Path, top_only: bool = False) -> Iterator[str]:
    """The first word of each absolute import in a file; with `top_only` those that run when it is imported."""
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]
        is_late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(node)
        if not (top_only and is_late):
            pending += ast.iter_child_nodes(node)


def is_type_checking(node: ast.AST) -> bool:
    """Whether a node is `if TYPE_CHECKING:`, which never runs."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_imports_only_what_its_package_may(path: Path) -> None:
    if name(path).startswith(MAY_IMPORT_EVERYTHING):
        return
    package = path.relative_to(ROOT).parts[0]
    ours = {module for module in imports(path) if module in (*PACKAGES, "tests", "scripts", "benchmarks")}
    assert ours <= ALLOWED[package]


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_library_is_imported_in_its_home_only(library: str) -> None:
    users = [name(path) for path in FILES if library in imports(path)]
    assert [user for user in users if not user.startswith(HOMES[library])] == []


def test_faiss_is_imported_in_one_file_only() -> None:
    assert len([path for path in FILES if "faiss" in imports(path)]) <= 1


def test_heavy_libraries_are_imported_late() -> None:
    early = [(name(path), LATE & set(imports(path, top_only=True))) for path in FILES]
    assert [(file, found) for file, found in early if found and file.startswith(LATE_IN)] == []


def test_nothing_imports_the_command_line() -> None:
    for path in FILES:
        if not name(path).startswith(MAY_IMPORT_EVERYTHING):
            text = path.read_text(encoding="utf-8")
            assert "tandem.cli" not in text, name(path)
            assert "tandem.commands" not in text, name(path)


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for package in (*PACKAGES, "tests", "benchmarks") for path in (ROOT / package).rglob("*.py")}
    assert [name(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_every_package_has_a_folder_of_tests() -> None:
    assert [package for package in PACKAGES if not (ROOT / "tests" / package / "__init__.py").is_file()] == []


def test_no_code_uses_pickle() -> None:
    pickling = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    assert [name(path) for path in FILES if pickling & set(imports(path))] == []


def test_the_oracle_of_this_file_sees_late_and_early_imports(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text(
        "import a.b\nfrom c.d import e\nfrom . import f\nif TYPE_CHECKING:\n    import g\n"
        "def function():\n    import h\nclass Class:\n    import i\n"
    )
    assert set(imports(file)) == {"a", "c", "g", "h", "i"}
    assert set(imports(file, top_only=True)) == {"a", "c", "i"}
