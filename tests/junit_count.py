"""Prints "PASSED FAILED" of a JUnit XML file (pytest's or GoogleTest's).

usage: junit_count.py FILE STATUS, where STATUS is the exit status of what wrote the file. A crash leaves no file, and a
sanitizer's report after the last case leaves a good one: either is one failure.
"""

import sys
import xml.etree.ElementTree as xml


def count(path: str, status: int) -> tuple[int, int]:
    passed = failed = 0
    try:
        cases = xml.parse(path).iter("testcase")
    except (OSError, xml.ParseError):
        return 0, 1
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is None and case.get("status") != "notrun":
            passed += 1
    if failed == 0 and (status != 0 or passed == 0):
        failed = 1
    return passed, failed


if __name__ == "__main__":
    print(*count(sys.argv[1], int(sys.argv[2])))
