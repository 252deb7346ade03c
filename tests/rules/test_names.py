"""Names that stand in two places are the same in both: drop reasons and their tests, stages and their page."""

import re
from pathlib import Path

import pytest
from sources import ROOT, is_under, text, tracked

PATHS = Path("dataplane/pipeline/paths.hpp")
PAGE = Path("docs/life-of-a-packet.md")


def drop_reasons():
    body = re.search(r"enum class drop_reason[^{]*{(.*?)};", text(Path("dataplane/core/drop_reason.hpp")), re.S).group(1)
    names = re.findall(r"^\s*(\w+),", body, re.M)
    return [name for name in names if name not in ("none", "count_")]


def test_every_drop_reason_is_named_by_a_test():
    tests = "\n".join(text(path) for path in tracked() if path.suffix in (".py", ".cpp", ".yaml", ".json")
                      and (is_under(path, "tests/functional") or is_under(path, "tests/unit")))
    untested = [name for name in drop_reasons() if not re.search(rf"\b{name}\b", tests)]
    assert not untested, "no test makes a packet drop as " + ", ".join(untested)


def stages():
    """Every stage that stands in one of the pipeline's lists, in order of first appearance."""
    return [name for name in dict.fromkeys(re.findall(r"stage_id::(\w+)", text(PATHS))) if name != "count_"]


def page_stages(page):
    """The stages of every line `label  stage > stage > one | other, remark`."""
    found = set()
    for line in page.split("\n"):
        if " > " not in line or line.startswith((">", "|")):
            continue
        start = line.rfind("  ", 0, line.index(" > ")) + 1
        path = re.split(r"[,(]|  ", line[start:].strip())[0]
        found |= {name for part in re.split(r"[>|]", path) if re.fullmatch(r"[a-z]\w*", name := part.strip(" `"))}
    return found


@pytest.mark.skipif(not (ROOT / PATHS).exists() or not (ROOT / PAGE).exists(), reason="no pipeline lists yet")
def test_the_page_names_exactly_the_stages_of_the_pipeline():
    listed = stages()
    assert listed, f"{PATHS} names no stage_id::"
    assert set(listed) == page_stages(text(PAGE))
