"""Documentation under test: generated pages are those of the code, links lead somewhere, codes and settings are explained."""

from __future__ import annotations

import importlib
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

import podium
from podium import plugin
from podium.app.settings import Settings
from podium.app.wiring.about import meanings_of
from podium.base import errors
from tools import docs

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", ["docs/settings.md", "docs/cli.md", "docs/types.md", "docs/dependencies.md"])
def test_generated_page_is_that_of_the_code(page: str) -> None:
    assert (ROOT / page).read_text("utf-8") == docs.PAGES[page](), "run `make docs`"


def test_every_setting_says_what_it_means() -> None:
    def check(model: type, path: str) -> list[str]:
        found, said = [], meanings_of(model)
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]  # a pydantic model
            section = docs._section(field.annotation)
            found += check(section, f"{path}{name}.") if section else [] if said.get(name) else [path + name]
        return found

    assert check(Settings, "") == []


def subclasses(root: type) -> set[type]:
    return {root, *(each for child in root.__subclasses__() for each in subclasses(child))}


def test_every_error_code_is_a_heading_of_the_errors_page() -> None:
    for module in pkgutil.walk_packages(podium.__path__, "podium."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    headings = set(re.findall(r"^## `([a-z-]+)`", (ROOT / "docs/errors.md").read_text("utf-8"), re.MULTILINE))
    codes = {each.code for each in subclasses(errors.PodiumError) if each.__module__.startswith("podium.")}  # type: ignore[attr-defined]
    assert headings == codes


def test_the_face_for_plug_ins_offers_exactly_its_public_names() -> None:
    public = {name for name, thing in vars(plugin).items() if getattr(thing, "__module__", None) == plugin.__name__ and name[0] != "_"}
    assert public <= set(plugin.__all__)
    assert all(hasattr(plugin, name) for name in plugin.__all__)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_named_in_a_page_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", page.read_text("utf-8"))) <= targets


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text("utf-8")
    pages = [page.name for page in (ROOT / "docs").glob("*.md") if page.name != "index.md"]
    assert [name for name in pages if f"({name})" not in index] == []


def test_every_decision_is_in_their_index() -> None:
    index = (ROOT / "docs/adr/README.md").read_text("utf-8")
    assert [page.name for page in (ROOT / "docs/adr").glob("0*.md") if f"({page.name})" not in index] == []


def test_every_dependency_has_its_reason() -> None:
    names = {re.split(r"[\[<>=~!; ]", each)[0] for each in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]}
    rows = dict(re.findall(r"^\| `(.+?)` \| (.+) \|$", (ROOT / "docs/dependencies.md").read_text("utf-8"), re.MULTILINE))
    assert set(rows) == names
    assert [name for name, why in rows.items() if why == "None"] == []


def test_locks_pin_every_dependency_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[\[<>=~!; ]", each)[0].lower().replace("_", "-") for each in project["dependencies"]}
    for name, needed in (("runtime", wanted), ("dev", wanted | {"pytest", "ruff", "mypy"})):
        text = (ROOT / f"requirements/{name}.txt").read_text("utf-8")
        pinned = set(re.findall(r"^([a-z0-9.-]+)(?:\[[a-z,]+\])?==", text, re.MULTILINE))
        assert needed - pinned == set(), "run `make lock`"
        assert text.count("--hash=sha256:") >= len(pinned)
