#include "controlplane/ike/exchange/prove.hpp"

#include <openssl/crypto.h>

#include "controlplane/ike/auth/certificate.hpp"
#include "controlplane/ike/exchange/steps.hpp"
#include "controlplane/ike/wire/message.hpp"

namespace trunkgate::ike {

namespace {

void append(bytes& to, byte_view more) { to.insert(to.end(), more.begin(), more.end()); }

id_payload identity_of(const ip_address& address) {
  return {.type = address.family == ip_family::v4 ? id_type::ipv4 : id_type::ipv6,
          .data = bytes(address.bytes.begin(), address.bytes.begin() + static_cast<std::ptrdiff_t>(address.size()))};
}

secret copy_of(const secret& from) { return secret(from.bytes()); }

asio::awaitable<outcome> check_psk(ike_sa_pointer sa, const claimed_identity& claimed, const bytes& octets) {
  const auto& psk = sa->profile->ike().psk;
  if (claimed.auth.method != auth_psk)
    co_return failed(trouble::peer_not_authentic,
                     "the peer proves itself by a certificate, we expect the pre-shared key", "remote.ca");
  auto expected = co_await sa->outside.keys().psk_auth(*psk, sa->suite.prf, octets);
  if (!expected) co_return failed(trouble::own_key, expected.error().reason, "psk");
  const bool same = expected->size() == claimed.auth.data.size() &&
                    CRYPTO_memcmp(expected->bytes().data(), claimed.auth.data.data(), expected->size()) == 0;
  if (!same)
    co_return failed(trouble::peer_not_authentic, "the peer's pre-shared key is another one than ours", "psk",
                     notify::authentication_failed);
  co_return std::nullopt;
}

asio::awaitable<chain_verdict> verify(ike_sa_pointer sa, const chain_input& input, const authentication_payload& auth,
                                      const bytes& octets) {
  const auto& profile = *sa->profile;
  co_return co_await compute(sa->outside, [&]() -> chain_verdict {
    auto verified = verify_chain(*profile.anchors, input);
    if (!verified) return verified;
    if (auto good = verify_signature(verified->certificate, auth, octets, profile.legacy); !good)
      return std::unexpected(refused_peer{.reason = good.error().reason,
                                          .governs = "remote.ca",
                                          .subject = std::move(verified->subject),
                                          .path = std::move(verified->path),
                                          .not_after = verified->not_after});
    return verified;
  });
}

// Adds what OCSP responders say to `input`, about each certificate of the peer's path of which nothing else is known.
// Only who proved that the certificate is its own makes us ask: it names the machines that are asked.
asio::awaitable<void> ask_for_revocation(ike_sa_pointer sa, chain_input& input, const authentication_payload& auth,
                                         const bytes& octets) {
  auto* fetcher = sa->outside.revocation();
  if (fetcher == nullptr || input.revocation == revocation_mode::off) co_return;
  auto lenient = input;
  lenient.revocation = revocation_mode::soft;
  const auto proved = co_await verify(sa, lenient, auth, octets);
  if (!proved) co_return;
  for (const auto& one : proved->not_known) {
    auto said = co_await fetcher->fetch_ocsp(one.certificate, one.issuer, input.now);
    if (said)
      input.ocsp_responses.push_back(std::move(*said));
    else
      sa->record.notes.push_back("no OCSP answer about " + subject_of(one.certificate) + ": " + said.error().reason);
  }
}

// What the peer's certificates say stands in the record, whether they are believed or not.
void write_down(negotiation_record& record, const chain_verdict& verdict) {
  const auto take = [&record](const auto& peer) {
    record.peer_subject = peer.subject;
    record.certificate_path = peer.path;
    record.certificate_not_after = peer.not_after;
  };
  if (verdict)
    take(*verdict);
  else
    take(verdict.error());
  if (verdict) record.revocation = verdict->revocation;
}

asio::awaitable<outcome> check_certificate(ike_sa_pointer sa, const claimed_identity& claimed, const bytes& octets) {
  if (claimed.auth.method == auth_psk)
    co_return failed(trouble::peer_not_authentic, "the peer proves itself by a pre-shared key, we expect a certificate",
                     "psk", notify::authentication_failed);
  const auto& profile = *sa->profile;
  chain_input input{.certificates = claimed.certificates,
                    .crls = claimed.crls,
                    .ocsp_responses = claimed.ocsp_responses,
                    .claimed = claimed.id,
                    .expected = profile.remote_id,
                    .revocation = static_cast<revocation_mode>(profile.ike().revocation),
                    .now = sa->outside.wall_time()};
  co_await ask_for_revocation(sa, input, claimed.auth, octets);
  auto both = co_await verify(sa, input, claimed.auth, octets);
  write_down(sa->record, both);
  if (!both)
    co_return failed(trouble::peer_not_authentic, both.error().reason, both.error().governs,
                     notify::authentication_failed);
  both->not_known = {};  // asked about; nobody needs them any more
  sa->peer = std::make_shared<verified_peer>(std::move(*both));
  if (sa->peer->dates_not_judged)
    sa->record.notes.emplace_back("the clock of this machine is not set: no certificate's dates were judged");
  co_return std::nullopt;
}

}  // namespace

bytes signed_octets(const ike_sa& sa, const id_of& id, const secret& sk_p, std::uint32_t auth_id) {
  const auto& opening = *sa.opening;
  const bool own = id.initiator == sa.initiator;
  bytes out = id.initiator ? opening.request : opening.response;
  append(out, own ? opening.peer_nonce : opening.own_nonce);
  const auto body = encode_body(id);
  append(out, compute_prf(sa.suite.prf, sk_p.bytes(), {body}).bytes());
  if (opening.intermediates != 0) {
    // RFC 9242 3.3.2: both sides' chains, the initiator's first, and IKE_AUTH's number.
    append(out, sa.initiator ? opening.own_auth_chain : opening.peer_auth_chain);
    append(out, sa.initiator ? opening.peer_auth_chain : opening.own_auth_chain);
    append(out, spi_bytes(auth_id));
  }
  return out;
}

asio::awaitable<result<authentication_payload>> make_auth(ike_sa_pointer sa, bytes octets) {
  const auto& profile = *sa->profile;
  const auto& settings = profile.ike();
  if (!settings.private_key) {
    auto mac = co_await sa->outside.keys().psk_auth(*settings.psk, sa->suite.prf, octets);
    if (!mac) co_return std::unexpected(mac.error());
    co_return authentication_payload{.method = auth_psk, .data = bytes(mac->bytes().begin(), mac->bytes().end())};
  }
  auto how = choose_signature(profile.public_key, sa->opening->peer_hashes, profile.legacy);
  if (!how) co_return std::unexpected(how.error());
  auto signature = co_await sa->outside.keys().sign(*settings.private_key, how->scheme, octets);
  if (!signature) co_return std::unexpected(signature.error());
  auto wrapped = wrap_signature(*how, *signature);
  if (!wrapped) co_return std::unexpected(wrapped.error());
  co_return authentication_payload{.method = how->method, .data = std::move(*wrapped)};
}

std::optional<claimed_identity> read_identity(const payloads& in, bool of_initiator) {
  const auto* id = find_id_of(in, of_initiator);
  const auto* auth = find<authentication_payload>(in);
  if (id == nullptr || auth == nullptr) return std::nullopt;
  claimed_identity out{.id = id->id, .said = *id, .certificates = {}, .crls = {}, .ocsp_responses = {}, .auth = *auth};
  for (const auto& one : in) {
    const auto* found = std::get_if<certificate_payload>(&one);
    if (found == nullptr) continue;
    if (found->encoding == cert_x509) out.certificates.push_back(found->data);
    if (found->encoding == cert_crl) out.crls.push_back(found->data);
    if (found->encoding == cert_ocsp) out.ocsp_responses.push_back(found->data);
  }
  return out;
}

asio::awaitable<outcome> check_peer(ike_sa_pointer sa, const claimed_identity& claimed, bytes octets) {
  const auto& profile = *sa->profile;
  sa->peer_id = claimed.id;
  sa->record.peer_id = to_string(claimed.id);
  const bool by_psk = profile.ike().ca_files.empty();
  // With certificates verify_chain() compares, after it knows what the certificate proves.
  const auto expected = profile.remote_id.value_or(
      profile.settings.peer.family != ip_family::none ? identity_of(profile.settings.peer) : claimed.id);
  if (by_psk && claimed.id != expected)
    co_return failed(trouble::peer_not_authentic,
                     "the peer says it is " + to_string(claimed.id) + ", we expect " + to_string(expected), "remote.id",
                     notify::authentication_failed);
  if (by_psk) co_return co_await check_psk(sa, claimed, octets);
  co_return co_await check_certificate(sa, claimed, octets);
}

id_payload own_identity(const ike_sa& sa) {
  if (!sa.profile->local_id.data.empty()) return sa.profile->local_id;
  return identity_of(sa.path().local.address);
}

void add_certificates(payloads& to, const tunnel_profile& profile) {
  for (const auto& one : profile.certificates) to.push_back(certificate_payload{.encoding = cert_x509, .data = one});
}

void add_certificate_requests(payloads& to, const tunnel_profile& profile) {
  if (!profile.anchors) return;
  to.push_back(certificate_request_payload{.encoding = cert_x509, .authorities = profile.anchors->authorities()});
  // RFC 4806 3.1: no responder by name: the CA, and whom it certified for it, are the ones that are believed.
  if (profile.ike().revocation != revocation_check::off)
    to.push_back(certificate_request_payload{.encoding = cert_ocsp, .authorities = {}});
}

asio::awaitable<result<ike_keys>> mixed_with_ppk(ike_sa_pointer sa) {
  const auto& ppk = *sa->profile->ike().post_quantum_key;
  const auto& from = sa->keys;
  auto mixed =
      co_await sa->outside.keys().mix_ppk(ppk.key, sa->suite.prf, from.d.bytes(), from.pi.bytes(), from.pr.bytes());
  if (!mixed) co_return std::unexpected(mixed.error());
  co_return ike_keys{.d = std::move(mixed->d),
                     .ai = copy_of(from.ai),
                     .ar = copy_of(from.ar),
                     .ei = copy_of(from.ei),
                     .er = copy_of(from.er),
                     .pi = std::move(mixed->pi),
                     .pr = std::move(mixed->pr)};
}

}  // namespace trunkgate::ike
