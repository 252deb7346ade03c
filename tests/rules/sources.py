"""The project's files, as the rules see them."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = (".cpp", ".hpp", ".h", ".py", ".sh")


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that is, or would be, committed; relative to the root."""
    # The checkout may belong to another user than the root that tests run as.
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True)
    if listing.returncode == 0:
        names = [name for name in listing.stdout.split("\0") if name]
    else:  # an archive without its history
        names = [os.path.relpath(os.path.join(folder, name), ROOT)
                 for folder, _, files in os.walk(ROOT) for name in files
                 if not re.search(r"/(\.git|build|__pycache__|\.pytest_cache)(/|$)", folder)]
    return tuple(sorted({Path(name) for name in names if (ROOT / name).is_file()}))


def cpp_files() -> list[Path]:
    return [path for path in tracked() if path.suffix in (".cpp", ".hpp", ".h")]


def text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def without_comments(code: str) -> str:
    """The code with comments and string contents blanked, line numbers kept."""
    def blank(match: re.Match) -> str:
        found = match.group(0)
        return '""' if found[0] == '"' else re.sub(r"[^\n]", " ", found)
    return re.sub(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', blank, code, flags=re.S)


def is_under(path: Path, folder: str) -> bool:
    return path.as_posix().startswith(folder + "/")
