"""Where does configman show a secret? In a dumped file of mode 0600, and where --admin.expose_secrets asks for it."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO, Any

SECRET_NAMES = ("password", "dsn")


def keep_secrets(config_manager: ModuleType) -> None:
    """What is secret by its name is treated like what is declared so, in help, log and written configurations.

    A dumped configuration has the secrets themselves: it is to be used in place of the sources it comes from.
    """
    manager = config_manager.ConfigurationManager
    output_summary, log_config = manager.output_summary, manager.log_config
    write_conf, dump_conf = manager.write_conf, manager.dump_conf

    def never_in_help(self: Any, output_stream: IO[str] | None = None) -> None:
        _mark_secrets(self.option_definitions)
        with _exposed_secrets(self.option_definitions, False):
            output_summary(self, output_stream or sys.stdout)

    def never_in_a_log(self: Any, *args: Any, **kwargs: Any) -> None:
        _mark_secrets(self.option_definitions)
        log_config(self, *args, **kwargs)

    def only_on_demand(self: Any, *args: Any, **kwargs: Any) -> None:
        _mark_secrets(self.option_definitions)
        write_conf(self, *args, **kwargs)

    def always_in_a_dump(self: Any, *args: Any, **kwargs: Any) -> None:
        with _exposed_secrets(self.option_definitions, True):
            dump_conf(self, *args, **kwargs)

    manager.output_summary, manager.log_config = never_in_help, never_in_a_log
    manager.write_conf, manager.dump_conf = only_on_demand, always_in_a_dump
    config_manager.open = open_for_owner  # type: ignore[attr-defined]  # dump_conf is the only one to open a file there


def open_for_owner(path: str, mode: str) -> IO[str]:
    """The file, emptied, readable by its owner alone also if it was there before."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
        return os.fdopen(descriptor, mode, encoding="utf-8")
    except BaseException:
        os.close(descriptor)
        raise


def _mark_secrets(definitions: Any) -> None:
    for key in definitions.keys_breadth_first():
        name = key.rpartition(".")[2].lower()
        if any(secret_name in name for secret_name in SECRET_NAMES):
            definitions[key].secret = True


@contextmanager
def _exposed_secrets(definitions: Any, exposed: bool) -> Iterator[None]:
    option = definitions.admin.expose_secrets if "admin" in definitions else None
    if option is None:
        yield
        return
    asked_for, option.default = option.default, exposed
    try:
        yield
    finally:
        option.default = asked_for


COVERS: tuple[tuple[str, Callable[[ModuleType], None]], ...] = (("configman.config_manager", keep_secrets),)
