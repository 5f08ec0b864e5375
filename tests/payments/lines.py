"""Lines of the product, named by function and text, so that no edit moves them in silence.

Something may happen just before one of them is executed: the product itself holds no hooks.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any


@dataclass(frozen=True)
class Line:
    """A line of a source file; `hit` counts how often the interpreter comes to it."""

    file: str
    number: int
    hit: int = 1

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.number}"


def line_of(function: Callable[..., Any], text: str, *, hit: int = 1, nth: int = 0) -> Line:
    """Return the only line of `function` that contains `text`, or the `nth` (from 1) of several.

    The interpreter comes to a `with` line twice: to enter, and (hit=2) to leave the block.
    """
    function = inspect.unwrap(function)
    source, first = inspect.getsourcelines(function)
    found = [first + offset for offset, line in enumerate(source) if text in line]
    if nth > len(found) or (not nth and len(found) != 1):
        raise LookupError(f"{len(found)} lines of {function.__qualname__} contain {text!r}")
    file = inspect.getsourcefile(function)
    assert file is not None
    return Line(file, found[max(nth, 1) - 1], hit)


def executable_lines(module: ModuleType) -> set[Line]:
    """Return every line of a module's functions that the interpreter can come to."""
    file = inspect.getsourcefile(module)
    assert file is not None
    whole = compile(Path(file).read_text(), file, "exec")
    return {Line(file, number) for number in _line_numbers(whole)}


def lines_of(function: Callable[..., Any]) -> set[Line]:
    """Return every line of a function that the interpreter can come to."""
    function = inspect.unwrap(function)
    file = inspect.getsourcefile(function)
    assert file is not None
    return {Line(file, number) for number in _line_numbers(function.__code__)}


def _line_numbers(code: CodeType) -> Iterator[int]:
    if code.co_flags & inspect.CO_OPTIMIZED:  # a function's body, not a module's or a class's
        named = not code.co_name.startswith("<")
        for _, _, number in code.co_lines():
            if number is not None and not (named and number == code.co_firstlineno):
                yield number
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _line_numbers(constant)


@contextmanager
def before(line: Line, action: Callable[[], object]) -> Iterator[None]:
    """Do `action` once, when this thread is about to execute `line`; fail if it never comes."""
    hits = 0

    def reached(found: Line) -> None:
        nonlocal hits
        if (found.file, found.number) == (line.file, line.number):
            hits += 1
            if hits == line.hit:
                action()

    with traced({line.file}, reached):
        yield
    if hits < line.hit:
        raise AssertionError(f"{line} was reached {hits} times, not {line.hit}")


@contextmanager
def traced(files: set[str], reached: Callable[[Line], object]) -> Iterator[None]:
    """Call `reached` before each line of these files that this thread executes."""

    def on_call(frame: FrameType, _event: str, _argument: object) -> Any:
        return on_line if frame.f_code.co_filename in files else None

    def on_line(frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            reached(Line(frame.f_code.co_filename, frame.f_lineno))
        return on_line

    previous = sys.gettrace()
    sys.settrace(on_call)
    try:
        yield
    finally:
        sys.settrace(previous)
