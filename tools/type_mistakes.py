"""Check which type checkers refuse each mistake of `tests/typing_mistakes/mistakes.py`.

The comment above each mistake's `def` names the checkers that refuse it: ``# refused by: pyright mypy ty``. A mistake
that a checker stops refusing fails the check, and so does one that it begins to refuse. `--write` writes the comments
anew.

    python -m tools.type_mistakes
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

MISTAKES = Path("tests/typing_mistakes/mistakes.py")
BIN = Path(sys.executable).parent
COMMENT = "# refused by: "
NONE = "none"


def output_of(*command: str) -> str:
    """What a type checker prints. Its exit code says only that there are errors."""
    program = str(BIN / command[0])
    return subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False).stdout


def lines_of_pyright() -> set[int]:
    """The lines in which pyright finds an error."""
    report = json.loads(output_of("pyright", "--outputjson", "--pythonpath", sys.executable, str(MISTAKES)))
    return {each["range"]["start"]["line"] + 1 for each in report["generalDiagnostics"] if each["severity"] == "error"}


def lines_of_mypy() -> set[int]:
    """The lines in which mypy finds an error."""
    return _lines(output_of("mypy", "--strict", "--no-error-summary", str(MISTAKES)), r":(\d+): error:")


def lines_of_ty() -> set[int]:
    """The lines in which ty finds an error."""
    report = output_of("ty", "check", "--output-format", "concise", "--python", str(BIN.parent), str(MISTAKES))
    return _lines(report, r":(\d+):\d+: error\[")


def _lines(report: str, pattern: str) -> set[int]:
    return {
        int(match[1])
        for line in report.splitlines()
        if line.startswith(str(MISTAKES)) and (match := re.search(pattern, line))
    }


def refused(source: list[str]) -> dict[int, str]:
    """The checkers that refuse each function, by the index of the function's first line."""
    lines_by_checker = {"pyright": lines_of_pyright(), "mypy": lines_of_mypy(), "ty": lines_of_ty()}
    starts = [index for index, line in enumerate(source) if line.startswith(("def ", "async def "))]
    ends = [*starts[1:], len(source)]
    return {
        start: " ".join(
            checker for checker, lines in lines_by_checker.items() if any(start < line <= end for line in lines)
        )
        or NONE
        for start, end in zip(starts, ends, strict=True)
    }


def main(arguments: list[str]) -> int:
    """Run the check; returns the exit code."""
    source = MISTAKES.read_text().splitlines()
    answers = refused(source)
    if arguments == ["--write"]:
        lines: list[str] = []
        for index, line in enumerate(source):
            if index in answers:
                lines.append(COMMENT + answers[index])
            if not line.startswith(COMMENT):
                lines.append(line)
        MISTAKES.write_text("\n".join(lines) + "\n")
        return 0
    wrong = 0
    for start, checkers in answers.items():
        said = source[start - 1].removeprefix(COMMENT)
        if said != checkers:
            wrong += 1
            print(f"{MISTAKES}:{start + 1}: refused by {checkers}, and the comment says {said}")
    print(f"Mistakes that a type checker refuses otherwise than noted: {wrong} of {len(answers)}.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
