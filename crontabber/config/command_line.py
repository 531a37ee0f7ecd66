"""Read the command line before there is a configuration."""

from collections.abc import Sequence


def asks_for(arguments: Sequence[str], mode: str, short_form: str = "") -> bool:
    """True if the command line asks for `mode`, by its name, any beginning of it, or its short form."""
    for argument in arguments:
        if argument == "--":
            return False
        if short_form and argument == f"-{short_form}":
            return True
        name = argument.partition("=")[0]
        if len(name) > 2 and f"--{mode}".startswith(name):
            return True
    return False


def option_given(arguments: Sequence[str], option: str) -> str | None:
    """Return the text that the command line gives an option, by its name or a beginning of its last part. The last one
    counts; None without one."""
    shortest, given = option.rpartition(".")[0] + ".", None
    for index, argument in enumerate(arguments):
        if argument == "--":
            break
        name, equals, text = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and len(name) > len(shortest) and option.startswith(name):
            given = text if equals else "".join(arguments[index + 1 : index + 2])
    return given
