"""Class decorators that give a job what it needs: dates, a database, a transaction, other programs."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

from configman import Namespace
from configman.converters import class_converter

JobClass = TypeVar("JobClass", bound=type)
Decorator = Callable[[JobClass], JobClass]


def as_backfill_cron_app(job_class: JobClass) -> JobClass:
    """Call `run(self, date)` once for each date that has not succeeded yet, the oldest first.

    `date` is an aware datetime in the job's zone, by default that of the PostgreSQL server.
    """

    def main(self: Any, function: Callable[..., Any] | None = None, once: bool = False) -> Any:
        # A `main` of the class itself is replaced, as in the original.
        return super(job_class, self).main(function, once=False)  # type: ignore[arg-type, misc]

    return _with_attributes(job_class, _is_backfill_app=True, main=main)


def with_transactional_resource(
    transactional_resource_class: type | str, resource_name: str, reference_value_from: str | None = None
) -> Decorator[JobClass]:
    """Give the job `self.NAME_connection_factory` and `self.NAME_transaction_executor`, where NAME is `resource_name`.
    They connect on first use. Their options are in the namespace NAME of the job.

    The class, or its dotted name, is called with these options and returns a connection source: see
    crontabber.transaction_executor. `reference_value_from` names the namespace with the defaults of the options.
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
    """Call `run` with an open connection as its first argument, and close it afterwards. The job has to commit.

    If a class has several such decorators, the connection of the lowest comes first.
    """

    def decorate(job_class: JobClass) -> JobClass:
        inherited: Any = job_class._run_proxy  # type: ignore[attr-defined]

        def _run_proxy(self: Any, *args: Any, **kwargs: Any) -> Any:
            with getattr(self, f"{resource_name}_connection_factory")() as connection:
                return inherited(self, connection, *args, **kwargs)

        return _with_run_proxy(job_class, _run_proxy, resource_name)

    return decorate


def with_single_transaction(resource_name: str) -> Decorator[JobClass]:
    """Call `run` with a connection as its first argument, in one transaction: committed when it returns, rolled back
    whatever it raises."""

    def decorate(job_class: JobClass) -> JobClass:
        inherited: Any = job_class._run_proxy  # type: ignore[attr-defined]

        def _run_proxy(self: Any, *args: Any, **kwargs: Any) -> Any:
            def run_and_record(connection: Any) -> Any:
                result = inherited(self, connection, *args, **kwargs)
                self._before_commit(connection, *args)
                return result

            return getattr(self, f"{resource_name}_transaction_executor")(run_and_record)

        return _with_run_proxy(job_class, _run_proxy, resource_name)

    return decorate


def with_subprocess(job_class: JobClass) -> JobClass:
    """Give the job `self.run_process(command, input=None, timeout=None)`, which returns (exit code, stdout, stderr).

    A text is a command line for the shell. A list of a program and its arguments runs without one; numbers in it become
    text. The program reads `input`, a text or bytes, or else nothing. Both outputs are text, without the blanks around
    them. subprocess.TimeoutExpired after `timeout` seconds. If the job ends first, the command and everything it has
    started are killed.
    """

    def run_process(
        self: Any, command: str | Sequence[str], input: str | bytes | None = None, timeout: float | None = None
    ) -> tuple[int, str, str]:
        # Few jobs run other programs, but every tick would pay for the import.
        from crontabber.process import subprocesses

        return subprocesses.run(command, input, timeout)

    return _with_attributes(job_class, run_process=run_process)


def using_postgres() -> Decorator[JobClass]:
    """Give the job `self.database_connection_factory` and `self.database_transaction_executor`.

    Their options are in the namespace `database` of the job, with the defaults of `resource.postgresql`.
    """
    return with_transactional_resource(
        "crontabber.connection_factory.ConnectionFactory", "database", reference_value_from="resource.postgresql"
    )


def with_postgres_connection_as_argument() -> Decorator[JobClass]:
    """With `using_postgres`: call `run` with an open connection, and close it afterwards."""
    return with_resource_connection_as_argument("database")


def as_single_postgres_transaction() -> Decorator[JobClass]:
    """With `using_postgres`: call `run` with a connection, in one transaction.

    If crontabber keeps its state in the same database, the job's success becomes part of that transaction.
    """
    return with_single_transaction("database")


# The older names of two decorators.
with_postgres_transactions = using_postgres
with_single_postgres_transaction = as_single_postgres_transaction


def resources_of(job_class: type) -> dict[str, Any]:
    """Return the resources that a job class is decorated with: by name, the class or dotted name that connects."""
    options: Any = job_class.get_required_config()  # type: ignore[attr-defined]
    marks = {name: f"{name}_transaction_executor_class" for name in options}
    return {
        name: options[name][f"{name}_class"].default
        for name, mark in marks.items()
        if isinstance(options[name], Namespace) and mark in options[name]
    }


def __getattr__(name: str) -> Any:
    """Give test suites `crontabber.mixins.subprocess`, in which they replace Popen. Jobs do not pay for the import."""
    if name != "subprocess":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import subprocess

    return subprocess


def _with_run_proxy(job_class: JobClass, run_proxy: Callable[..., Any], resource_name: str) -> JobClass:
    """Set a `_run_proxy` that passes a connection on to the one before it. --configtest reads what is noted here."""
    run_proxy.__wrapped__ = job_class._run_proxy  # type: ignore[attr-defined]
    argument = "connection" if resource_name == "database" else f"{resource_name}_connection"
    arguments = (*job_class._run_arguments, argument)  # type: ignore[attr-defined]
    return _with_attributes(job_class, _run_proxy=run_proxy, _run_arguments=arguments)


def _with_attributes(job_class: JobClass, **attributes: Any) -> JobClass:
    """Set attributes as if they were in the body of the class. Return the class."""
    for name, value in attributes.items():
        setattr(job_class, name, value)
        if isinstance(value, cached_property):
            value.__set_name__(job_class, name)
    return job_class


def _copy_of(options: Namespace | None) -> Namespace:
    """Copy options: the required_config of a class may be shared, and that of its bases always is."""
    return Namespace() if options is None else options.safe_copy()


def _add_resource_options(
    options: Namespace, resource_class: type | str, resource_name: str, reference_value_from: str | None
) -> None:
    options.add_option(
        f"{resource_name}_class",
        default=resource_class,
        from_string_converter=class_converter,
        doc=f"the class that connects the job to its resource {resource_name!r}",
        reference_value_from=reference_value_from,
    )
    options.add_option(
        f"{resource_name}_transaction_executor_class",
        default="crontabber.transaction_executor.TransactionExecutor",
        from_string_converter=class_converter,
        doc=f"the class that runs the job's transactions on its resource {resource_name!r}",
        reference_value_from=reference_value_from,
    )
