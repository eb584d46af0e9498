"""Starts programs that the pipeline knows by name only, because nothing here may depend on them."""

import importlib

from pipeline.errors import CommandError


def run_program(module_name: str, argv: list[str]) -> int:
    """Runs `main(argv)` of a module and returns its exit code.

    Raises:
      CommandError: the module is not installed.
    """
    package = module_name.split(".", maxsplit=1)[0]
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name not in {package, module_name}:
            raise CommandError(f"{module_name} needs the package {error.name}, which is not installed.") from error
        raise CommandError(
            f"the package `{package}` is not installed here; run this command in a checkout of the project."
        ) from error
    exit_code: int | None = module.main(argv)
    return exit_code or 0
