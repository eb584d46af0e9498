"""The sentences under the members of an enumeration, such as the remedy of each `Reason`.

Python drops a string literal that follows an assignment, so it is read from the module's source, which is installed
with the package. In this way a reason and its remedy stay in one place (`transforms.vocabulary`).
"""

import ast
import inspect
import re
from enum import StrEnum
from functools import cache


@cache
def member_docs(enumeration: type[StrEnum]) -> dict[str, str]:
    """Returns the sentence under each member, by the member's value, on one line.

    >>> from transforms.vocabulary import Kind
    >>> member_docs(Kind)["undelivered"]
    'Could be sent again as it is: replay.'

    Raises:
      OSError: the module's source is not installed.
    """
    body = ast.parse(inspect.getsource(enumeration)).body[0]
    docs: dict[str, str] = {}
    if not isinstance(body, ast.ClassDef):
        return docs
    for statement, following in zip(body.body, body.body[1:], strict=False):
        match statement, following:
            case (
                ast.Assign(targets=[ast.Name()], value=ast.Constant(value=str(value))),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                docs[value] = re.sub(r"\s+", " ", text).strip()
    return docs
