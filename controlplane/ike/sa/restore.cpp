// From an IKE SA to its snapshot and back.
#include <algorithm>
#include <cstring>

#include <openssl/evp.h>

#include "controlplane/ike/exchange/child.hpp"
#include "controlplane/ike/exchange/followup.hpp"
#include "controlplane/ike/exchange/steps.hpp"
#include "controlplane/ike/sa/snapshot.hpp"

namespace trunkgate::ike {

namespace {

// Fields one behind the other, each with its length, so that none can be taken for a piece of its neighbour.
class digester {
 public:
  digester& add(std::string_view text) {
    all_ += std::to_string(text.size()) + ":";
    all_ += text;
    return *this;
  }
  digester& add(const bytes& data) { return add({reinterpret_cast<const char*>(data.data()), data.size()}); }
  digester& add(std::uint64_t number) { return add(std::to_string(number)); }
  digester& add(const key_reference& key) { return add(static_cast<std::uint64_t>(key.from)).add(key.name); }
  digester& add(const std::vector<std::string>& list) {
    add(list.size());
    for (const auto& one : list) add(one);
    return *this;
  }
  digester& add(const std::vector<proposal_settings>& list) {
    add(list.size());
    for (const auto& one : list) add(one.word);
    return *this;
  }
  digester& add(const std::vector<ip_range>& list) {
    add(list.size());
    for (const auto& one : list) add(to_string(one.first)).add(to_string(one.last));
    return *this;
  }
  [[nodiscard]] settings_digest finish() const {
    std::array<std::uint8_t, EVP_MAX_MD_SIZE> whole{};
    EVP_Digest(all_.data(), all_.size(), whole.data(), nullptr, EVP_sha256(), nullptr);
    settings_digest out;
    std::copy_n(whole.begin(), out.size(), out.begin());
    return out;
  }

