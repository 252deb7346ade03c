"""Who may include whom. A folder may always include itself."""

import re

import pytest
from sources import cpp_files, is_under, text

DATAPLANE = ["dataplane/core", "dataplane/packet", "dataplane/api", "dataplane/state", "dataplane/stages"]
CONTROL = ["dataplane/core", "config", "dataplane/api"]
MAY_INCLUDE = {
    "dataplane/core": [],
    "dataplane/packet": ["dataplane/core"],
    "dataplane/api": ["dataplane/core"],
    "config": ["dataplane/core"],
    "drivers/port": ["dataplane/core", "dataplane/packet"],
    "drivers/crypto": ["dataplane/core", "dataplane/packet"],
    "drivers/host": ["dataplane/core", "dataplane/packet"],
    "dataplane/state": ["dataplane/core", "dataplane/api", "drivers/crypto"],
    "dataplane/stages": ["dataplane/core", "dataplane/packet", "dataplane/state", "drivers/crypto"],
    "dataplane/pipeline": [*DATAPLANE, "drivers/port"],
    "controlplane/ike": ["dataplane/core", "config", "controlplane/keystore", "controlplane/installer/sa_sink.hpp"],
    "controlplane/sip": ["dataplane/core", "config", "controlplane/keystore"],
    "controlplane/keystore": ["dataplane/core", "config"],
    "controlplane/policy": CONTROL,
    # What policy compiles is what the installer sends and what `trunkgate check` tries.
    "controlplane/installer": [*CONTROL, "controlplane/policy"],
    # What it tells of IKE it reads from IKE's own objects; the sink is where the keys that an operator asks for pass.
    "controlplane/monitor": [*CONTROL, "controlplane/ike", "controlplane/installer/sa_sink.hpp"],
    "controlplane/cli": [*CONTROL, "controlplane/policy"],
}
# Composition and tests: anything. Nothing includes them.
FREE = ["dataplane/main", "controlplane/main", "perf", "tests"]
DRIVERS_ONLY = re.compile(r"rte_(eal|ethdev|cryptodev)\.h|intel-ipsec-mb\.h")
SYSTEM = re.compile(r"rte_|intel-ipsec-mb|openssl/|netlink/|yaml-cpp/|nlohmann/|boost/|spdlog/")


def includes(path):
    return re.findall(r'^\s*#\s*include\s+([<"][^>"]+)[>"]', text(path), re.M)


def folder_of(name, folders):
    return max((folder for folder in folders if name.startswith(folder + "/")), key=len, default=None)


def included_folders(path):
    for name in includes(path):
        if name.startswith('"'):
            yield name[1:]


@pytest.mark.parametrize("folder", MAY_INCLUDE)
def test_folder_includes_only_what_it_may(folder):
    allowed = {folder, *MAY_INCLUDE[folder]}
    wrong = [f"{path} includes {name}" for path in cpp_files() if is_under(path, folder)
             for name in included_folders(path)
             if name not in allowed and folder_of(name, [*MAY_INCLUDE, *FREE]) not in allowed]
    assert not wrong, "\n".join(wrong)


def test_every_folder_has_a_row():
    known = [*MAY_INCLUDE, *FREE]
    strange = [str(path) for path in cpp_files() if folder_of(path.as_posix(), known) is None]
    assert not strange, "add a row to MAY_INCLUDE for " + ", ".join(strange)


def test_core_needs_the_standard_library_only():
    wrong = [f"{path} includes {name[1:]}" for path in cpp_files() if is_under(path, "dataplane/core")
             for name in includes(path) if name[0] == "<" and SYSTEM.match(name[1:])]
    assert not wrong, "\n".join(wrong)


def test_only_drivers_see_eal_ethdev_cryptodev_and_ipsec_mb():
    wrong = [f"{path} includes {name[1:]}" for path in cpp_files()
             if not any(is_under(path, folder) for folder in ["drivers", *FREE])
             for name in includes(path) if DRIVERS_ONLY.fullmatch(name[1:])]
    assert not wrong, "\n".join(wrong)


def test_x86_is_named_by_the_kernels_alone():
    wrong = [f"{path} includes {name[1:]}" for path in cpp_files() if not is_under(path, "drivers/crypto/gcm")
             for name in includes(path) if re.fullmatch(r"<(\w*mmintrin|immintrin|x86\w*|cpuid)\.h", name)
             and not is_under(path, "tests")]
    assert not wrong, "\n".join(wrong)


def test_kernels_for_newer_processors_use_no_standard_library():
    """An inline function compiled in them could be the copy that the linker keeps for every processor."""
    kernels = [path for path in cpp_files() if re.fullmatch(r"drivers/crypto/gcm/(kernel|kernel_\d+|vector_\d+)\.[ch]pp",
                                                            path.as_posix())]
    assert len(kernels) == 5
    wrong = [f"{path} includes {name[1:]}" for path in kernels for name in includes(path)
             if name not in ("<immintrin.h", "<cstddef", "<cstdint") and not name.startswith('"drivers/crypto/gcm/')]
    wrong += [f"{path} says {match}" for path in kernels for match in re.findall(r"std::(?!u?int\d+_t|size_t)\w+", text(path))]
    assert not wrong, "\n".join(wrong)


def test_includes_are_written_from_the_root():
    wrong = [f'{path}: "{name}"' for path in cpp_files() for name in included_folders(path)
             if "/" not in name or name.startswith(".")]
    assert not wrong, "\n".join(wrong)
