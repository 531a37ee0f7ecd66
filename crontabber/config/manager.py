"""configman's manager with our own reading, writing, masking and error messages."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from operator import getitem
from typing import Any

from configman import Namespace
from configman.config_exceptions import NotAnOptionError
from configman.config_file_future_proxy import ConfigFileFutureProxy
from configman.dotdict import DotDict
from configman.option import Aggregation, Option

from crontabber.config.command_line import adapted
from crontabber.config.config_file import ConfigFile, is_readable
from crontabber.config.definitions import PLAIN_TYPES, named, options_in, text_of
from crontabber.config.good_entries import GoodEntries
from crontabber.config.option_faults import (
    doubtful_booleans,
    fault_of_command_line,
    faults_of_values,
    unknown_options,
)
from crontabber.config.overlay import overlay
from crontabber.errors import ConfigurationError, CrontabberError, OutputError
from crontabber.output.secrets import MASK, is_secret, mask_of
from crontabber.process.streams import answer

ADMIN_DOCS = {
    "conf": "the configuration file to read: .ini, .json or .conf",
    "dump_conf": "write the configuration, including secrets, to this file, which only you can read; its ending sets"
    " the format: .ini, .json, .conf or .env",
    "expose_secrets": "show secrets in the output of --admin.print_conf instead of masking them",
    "print_conf": "print the configuration in this format: ini, json, conf or env",
    "strict": "refuse unknown options instead of warning about them",
}


class ManagerMixin(GoodEntries):
    """What we do differently from configman: a class inherits from this first, then from a ConfigurationManager.

    A ConfigFileFutureProxy among the sources stands for the file at `config_file`. ConfigFile reads this file and all
    others that it can read; configman reads the rest.
    """

    # Sentences about the configuration that are worth a warning.
    warnings: tuple[str, ...] = ()
    _dump_path: str | None = None

    def __init__(self, *args: Any, values_source_list: Sequence[Any], config_file: Any = None, **options: Any) -> None:
        self._given_sources = values_source_list
        paths = [config_file if source is ConfigFileFutureProxy else source for source in values_source_list]
        sources = [
            ConfigFile(path) if is_readable(path) else source
            for source, path in zip(values_source_list, paths, strict=True)
        ]
        super().__init__(*args, values_source_list=sources, **options)  # type: ignore[call-arg]

    def _setup_admin_options(self: Any, values_source_list: Sequence[Any]) -> Any:
        """Offer --admin.conf if a ConfigFileFutureProxy was given, although we have read its file ourselves."""
        options = super()._setup_admin_options(self._given_sources)  # type: ignore[misc]
        for name, doc in ADMIN_DOCS.items():
            if name in options.admin:
                options.admin[name].doc = doc
        return options

    def _overlay_expand(self: Any) -> set[str]:
        self.values_source_list = list(map(adapted, self.values_source_list))
        try:
            known = overlay(self)
        except CrontabberError:
            raise
        except (Exception, SystemExit) as error:
            faults = faults_of_values(self, options_in(self.option_definitions))
            if not faults:
                raise
            text = "\n".join(faults)
            # The message of a converter may quote a secret.
            raise ConfigurationError(text) from (None if MASK in text else error)
        options = options_in(self.option_definitions)
        self.check_values(options)
        self._doubtful = doubtful_booleans(self, options)
        return known

    def _check_for_mismatches(self: Any, known_keys: set[str]) -> None:
        strict = self.option_definitions.admin.strict.value
        try:
            unknown = dict(unknown_options(self, known_keys, strict))
            unknown = {key: said for key, said in unknown.items() if not self.is_of_broken_entry(key)}
        except NotAnOptionError as error:
            raise ConfigurationError(fault_of_command_line(error, known_keys)) from error
        doubts = [*unknown.values(), *self._doubtful]
        if doubts and strict:
            raise ConfigurationError("\n".join(doubts))
        self.warnings = tuple(doubts)
        wanted = sum(_is_argument(self.option_definitions[key]) for key in known_keys) if self.args else 0
        if len(self.args) > wanted:
            raise ConfigurationError(f"unexpected argument {self.args[wanted]!r}: options begin with -- (see --help)")

    def _aggregate(self: Any, source: Namespace, base_namespace: Any, local_namespace: Any) -> bool:
        """Put the results of aggregations into the configuration. configman would compute each of them twice."""
        made = []
        for name, aggregation in named(Aggregation, source).items():
            *levels, key = name.split(".")
            local = reduce(getitem, levels, local_namespace)
            aggregation.aggregate(base_namespace, local, self.args)
            made += [(local, key, aggregation.value)]
        for local, key, value in made:
            if not key.endswith("$"):
                local[key] = value
        return False

    @staticmethod
    def _walk_and_close(config: Any) -> None:
        """Close what can be closed, the innermost first. configman would look for close() in every text, too."""
        for value in config.values():
            if type(value) in PLAIN_TYPES or isinstance(value, type):
                continue
            if isinstance(value, Mapping):
                ManagerMixin._walk_and_close(value)
            if not isinstance(value, DotDict) and hasattr(value, "close"):
                value.close()

    def output_summary(self: Any, output_stream: Any = None) -> None:
        from crontabber.config.help_text import render_help

        self.insist_on_all_entries()
        answer(render_help(self), output_stream)

    def log_config(self: Any, logger: Any) -> None:
        _mark_secrets(self.option_definitions)
        super().log_config(logger)  # type: ignore[misc]

    def print_conf(self: Any) -> None:
        from contextlib import redirect_stdout
        from io import StringIO

        self.insist_on_all_entries()
        with redirect_stdout(StringIO()) as printed:
            super().print_conf()  # type: ignore[misc]
        answer(printed.getvalue())

    def dump_conf(self: Any, config_pathname: str | None = None) -> None:
        """Write a file with all secrets, so that it can replace the sources that it was made from."""
        self.insist_on_all_entries()
        self._dump_path = config_pathname or self.option_definitions.admin.dump_conf.value
        try:
            with _exposed_secrets(self.option_definitions.admin):
                super().dump_conf(self._dump_path)  # type: ignore[misc]
        except OSError as error:
            raise OutputError(f"{self._dump_path} cannot be written: {error.strerror}") from error
        finally:
            self._dump_path = None

    def write_conf(self: Any, config_file_type: Any, opener: Any, skip_keys: Any = None) -> None:
        from crontabber.config.writers import WRITERS, new_file_for_owner

        _mark_secrets(self.option_definitions)
        opener = partial(new_file_for_owner, self._dump_path) if self._dump_path else opener
        super().write_conf(WRITERS.get(config_file_type, config_file_type), opener, skip_keys)  # type: ignore[misc]


def _mark_secrets(definitions: Namespace) -> None:
    """Mark an option as secret if its name says so, or if its value contains a password, as a URL may. Masking the
    printed text would break its format."""
    mask = mask_of()
    for option in options_in(definitions).values():
        text = text_of(option)
        option.secret = option.secret or is_secret(option.name) or mask(text) != text


@contextmanager
def _exposed_secrets(admin: Namespace) -> Iterator[None]:
    asked_for, admin.expose_secrets.default = admin.expose_secrets.default, True
    try:
        yield
    finally:
        admin.expose_secrets.default = asked_for


def _is_argument(option: Any) -> bool:
    return isinstance(option, Option) and bool(option.is_argument)
