"""When is a module of configman covered? As it is imported, by a finder on sys.meta_path; at once if it is loaded."""

from __future__ import annotations

import os.path
import sys
from types import ModuleType

from crontabber.configman_compat import faults, secrets, views

TYPE_CHECKING = False  # as in typing, which takes 4 ms to import; importlib.abc takes 20
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec

COVERED_VERSION = "1.3.0"
COVERS = (*faults.COVERS, *secrets.COVERS)


class CoveringFinder:
    """Finds modules of configman where any other finder would, and has each of them covered as it is executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _belongs_to_configman(fullname):
            return None
        for finder in sys.meta_path:
            spec = None if isinstance(finder, CoveringFinder) else finder.find_spec(fullname, path, target)
            if spec and spec.loader:
                _cover_when_executed(spec.loader)
                return spec
        return None


def apply() -> None:
    """Cover configman now and in every later import of it; a second call changes nothing."""
    if not any(isinstance(finder, CoveringFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, CoveringFinder())  # type: ignore[arg-type]  # duck-typed: importlib.abc is too slow
    loaded = [name for name in sys.modules if _belongs_to_configman(name)]
    if "configman" not in loaded:
        for name in loaded:
            del sys.modules[name]  # left behind by an import that failed before it could be covered
        return
    for name in sorted(loaded, key=lambda name: name.count("."), reverse=True):
        module = sys.modules[name]
        if not hasattr(module, "__covered__"):
            views.look_through(module)
            _cover(module)


def _belongs_to_configman(name: str) -> bool:
    return name == "configman" or name.startswith("configman.")


def _cover_when_executed(loader: Loader) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        vars(module)["__builtins__"] = views.BUILTINS
        execute(module)
        _cover(module)

    loader.exec_module = exec_module  # type: ignore[method-assign]


def _cover(module: ModuleType) -> None:
    """Later versions get no more than the views, which do no harm where they are not needed."""
    vars(module)["__covered__"] = True
    covers = [cover for name, cover in COVERS if name == module.__name__]
    if not covers or _version_of_configman() != COVERED_VERSION:
        return
    for cover in covers:
        try:
            cover(module)
        except AttributeError as error:
            raise ImportError(
                f"configman at {module.__file__} says that it is version {COVERED_VERSION}, but it is not as "
                f"published: {error}. Install it anew: pip install --force-reinstall configman=={COVERED_VERSION}"
            ) from error


def _version_of_configman() -> str:
    folder = sys.modules["configman"].__path__[0]
    try:
        with open(os.path.join(folder, "version.txt")) as version_file:  # noqa: PTH123  # pathlib takes 5 ms to import
            return version_file.read().strip()
    except OSError:
        return ""
