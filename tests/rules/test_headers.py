"""Every header compiles alone, so that the order of includes never matters. Of a header whose own source includes it first
the build shows that."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from sources import ROOT, cpp_files, text

FLAGS = ["-std=c++23", "-Wall", "-Wextra", "-Werror", "-Wno-pragma-once-outside-header", "-O0", "-iquote", str(ROOT)]
# What returns vectors compiles only where they are.
WIDER = {"drivers/crypto/gcm/vector_256.hpp": ["-mavx2", "-mvaes", "-mvpclmulqdq"],
         "drivers/crypto/gcm/vector_512.hpp": ["-mavx512vl", "-mavx512bw", "-mbmi2", "-mvaes", "-mvpclmulqdq"]}
ONE_SCRATCH = ROOT / "build" / "headers"


def headers():
    return [path for path in cpp_files() if path.suffix in (".hpp", ".h")]


def leads_its_own_source(path):
    source = ROOT / path.with_suffix(".cpp")
    first = re.search(r'#include [<"]([^>"]+)[>"]', source.read_text()) if source.exists() else None
    return bool(first) and first.group(1) == path.as_posix()


def compile_alone(path):
    # A file that does nothing but include the header: a compiler told to check a header warns about `#pragma once`.
    source = ONE_SCRATCH / (path.as_posix().replace("/", "__") + ".cpp")
    wanted = f'#include "{path.as_posix()}"\n'
    if not source.exists() or source.read_text() != wanted:
        source.write_text(wanted)
    dpdk = subprocess.run(["pkg-config", "--cflags", "libdpdk", "libnl-3.0", "libnl-route-3.0"],
                          capture_output=True, text=True, check=True).stdout.split()
    dpdk = [flag.replace("-I", "-isystem", 1) if flag.startswith("-I") else flag for flag in dpdk]
    compiler = [shutil.which("ccache"), "g++"] if shutil.which("ccache") else ["g++"]
    done = subprocess.run([*compiler, *FLAGS, *WIDER.get(path.as_posix(), []), *dpdk, "-c", str(source), "-o", str(source) + ".o"],
                          capture_output=True, text=True)
    return None if done.returncode == 0 else f"{path}\n{done.stderr[:1500]}"


def test_each_header_compiles_alone():
    ONE_SCRATCH.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        alone = [path for path in headers() if not leads_its_own_source(path)]
        broken = [report for report in pool.map(compile_alone, alone) if report]
    assert not broken, "\n".join(broken)


def test_each_header_has_pragma_once_and_says_what_it_is():
    bare = [str(path) for path in headers()
            if "#pragma once" not in text(path) or not text(path).startswith("//")]
    assert not bare, ", ".join(bare)
