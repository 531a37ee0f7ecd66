"""The class decorators with which a job says what it needs: dates, a database, a transaction, other programs."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

from configman import Namespace
from configman.converters import class_converter

JobClass = TypeVar("JobClass", bound=type)
Decorator = Callable[[JobClass], JobClass]


def as_backfill_cron_app(job_class: JobClass) -> JobClass:
    """`run` gets a date, and is called for each date that has not succeeded yet: `def run(self, date):`."""
    inherited: Any = job_class.main  # type: ignore[attr-defined]

    def main(self: Any, function: Callable[..., Any] | None = None, once: bool = False) -> Any:
        return inherited(self, function, once=False)

    return _with_attributes(job_class, _is_backfill_app=True, main=main)


def with_transactional_resource(
    transactional_resource_class: type | str, resource_name: str, reference_value_from: str | None = None
) -> Decorator[JobClass]:
    """The job has `self.NAME_connection_factory` and `self.NAME_transaction_executor`, and their options in its
    namespace NAME. Nothing is connected before it is used.

    The class, or its dotted name, is called with these options, and makes a connection source as described in
    crontabber.transaction_executor. `reference_value_from` names the namespace that gives the options their defaults.
    """

    def connection_factory(self: Any) -> Any:
        options = self.config[resource_name]
        return options[f"{resource_name}_class"](options)

    def transaction_executor(self: Any) -> Any:
        options = self.config[resource_name]
        source = getattr(self, f"{resource_name}_connection_factory")
        return options[f"{resource_name}_transaction_executor_class"](options, source)

    def decorate(job_class: JobClass) -> JobClass:
        required_config = _copy_of(vars(job_class).get("required_config"))
        options = _copy_of(job_class.get_required_config().get(resource_name))  # type: ignore[attr-defined]
        _add_resource_options(options, transactional_resource_class, resource_name, reference_value_from)
        required_config[resource_name] = options
        attributes = {
            "required_config": required_config,
            f"{resource_name}_connection_factory": cached_property(connection_factory),
            f"{resource_name}_transaction_executor": cached_property(transaction_executor),
        }
        return _with_attributes(job_class, **attributes)

    return decorate


def with_resource_connection_as_argument(resource_name: str) -> Decorator[JobClass]:
    """`run` gets an open connection as its first argument, which is closed when it ends; to commit is up to the job.

    Where a class is decorated with several, the connection of the lowest comes first.
    """

    def decorate(job_class: JobClass) -> JobClass:
        inherited: Any = job_class._run_proxy  # type: ignore[attr-defined]

        def _run_proxy(self: Any, *args: Any, **kwargs: Any) -> Any:
            with getattr(self, f"{resource_name}_connection_factory")() as connection:
                return inherited(self, connection, *args, **kwargs)

        return _with_attributes(job_class, _run_proxy=_run_proxy)

    return decorate


def with_single_transaction(resource_name: str) -> Decorator[JobClass]:
    """`run` gets a connection as its first argument and is one transaction on it: committed when it returns, rolled
    back whatever it raises."""

    def decorate(job_class: JobClass) -> JobClass:
        inherited: Any = job_class._run_proxy  # type: ignore[attr-defined]

        def _run_proxy(self: Any, *args: Any, **kwargs: Any) -> Any:
            def run_and_record(connection: Any) -> Any:
                result = inherited(self, connection, *args, **kwargs)
                self._before_commit(connection, *args)
                return result

            return getattr(self, f"{resource_name}_transaction_executor")(run_and_record)

        return _with_attributes(job_class, _run_proxy=_run_proxy)

    return decorate


def with_subprocess(job_class: JobClass) -> JobClass:
    """The job has `self.run_process(command)`."""

    def run_process(
        self: Any, command: str | Sequence[str], input: str | bytes | None = None, timeout: float | None = None
    ) -> tuple[int, str, str]:
        """(exit code, stdout, stderr) of a command line for the shell, or of a list of a program and its arguments,
        which no shell sees. Output is stripped; the input is empty if none is given.

        subprocess.TimeoutExpired after `timeout` seconds. A command that does not end before the job is ended with
        it, and so is everything that the command has started.
        """
        # Few jobs run other programs, and every tick would pay for the import.
        from crontabber.process import subprocesses

        return subprocesses.run(command, input, timeout)

    return _with_attributes(job_class, run_process=run_process)


def using_postgres() -> Decorator[JobClass]:
    """The job has `self.database_connection_factory` and `self.database_transaction_executor`."""
    return with_transactional_resource(
        "crontabber.connection_factory.ConnectionFactory", "database", reference_value_from="resource.postgresql"
    )


def with_postgres_connection_as_argument() -> Decorator[JobClass]:
    """With `using_postgres`: `run` gets an open connection, which is closed when it ends."""
    return with_resource_connection_as_argument("database")


def as_single_postgres_transaction() -> Decorator[JobClass]:
    """With `using_postgres`: `run` gets a connection, and is one transaction on it.

    If the database is the one that crontabber keeps its state in, the job's success is part of that transaction.
    """
    return with_single_transaction("database")


# The names that they had before.
with_postgres_transactions = using_postgres
with_single_postgres_transaction = as_single_postgres_transaction


def _with_attributes(job_class: JobClass, **attributes: Any) -> JobClass:
    """The class itself, as if its body had set these."""
    for name, value in attributes.items():
        setattr(job_class, name, value)
        if isinstance(value, cached_property):
            value.__set_name__(job_class, name)
    return job_class


def _copy_of(options: Namespace | None) -> Namespace:
    """What a class requires may be shared with another class, and that of its bases always is."""
    return Namespace() if options is None else options.safe_copy()


def _add_resource_options(
    options: Namespace, resource_class: type | str, resource_name: str, reference_value_from: str | None
) -> None:
    options.add_option(
        f"{resource_name}_class",
        default=resource_class,
        from_string_converter=class_converter,
        doc=f"the class that connects to the job's resource {resource_name!r}",
        reference_value_from=reference_value_from,
    )
    options.add_option(
        f"{resource_name}_transaction_executor_class",
        default="crontabber.transaction_executor.TransactionExecutor",
        from_string_converter=class_converter,
        doc=f"the class that runs the transactions of the job on its resource {resource_name!r}",
        reference_value_from=reference_value_from,
    )
