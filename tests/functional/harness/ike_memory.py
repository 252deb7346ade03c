"""The memory file in which trunkgated's IKE SAs outlive it, as root sees it through the supervisor's descriptor."""

import os
import struct

HEADER, HALF, HALF_HEAD = 4096, 16384, 24
BOOT_ID_AT = 16


class IkeMemory:
    def __init__(self, gateway):
        self.gateway = gateway

    @staticmethod
    def descriptor_of(pid):
        """The path of that process's descriptor of it, or None."""
        folder = f"/proc/{pid}/fd"
        for name in os.listdir(folder):
            if os.readlink(f"{folder}/{name}").startswith("/memfd:trunkgate-ike"):
                return f"{folder}/{name}"
        return None

    @property
    def path(self):
        return self.descriptor_of(self.gateway.process.pid)

    def make_of_another_boot(self):
        with open(self.path, "r+b") as f:
            f.seek(BOOT_ID_AT)
            f.write(b"00000000-0000-0000-0000-000000000000")

    def keys(self):
        """Of all records: SK_d, SK_ai, SK_ar, SK_ei, SK_er, SK_pi and SK_pr, those that are not empty."""
        found = []
        with open(self.path, "rb") as f:
            f.seek(12)
            touched, = struct.unpack("<I", f.read(4))
            for half in range(2 * touched):
                f.seek(HEADER + half * HALF)
                generation, _, length, _ = struct.unpack("<QQII", f.read(HALF_HEAD))
                if generation:
                    found += self._keys_in(f.read(length))
        return list(dict.fromkeys(found))

    @staticmethod
    def _keys_in(record):
        at = 4

        def skip(count):
            nonlocal at
            at += count

        def octets():
            nonlocal at
            length, = struct.unpack_from(">H", record, at)
            at += 2 + length
            return record[at - length:at]

        octets()                        # the tunnel's name
        skip(16 + 1 + 9 + 3 * 8 + 2 * 8)  # digest, state, flags, numbers, times
        skip(2 * (1 + 16 + 2))          # path
        octets()
        for size in (17, 5):            # the peer's addresses, the transforms
            count, = struct.unpack_from(">H", record, at)
            skip(2 + count * size)
        return [key for key in (octets() for _ in range(7)) if key]

    @staticmethod
    def is_left_out_of_cores(pid):
        """No core file at all, and were there one, the mapping would not be in it."""
        with open(f"/proc/{pid}/limits") as f:
            limit = next(line for line in f if line.startswith("Max core file size"))
        inside = False
        with open(f"/proc/{pid}/smaps") as f:
            for line in f:
                inside = inside or "/memfd:trunkgate-ike" in line
                if inside and line.startswith("VmFlags:"):
                    return " dd" in line and limit.split()[4:6] == ["0", "0"]
        return False
