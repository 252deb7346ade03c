"""Sizes, forbidden words, and that nothing is left out of the build."""

import re

from sources import CODE, ROOT, cpp_files, is_under, text, tracked, without_comments

LONGEST = 450

# What a worker must never do between rx and tx.
FORBIDDEN_IN_STAGES = re.compile(
    r"\b(std::(mutex|shared_mutex|lock_guard|unique_lock|scoped_lock|condition_variable|vector|string|map|unordered_map|"
    r"function|make_unique|make_shared|cout|cerr|format|print|println)|"
    r"malloc|calloc|realloc|free|rte_malloc|rte_zmalloc|rte_free|new|delete(?!;)|"
    r"spdlog|printf|fprintf|syslog|RTE_LOG|rte_log|rte_spinlock_\w+|pthread_\w+|"
    r"read|write|recv|recvmsg|send|sendmsg|ioctl|poll|epoll_wait|nanosleep|usleep|sleep_for|clock_gettime|"
    r"throw|try|catch)\b(?!_)")
CALLS_ONLY = {"read", "write", "recv", "recvmsg", "send", "sendmsg", "ioctl", "poll", "free"}

UNFINISHED = "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3 + r"\b"])
MACHINE_PATHS = "|".join([r"/wo" + r"rk/", r"\.\./sha" + r"red", r"/ro" + r"ot/\.cache"])
FORBIDDEN_WORDS = re.compile(rf"\b({UNFINISHED})|({MACHINE_PATHS})")


def test_no_file_is_longer_than_it_can_be_read():
    long = [f"{path}: {lines}" for path in tracked() if path.suffix in CODE
            if (lines := text(path).count("\n")) > LONGEST]
    assert not long, "\n".join(long)


def test_stages_neither_lock_allocate_log_nor_call_the_system():
    wrong = []
    for path in cpp_files():
        if not is_under(path, "dataplane/stages"):
            continue
        for number, line in enumerate(without_comments(text(path)).split("\n"), 1):
            if line.lstrip().startswith("#"):
                continue
            for match in FORBIDDEN_IN_STAGES.finditer(line):
                word = match.group(1)
                # `ring.read(x)` is a member of ours; `::read(x)` and `read(x)` are the system's.
                before = line[:match.start()].rstrip()
                if word in CALLS_ONLY and (not line[match.end():].lstrip().startswith("(") or before.endswith((".", "->"))):
                    continue
                wrong.append(f"{path}:{number}: {word}")
    assert not wrong, "\n".join(wrong)


def test_no_unfinished_words_and_no_paths_of_one_machine():
    wrong = [f"{path}:{number}: {match.group(0)}" for path in tracked()
             if path.suffix not in (".json", ".pcap") and not is_under(path, "tests/fuzz/corpus")
             for number, line in enumerate(text(path).split("\n"), 1)
             if (match := FORBIDDEN_WORDS.search(line))]
    assert not wrong, "\n".join(wrong)


def test_every_source_is_named_by_its_cmake_list():
    """An unlisted file would be neither built nor tested, and nobody would see it."""
    lists = {path.parent: text(path) for path in tracked() if path.name == "CMakeLists.txt"}
    left_out = []
    for path in cpp_files():
        if path.suffix != ".cpp":
            continue
        owner = next((folder for folder in path.parents if folder in lists and folder.as_posix() != "."), None)
        named = owner and (path.relative_to(owner).as_posix() in lists[owner] or "GLOB" in lists[owner])
        if not named:
            left_out.append(str(path))
    assert not left_out, "\n".join(left_out)


def test_every_fuzz_target_has_seeds():
    targets = [name for path in tracked() if path.name == "CMakeLists.txt" and is_under(path, "tests/fuzz")
               for name in re.findall(r"trunkgate_fuzz\(\s*(\w+)", text(path)) if name != "name"]
    bare = [name for name in targets if not any((ROOT / "tests/fuzz/corpus" / name).glob("*"))]
    assert targets and not bare, f"no seeds in tests/fuzz/corpus for {bare}"
