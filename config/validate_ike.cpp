// Tunnels whose keys come by IKE: what their words mean together.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <system_error>
#include <tuple>

#include "config/report.hpp"

namespace trunkgate {

namespace {

bool usable(const ip_address& address) { return address.family != ip_family::none; }

bool by_hand(const child_settings& child) { return child.manual.has_value(); }

void check_children_alike(const tunnel_settings& tunnel, const std::string& path, report& to) {
  const auto first = by_hand(tunnel.children.front());
  for (const auto& child : tunnel.children) {
    const auto place = path + ".children." + child.name;
    if (by_hand(child) && to.stands(place + ".esp"))
      to.error(place + ".esp", "keys come by hand (manual) or by IKE (esp), not both", "leave one out");
    if (by_hand(child) && to.stands(place + ".per_worker"))
      to.error(place + ".per_worker", "is for keys by IKE: by hand each child is one pair of SAs", "leave it out");
    if (by_hand(child) != first)
      to.error(place,
               std::string("has its keys by ") + (first ? "IKE, and " : "hand, and ") + tunnel.children.front().name +
                   (first ? " by hand" : " by IKE") + ": the children of one tunnel are of the same kind",
               "a tunnel of its own");
  }
}

// What a tunnel with keys by hand has no use for.
void check_by_hand(const tunnel_settings& tunnel, const std::string& path, report& to) {
  for (const char* key : {".ike", ".psk", ".remote", ".start", ".local.id", ".local.certificate", ".local.key"})
    if (to.stands(path + key)) to.error(path + key, "is for tunnels by IKE, and here the keys come by hand (manual)");
  if (!to.stands(path + ".local.address"))
    to.error(path + ".local.address", "is missing: keys by hand need both outer addresses");
  if (!usable(tunnel.peer) && !to.is_wrong(path + ".peer"))
    to.error(path + ".peer", "keys by hand need the peer's address");
}

void check_file(const std::string& name, const std::string& directory, const std::string& path, report& to) {
  if (name.empty()) return;
  const auto file = std::filesystem::path(directory) / name;
  if (access(file.c_str(), R_OK) != 0)
    to.warning(path, name + ": " + std::system_category().message(errno) + "; the tunnel cannot come up without it");
}

void check_files(const std::vector<std::string>& names, const std::string& directory, const std::string& path,
                 report& to) {
  const bool one = to.stands(path + ".file");  // not a list of them
  for (std::size_t i = 0; i < names.size(); ++i)
    check_file(names[i], directory, (one ? path : item_path(path, i)) + ".file", to);
}

// The key process opens this one folder, and nothing out of it.
bool beneath(const std::string& name, const std::string& directory) {
  const auto file = std::filesystem::path(name).lexically_normal();
  const auto inside =
      file.is_relative() ? file : file.lexically_relative(std::filesystem::absolute(directory).lexically_normal());
  return !inside.empty() && *inside.begin() != "..";
}

void check_key(const key_reference& key, const std::string& directory, report& to) {
  if (key.from == key_reference::kind::file && !key.name.empty() && !beneath(key.name, directory))
    to.warning(key.path + ".file",
               key.name + " is not beneath the configuration's folder: the key process reads no other",
               "move it there");
  else if (key.from == key_reference::kind::file)
    check_file(key.name, directory, key.path + ".file", to);
  check_key_file(key, directory, to);
}

void check_psk(const tunnel_settings& tunnel, const std::string& path, report& to) {
  for (const char* key : {".local.certificate", ".local.key", ".remote.ca", ".remote.crl", ".remote.revocation"})
    if (to.stands(path + key))
      to.error(path + key, "is for certificates, and here both ends prove themselves by psk", "leave one out");
  if (!usable(tunnel.peer) && tunnel.ike->remote_id.empty())
    to.warning(path + ".psk", "whoever knows it may come from anywhere, under any name", "remote: { id: NAME }");
}

void check_certificates(const tunnel_settings& tunnel, const std::string& path, report& to) {
  const auto& ike = *tunnel.ike;
  const bool some = !ike.certificate_files.empty() || ike.private_key || !ike.ca_files.empty();
  if (!some)
    return to.error(path, "nothing says how the two ends prove who they are",
                    "psk: { file: NAME }, or local.certificate, local.key and remote.ca");
  const auto needs = [&](bool there, const char* key, const char* why) {
    if (!there && !to.is_wrong(path + key)) to.error(path + key, std::string("is missing: ") + why);
  };
  needs(!ike.certificate_files.empty(), ".local.certificate", "it says who we are");
  needs(ike.private_key.has_value(), ".local.key", "it proves that the certificate is ours");
  needs(!ike.ca_files.empty(), ".remote.ca", "it says whose word for the peer is good");
  if (usable(tunnel.peer) && ike.remote_id.empty())
    to.warning(path + ".remote", "whoever has a certificate of this authority can be this peer",
               "remote: { id: NAME }");
}

void check_authentication(const configuration& config, const tunnel_settings& tunnel, const std::string& path,
                          report& to) {
  const auto& ike = *tunnel.ike;
  if (ike.psk)
    check_psk(tunnel, path, to);
  else
    check_certificates(tunnel, path, to);
  check_files(ike.certificate_files, config.directory, path + ".local.certificate", to);
  check_files(ike.ca_files, config.directory, path + ".remote.ca", to);
  check_files(ike.crl_files, config.directory, path + ".remote.crl", to);
  if (ike.private_key) check_key(*ike.private_key, config.directory, to);
  if (ike.psk) check_key(*ike.psk, config.directory, to);
  if (ike.post_quantum_key) check_key(ike.post_quantum_key->key, config.directory, to);
  if (ike.psk && ike.post_quantum_key && same_source(*ike.psk, ike.post_quantum_key->key))
    to.error(ike.post_quantum_key->key.path, "is the psk too: it would add nothing", "a key of its own");
}

// "SHA-1", as it is called where it is warned of.
std::string legacy_part(const proposal_settings& proposal) {
  for (const auto& part : proposal.transforms) {
    if (part.type == transform_type::encryption && part.id == transform_id::encr_3des) return "3DES";
    if (part.type == transform_type::key_exchange && part.id == transform_id::modp1024) return "modp1024";
  }
  return "SHA-1";
}

void check_proposals(const std::vector<proposal_settings>& proposals, const gateway_settings& gateway,
                     const std::string& path, report& to) {
  const bool shown = to.stands(path);  // else they are the default
  if (proposals.empty()) to.error(path, "needs at least one proposal");
  std::map<std::vector<transform_choice>, std::string> seen;
  for (std::size_t i = 0; shown && i < proposals.size(); ++i) {
    const auto& proposal = proposals[i];
    if (proposal.transforms.empty()) continue;  // has its error already
    const auto place = item_path(path, i);
    if (proposal.legacy && !gateway.legacy)
      to.error(place, legacy_part(proposal) + " is broken by now (RFC 8221 5, RFC 8247 2)",
               "another algorithm, or gateway.legacy: true");
    else if (proposal.legacy)
      to.warning(place, legacy_part(proposal) + " is broken by now: for no longer than this peer needs it");
    const auto encrypts = [](const transform_choice& part) {
      return part.type == transform_type::encryption && part.id != transform_id::encr_null &&
             part.id != transform_id::encr_null_auth_aes_gmac;
    };
    if (std::ranges::none_of(proposal.transforms, encrypts))
      to.warning(place, proposal.word + " authenticates and does not encrypt: everybody can read along");
    if (auto [entry, fresh] = seen.try_emplace(proposal.transforms, proposal.word); !fresh)
      to.warning(place, "says the same as " + entry->second, "leave it out");
  }
}

// A prefix whose IP version the other side does not have is never used.
void check_families(const child_settings& child, const std::string& path, report& to) {
  for (auto [side, other, key] :
       {std::tuple(&child.local, &child.remote, ".local"), {&child.remote, &child.local, ".remote"}})
    for (std::size_t i = 0; i < side->size(); ++i) {
      const auto family = (*side)[i].first.family;
      if (family == ip_family::none || other->empty() || !to.stands(path + key)) continue;
      if (std::ranges::none_of(*other, [&](const ip_range& range) { return range.first.family == family; }))
        to.warning(item_path(path + key, i), "the other side has nothing of this IP version: nothing goes by it");
    }
}

void check_start(const tunnel_settings& tunnel, const std::string& path, report& to) {
  if (usable(tunnel.peer) || to.is_wrong(path + ".peer")) return;
  if (tunnel.ike->start != start_mode::answer)
    to.error(path + ".start", "nobody can call a peer that may be anywhere (peer: any)", "start: answer");
  if (tunnel.interface && tunnel.ike->remote_id.empty())
    to.error(path + ".interface", "one interface leads to one peer, and peer: any may be many", "remote: { id: NAME }");
}

void check_ike_tunnel(const configuration& config, const tunnel_settings& tunnel, const std::string& path, report& to) {
  const auto& ike = *tunnel.ike;
  if (to.stands(path + ".udp_encapsulation"))
    to.error(path + ".udp_encapsulation", "is for keys by hand: IKE finds out by itself whether there is a NAT",
             "leave it out, or ike: { encapsulation: always }");
  check_authentication(config, tunnel, path, to);
  check_start(tunnel, path, to);
  check_proposals(ike.proposals, config.gateway, path + ".ike.proposals", to);
  if (ike.reauthenticate_seconds != 0 && ike.lifetime_seconds > ike.reauthenticate_seconds &&
      to.stands(path + ".ike.lifetime"))
    to.warning(path + ".ike.lifetime", "never comes: reauthenticate makes a new IKE SA before", "leave it out");
  const bool transport =
      std::ranges::any_of(tunnel.children, [](const auto& child) { return child.mode == child_mode::transport; });
  if (ike.mobike && transport)
    to.error(path + ".ike.mobike", "transport mode is bound to its addresses (RFC 4555 1.2)", "leave it out");
  for (const auto& child : tunnel.children) {
    if (by_hand(child)) continue;
    const auto place = path + ".children." + child.name;
    check_proposals(child.esp, config.gateway, place + ".esp", to);
    check_families(child, place, to);
  }
}

}  // namespace

void validate_ike(const configuration& config, report& to) {
  // What an IKE_SA_INIT and the IDs in IKE_AUTH tell: two tunnels that are alike in it cannot be told apart.
  std::map<std::tuple<std::string, std::string, std::string, std::string>, std::string> peers;
  for (const auto& tunnel : config.tunnels) {
    const auto path = "tunnels." + tunnel.name;
    if (tunnel.children.empty() || !to.stands(path)) continue;  // a name with a dot has its error already
    check_children_alike(tunnel, path, to);
    if (!tunnel.ike) {
      check_by_hand(tunnel, path, to);
      continue;
    }
    check_ike_tunnel(config, tunnel, path, to);
    if (to.is_wrong(path + ".peer") || to.is_wrong(path + ".local.address")) continue;
    const auto text = [](const ip_address& address) { return usable(address) ? to_string(address) : std::string(); };
    auto [entry, fresh] =
        peers.try_emplace({text(tunnel.peer), text(tunnel.local), tunnel.ike->local_id, tunnel.ike->remote_id}, path);
    if (!fresh)
      to.error(path,
               "has the same peer and ids as " + entry->second + ", " + to.line_of(entry->second) +
                   ": nothing could choose between them",
               "children of one tunnel, or another id");
  }
}

}  // namespace trunkgate
