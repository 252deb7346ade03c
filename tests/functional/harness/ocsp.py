"""An OCSP responder as a site's operator would run it: `openssl ocsp` on the index of an authority."""

import contextlib
import os

from .netns import wait_until


def _index_line(issued, revoked):
    """A line of OpenSSL's database of a CA: state, end, revocation, serial number, file and subject."""
    days = [f"{moment:%y%m%d%H%M%SZ}" for moment in
            (issued.certificate.not_valid_after_utc, issued.certificate.not_valid_before_utc)]
    digits = f"{issued.serial:X}"
    serial = digits.zfill(len(digits) + len(digits) % 2)
    return "\t".join(["R" if revoked else "V", days[0], days[1] if revoked else "", serial, "unknown", f"/CN={issued.name}\n"])


class Responder:
    """Answers http://ADDRESS:PORT in the namespace about what `authority` issued: certificates, or authorities below it.
    `signer`: whose key it has (default: the authority's); `clock`: where it sees the time to be, as faketime has it ("-2d").
    An answer is good for an hour."""

    def __init__(self, lab, netns, directory, authority, issued, revoked=(), signer=None, clock=None, port=2560):
        signer = signer or authority
        os.makedirs(directory, exist_ok=True)
        signer_pem = signer.pem() if signer is authority else signer.certificate_pem()
        for name, content in (("index.txt", "".join(_index_line(one, one in revoked) for one in issued).encode()),
                              ("ca.pem", authority.pem()), ("signer.pem", signer_pem), ("signer.key", signer.key_pem())):
            with open(os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
                f.write(content)
        log = os.path.join(directory, "responder.log")
        with contextlib.suppress(FileNotFoundError):
            os.remove(log)  # of an earlier one
        self.process = lab.start(
            [*(["faketime", "-f", clock] if clock else []), "openssl", "ocsp", "-index", "index.txt", "-CA", "ca.pem",
             "-rsigner", "signer.pem", "-rkey", "signer.key", "-nmin", "60", "-port", port],
            log, netns, cwd=directory)

        def listens():
            if not self.process.running():
                raise RuntimeError(f"the OCSP responder ended\n{self.process.text()}")
            return "ACCEPT" in self.process.text()

        wait_until(listens, lambda: f"the OCSP responder listens\n{self.process.text()}")

    def asked(self):
        """How many questions came."""
        return self.process.text().count("received request")

    def close(self):
        self.process.stop()
