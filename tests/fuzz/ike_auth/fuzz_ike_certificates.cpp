// What a peer sends to prove who it is, as any bytes: ID, certificates, CRLs, OCSP responses, AUTH. The anchor is the
// first certificate itself where it is one, so that a path is found and all behind it is reached.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <openssl/pem.h>

#include "controlplane/ike/auth/authenticate.hpp"
#include "controlplane/ike/auth/certificate.hpp"
#include "controlplane/ike/auth/clock_rule.hpp"
#include "controlplane/ike/auth/openssl_types.hpp"
#include "dataplane/core/bytes.hpp"

namespace {

using namespace trunkgate;
using namespace trunkgate::ike;

// Parts as the corpus has them: a type, a length of two bytes, the part.
enum class part_type : std::uint8_t { certificate, crl, ocsp, id, auth, octets, anchor, public_key, identity_text };

struct proof {
  chain_input input;
  authentication_payload auth;
  bytes octets, anchor, public_key;
};

void take_text(byte_view part) {
  const auto id = parse_identity(std::string(part.begin(), part.end()));
  if (!id && id.error().reason.empty()) std::abort();
  if (id && to_string(*id).empty()) std::abort();
}

proof take_apart(byte_view data) {
  proof out;
  out.input.claimed.type = id_type::fqdn;
  for (byte_reader from(data);;) {
    const auto type = from.read<std::uint8_t>();
    const auto length = from.read<be16>();
    if (!type || !length) return out;
    const auto part = from.take(std::min<std::size_t>(length->host(), from.remaining())).value();
    bytes copy(part.begin(), part.end());
    switch (static_cast<part_type>(*type % 9)) {
      case part_type::certificate: out.input.certificates.push_back(std::move(copy)); break;
      case part_type::crl: out.input.crls.push_back(std::move(copy)); break;
      case part_type::ocsp: out.input.ocsp_responses.push_back(std::move(copy)); break;
      case part_type::id:
        if (copy.empty()) break;
        out.input.claimed = {.type = static_cast<id_type>(copy[0]), .data = bytes(copy.begin() + 1, copy.end())};
        break;
      case part_type::auth:
        if (copy.empty()) break;
        out.auth = {.method = copy[0], .data = bytes(copy.begin() + 1, copy.end())};
        break;
      case part_type::octets: out.octets = std::move(copy); break;
      case part_type::anchor: out.anchor = std::move(copy); break;
      case part_type::public_key: out.public_key = std::move(copy); break;
      case part_type::identity_text: take_text(part); break;
    }
  }
}

std::shared_ptr<const trust_anchors> trust(const bytes& der) {
  const auto certificate = parse_certificate(der);
  if (!certificate) return nullptr;
  const auto file = std::filesystem::temp_directory_path() / ("fuzz_anchor_" + std::to_string(::getpid()));
  const bio_ptr to(BIO_new_file(file.c_str(), "w"));
  PEM_write_bio_X509(to.get(), certificate.get());
  (void)BIO_flush(to.get());
  auto anchors = trust_anchors::load({file.string()}, {});
  return anchors ? *anchors : nullptr;
}

void judge(const proof& proof) {
  const auto anchors =
      trust(proof.anchor.empty() && !proof.input.certificates.empty() ? proof.input.certificates.back() : proof.anchor);
  if (!anchors) return;
  auto input = proof.input;
  input.now = built_at() + std::chrono::days(30);
  for (const auto mode : {revocation_mode::off, revocation_mode::soft, revocation_mode::strict}) {
    input.revocation = mode;
    const auto peer = verify_chain(*anchors, input);
    if (!peer && peer.error().reason.empty()) std::abort();
    if (peer && (peer->path.empty() || peer->certificate != input.certificates.front())) std::abort();
  }
  input.now = {};
  (void)verify_chain(*anchors, input);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto proof = take_apart({data, size});
  if (to_string(proof.input.claimed).size() > 1000) std::abort();
  (void)choose_signature(proof.public_key, {hash_sha256, hash_identity}, true);
  if (!proof.input.certificates.empty()) {
    const auto& own = proof.input.certificates.front();
    (void)public_key_of(own);
    (void)subject_of(own);
    for (const auto& name : identities_of(own))
      if (!same_identity(name, name) && name.type != id_type::dn) std::abort();
    (void)verify_signature(own, proof.auth, proof.octets, false);
    (void)verify_signature(own, proof.auth, proof.octets, true);
  }
  judge(proof);
  return 0;
}