 private:
  std::string all_;
};

secret copy(const secret& key) { return secret(key.bytes()); }

ike_keys copy(const ike_keys& keys) {
  return {.d = copy(keys.d),
          .ai = copy(keys.ai),
          .ar = copy(keys.ar),
          .ei = copy(keys.ei),
          .er = copy(keys.er),
          .pi = copy(keys.pi),
          .pr = copy(keys.pr)};
}

child_snapshot take_child(const child& one, const child_settings& settings) {
  const auto rival = one.rival.lock();
  return {.name = settings.name,
          .settings = digest_of(settings),
          .inbound_spi = one.inbound_spi,
          .outbound_spi = one.outbound_spi,
          .choice = one.choice,
          .key_exchange = one.key_exchange,
          .mode = one.mode,
          .selectors = one.selectors,
          .outdated = one.outdated,
          .ours = one.ours,
          .of_ike_auth = one.of_ike_auth,
          .is_rekey = one.is_rekey,
          .per_resource = one.per_resource,
          .deleting = one.state == child_state::deleting,
          .worker = one.worker,
          .waiting_outbound = one.waiting_outbound ? copy(one.waiting_outbound->outbound_key) : secret(),
          .lowest_nonce = one.lowest_nonce,
          .since = one.since,
          .rival = rival && rival->state != child_state::gone ? rival->inbound_spi : 0};
}

}  // namespace

settings_digest digest_of(const tunnel_profile& profile) {
  const auto& settings = profile.settings;
  const auto& ike = profile.ike();
  digester all;
  all.add(to_string(settings.local)).add(to_string(settings.peer));
  all.add(static_cast<std::uint64_t>(profile.local_id.type)).add(profile.local_id.data).add(ike.remote_id);
  all.add(profile.certificates.size());
  for (const auto& one : profile.certificates) all.add(one);
  all.add(ike.ca_files).add(ike.crl_files).add(static_cast<std::uint64_t>(ike.revocation)).add(ike.proposals);
  if (ike.private_key) all.add(*ike.private_key);
  if (ike.psk) all.add(*ike.psk);
  if (ike.post_quantum_key)
    all.add(ike.post_quantum_key->id).add(ike.post_quantum_key->key).add(ike.post_quantum_key->required ? 1U : 0U);
  all.add(ike.mobike ? 1U : 0U).add(ike.force_encapsulation ? 1U : 0U);
  return all.finish();
}

settings_digest digest_of(const child_settings& child) {
  digester all;
  all.add(child.name).add(static_cast<std::uint64_t>(child.mode)).add(child.local).add(child.remote);
  all.add(static_cast<std::uint64_t>(child.protocol + 1)).add(child.icmp);
  all.add(child.local_ports.first).add(child.local_ports.last);
  all.add(child.remote_ports.first).add(child.remote_ports.last);
  all.add(child.esp).add(child.per_worker ? 1U : 0U);
  return all.finish();
}

ike_snapshot take_snapshot(const ike_sa& sa) {
  ike_snapshot out{.tunnel = sa.profile->settings.name,
                   .settings = digest_of(*sa.profile),
                   .state = sa.state,
                   .initiator = sa.initiator,
                   .began = sa.began,
                   .superseded = sa.superseded,
                   .no_more_queues = sa.no_more_queues,
                   .fragments = sa.messages->fragments_allowed(),
                   .nat_known = sa.nat_known,
                   .nat_here = sa.nat_here,
                   .nat_there = sa.nat_there,
                   .mobike = sa.mobike,
                   .initiator_spi = sa.messages->initiator_spi(),
                   .responder_spi = sa.messages->responder_spi(),
                   .number = sa.number,
                   .since = sa.since,
                   .authenticated = sa.authenticated,
                   .path = sa.path(),
                   .seen_as = sa.seen_as,
                   .peer_addresses = sa.peer_addresses,
                   .chosen = sa.chosen.transforms,
                   .keys = copy(sa.keys),
                   .peer_id = sa.peer_id,
                   .lowest_nonce = sa.lowest_nonce,
                   .messages = sa.messages->keep(),
                   .children = {},
                   .begun = sa.record.begun,
                   .certificate_not_after = sa.record.certificate_not_after,
                   .record_initiator = sa.record.initiator,
                   .record_local = sa.record.local,
                   .record_remote = sa.record.remote,
                   .record_peer_id = sa.record.peer_id,
                   .peer_subject = sa.record.peer_subject,
                   .revocation = sa.record.revocation,
                   .certificate_path = sa.record.certificate_path,
                   .notes = sa.record.notes};
  for (const auto& one : sa.children) {
    // What is being installed is not there yet: its exchange has not come to its end.
    if (!one->told || one->state == child_state::gone || one->index == child::not_configured) continue;
    out.children.push_back(take_child(*one, one->settings(*sa.profile)));
  }
  return out;
}

namespace {

std::unique_ptr<child_sa> waiting_record(const ike_sa& sa, const child& pair, secret key) {
  const auto& settings = pair.settings(*sa.profile);
  auto out = std::make_unique<child_sa>();
  out->tunnel = &sa.profile->settings;
  out->child = &settings;
  out->inbound_spi = pair.inbound_spi;
  out->outbound_spi = pair.outbound_spi;
  out->suite = pair.choice.suite;
  out->esn = pair.choice.esn;
  out->mode = pair.mode;
  out->path = sa.child_path();
  out->selectors = to_sa_selectors(pair.selectors);
  out->worker = pair.worker;
  out->soft = settings.soft;
  out->soft.seconds = 0;  // our own timers see to it
  out->hard = settings.hard;
  out->outbound_key = std::move(key);
  return out;
}

child_pointer restore_child(const ike_sa& sa, child_snapshot& from, std::size_t index) {
  auto out = std::make_shared<child>();
  out->index = index;
  out->inbound_spi = from.inbound_spi;
  out->outbound_spi = from.outbound_spi;
  out->choice = from.choice;
  out->key_exchange = from.key_exchange;
  out->mode = from.mode;
  out->selectors = std::move(from.selectors);
  out->outdated = std::move(from.outdated);
  out->ours = from.ours;
  out->of_ike_auth = from.of_ike_auth;
  out->is_rekey = from.is_rekey;
  out->per_resource = from.per_resource;
  out->worker = from.worker;
  out->lowest_nonce = std::move(from.lowest_nonce);
  out->since = from.since;
  out->told = true;
  if (from.waiting_outbound.size() != 0) {
    out->waiting_outbound = waiting_record(sa, *out, std::move(from.waiting_outbound));
    out->waiting_profile = sa.profile;
  }
  return out;
}

void restore_children(ike_sa& sa, std::vector<child_snapshot>& from, const std::set<std::uint32_t>& there) {
  const auto& all = sa.profile->settings.children;
  for (auto& one : from) {
    const auto found = std::ranges::find(all, one.name, &child_settings::name);
    if (found == all.end() || !there.contains(one.inbound_spi)) continue;
    if (one.selectors.local.empty() || one.selectors.remote.empty()) continue;
    sa.children.push_back(restore_child(sa, one, static_cast<std::size_t>(found - all.begin())));
  }
  for (const auto& one : from)
    if (const auto old = sa.find_inbound(one.inbound_spi); old && one.rival != 0)
      old->rival = sa.find_inbound(one.rival);
}

void restore_record(negotiation_record& record, ike_snapshot& from, const settled& chosen) {
  record.begun = from.begun;
  record.initiator = from.record_initiator;
  record.local = std::move(from.record_local);
  record.remote = std::move(from.record_remote);
  record.peer_id = std::move(from.record_peer_id);
  record.peer_subject = std::move(from.peer_subject);
  record.revocation = std::move(from.revocation);
  record.certificate_path = std::move(from.certificate_path);
  record.certificate_not_after = from.certificate_not_after;
  record.notes = std::move(from.notes);
  const std::string note = "trunkgated was started anew and went on with this IKE SA";
  if (!std::ranges::contains(record.notes, note)) record.notes.push_back(note);
  record.offers.push_back(
      {.what = "ike", .ours = {}, .theirs = {}, .chosen = proposal_word(chosen.transforms), .differ_in = {}});
}

}  // namespace

result<ike_sa_pointer> restore_ike_sa(environment& outside, ike_owner& owner, const profile_pointer& profile,
                                      ike_snapshot from, const std::set<std::uint32_t>& there) {
  auto sa = std::make_shared<ike_sa>(outside, owner, from.path, from.initiator, from.initiator_spi, from.responder_spi);
  sa->profile = profile;
  sa->state = from.state;
  sa->opening.reset();
  sa->began = from.began;
  sa->superseded = from.superseded;
  sa->no_more_queues = from.no_more_queues;
  sa->nat_known = from.nat_known;
  sa->nat_here = from.nat_here;
  sa->nat_there = from.nat_there;
  sa->mobike = from.mobike;
  sa->number = from.number;
  sa->since = from.since;
  sa->authenticated = from.authenticated;
  sa->seen_as = std::move(from.seen_as);
  sa->peer_addresses = std::move(from.peer_addresses);
  sa->chosen.transforms = std::move(from.chosen);
  sa->suite = ike_suite_of(sa->chosen);
  sa->peer_id = std::move(from.peer_id);
  if (!from.peer_subject.empty())
    sa->peer = std::make_shared<verified_peer>(verified_peer{.subject = from.peer_subject,
                                                             .path = from.certificate_path,
                                                             .not_after = from.certificate_not_after,
                                                             .revocation = from.revocation,
                                                             .certificate = {}});
  sa->lowest_nonce = std::move(from.lowest_nonce);
  if (auto used = sa->use_keys(std::move(from.keys)); !used) return std::unexpected(used.error());
  if (from.fragments) sa->messages->allow_fragments();
  sa->messages->listen();
  sa->messages->resume(std::move(from.messages));
  restore_children(*sa, from.children, there);
  restore_record(sa->record, from, sa->chosen);
  return sa;
}

}  // namespace trunkgate::ike
