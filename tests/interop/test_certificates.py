"""Authentication by certificates: every kind of key, chains, revocation that finds nothing wrong."""

import pytest

from harness import pki
from harness.ike_tunnel import A_ID, B_ID

from cases import STARTERS, certified


@STARTERS
@pytest.mark.parametrize("key", ["rsa2048", "rsa3072", "rsa4096", "ecdsa256", "ecdsa384", "ecdsa521", "ed25519", "ed448"])
def test_every_kind_of_key(interop, starter, key):
    ours, theirs = certified(pki.Authority(f"CA {key}", key), key)
    interop.bring_up(starter, interop.tunnel(**ours), interop.connection(**theirs))
    assert interop.peer.ike_sas()[0]["remote-id"] == A_ID
    assert interop.peer.logged(rf"authentication of '{A_ID}' with \S*(?:RSA|ECDSA|ED25519|ED448)\S*.* successful")
    interop.check_traffic()


@STARTERS
def test_rsa_signs_with_pss(interop, starter):
    """RFC 7427 with RSASSA-PSS where the peer takes it."""
    ours, theirs = certified(pki.Authority("CA"), "rsa3072")
    theirs["remote"].auth = theirs["local"].auth = "ike:rsa/pss-sha512"  # not the authority's own signatures
    mark = interop.peer.mark()
    interop.bring_up(starter, interop.tunnel(**ours), interop.connection(**theirs))
    assert interop.peer.logged(rf"authentication of '{A_ID}' with RSA_EMSA_PSS_SHA2_512.* successful", mark)
    interop.check_traffic()


@STARTERS
@pytest.mark.parametrize("depth", [1, 2])
def test_chain(interop, starter, depth):
    """The peer has the root only: we send what is between (RFC 7296 3.6), and believe what it sends."""
    authority = pki.Authority("root", "ecdsa384")
    for n in range(depth):
        authority = pki.Authority(f"intermediate {n}", "rsa2048", authority)
    ours, theirs = certified(authority)
    interop.bring_up(starter, interop.tunnel(**ours), interop.connection(options={"send_cert": "always"}, **theirs))
    interop.check_traffic()


@STARTERS
def test_strict_revocation_with_a_fresh_list(interop, starter):
    authority = pki.Authority("CA")
    ours, theirs = certified(authority)
    revoked = authority.issue("somebody-else.example")
    ours.update(crls=[authority.crl([revoked])], revocation="strict")
    theirs["remote"].options["revocation"] = "strict"
    interop.bring_up(starter, interop.tunnel(**ours), interop.connection(**theirs), crls=[authority.crl([revoked])])
    interop.check_traffic()


@STARTERS
def test_identity_is_the_subject(interop, starter):
    """A distinguished name as the identity, and a certificate without alternative names."""
    from harness.strongswan import Party
    authority = pki.Authority("CA")
    credential = authority.issue("gateway a", names=[])
    ours, theirs = certified(authority, a=credential)
    subject = "O=Trunkgate tests, CN=gateway a"
    theirs["remote"] = Party("pubkey", subject, authorities=[authority])
    interop.bring_up(starter, interop.tunnel(local_id=subject, **ours), interop.connection(**theirs))
    assert interop.peer.ike_sas()[0]["remote-id"] == subject
    interop.check_traffic()


@STARTERS
def test_identity_beside_the_one_that_the_peer_says(interop, starter):
    """A peer without a name of its own calls itself by its certificate's subject; we look for an alternative name of it."""
    ours, theirs = certified(pki.Authority("CA"))
    theirs["local"].id = "%any"
    interop.bring_up(starter, interop.tunnel(**ours), interop.connection(**theirs))
    says = {"gateway": B_ID, "peer": f"O=Trunkgate tests, CN={B_ID}"}[starter]  # asked for a name, it takes that one
    assert interop.gateway.explain(interop.gateway.show("tunnels")[0]["tunnel"])["current"]["peer_id"] == says
    interop.check_traffic()
