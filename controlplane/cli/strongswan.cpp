// swanctl.conf(5) of the far end: our ends, ids and selectors change places there.
#include <algorithm>

#include "config/selector_words.hpp"
#include "config/settings_text.hpp"
#include "controlplane/cli/peer_config.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

namespace {

bool usable(const ip_address& address) { return address.family != ip_family::none; }
std::string yes_or_no(bool value) { return value ? "yes" : "no"; }

// Always quoted: an id may hold what means something else without (", O=", "{", "#").
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// Our "keyid:0a0b" is hexadecimal, strongSwan's is text unless a # says so.
std::string id_text(const std::string& id) {
  if (!id.starts_with("keyid:")) return quoted(id);
  return quoted("keyid:#" + id.substr(id.starts_with("keyid:0x") ? 8 : 6));
}

// strongSwan's words are ours, but for CBC and 3DES; ESP that takes both kinds of sequence numbers says so.
std::string proposal_text(const proposal_settings& proposal) {
  std::string out;
  for (const auto& transform : proposal.transforms) {
    auto word = transform_name(transform);
    if (transform.type == transform_type::encryption && word.ends_with("cbc")) word.resize(word.size() - 3);
    if (transform.type >= transform_type::additional_ke1)
      word = "ke" +
             std::to_string(static_cast<int>(transform.type) - static_cast<int>(transform_type::additional_ke1) + 1) +
             "_" + word;
    out += (out.empty() ? "" : "-") + word;
  }
  return out;
}

bool has_ml_kem(const proposal_settings& proposal) {
  return std::ranges::any_of(proposal.transforms, [](const transform_choice& transform) {
    return transform_type_name(transform.type).contains("key exchange") && transform.id >= transform_id::mlkem512 &&
           transform.id <= transform_id::mlkem1024;
  });
}

std::string list(const std::vector<proposal_settings>& proposals, bool ml_kem) {
  std::string out;
  for (const auto& proposal : proposals)
    if (ml_kem || !has_ml_kem(proposal)) out += (out.empty() ? "" : ",") + proposal_text(proposal);
  return out;
}

// "[udp/5060-5080]" behind a prefix; for ICMP strongSwan has a type, or type << 8 | code, in the place of the port.
std::string protocol_and_port(const child_settings& child, const number_range& ports) {
  if (child.protocol < 0) return {};
  const auto icmp = find_icmp(child.icmp, child.protocol);
  std::string port;
  if (icmp && (icmp->first & 0xff) == 0 && icmp->last == (icmp->first | 0xff))
    port = std::to_string(icmp->first >> 8);
  else if (icmp)
    port = std::to_string(icmp->first);
  else if (ports != number_range{})
    port = std::to_string(ports.first) + (ports.first == ports.last ? "" : "-" + std::to_string(ports.last));
  return "[" + std::to_string(child.protocol) + (port.empty() ? "" : "/" + port) + "]";
}

std::string selectors(const child_settings& child, const std::vector<ip_range>& ranges, const number_range& ports) {
  std::string out;
  for (const auto& range : ranges) out += (out.empty() ? "" : ",") + to_string(range) + protocol_and_port(child, ports);
  return out;
}

class writer {
 public:
  void open(std::string_view section) { line(std::string(section) + " {"), depth_ += 2; }
  void close() { depth_ -= 2, line("}"); }
  void set(std::string_view key, const std::string& value) { line(std::string(key) + " = " + value); }
  void remark(std::string_view text) { line("# " + std::string(text)); }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  void line(const std::string& text) { out_ += std::string(depth_, ' ') + text + "\n"; }
  std::size_t depth_ = 0;
  std::string out_;
};

class swanctl_writer {
 public:
  swanctl_writer(const configuration& config, const tunnel_settings& tunnel)
      : tunnel_(tunnel), ike_(*tunnel.ike), here_(config.gateway.name) {}

  std::string write() {
    out_.remark("The far end of tunnel " + tunnel_.name + " of gateway " + here_ +
                ": strongSwan 6.0 or later, /etc/swanctl/conf.d/" + here_ + ".conf.");
    out_.remark("Lines with TO DO want something that " + here_ + " does not know. Then: swanctl --load-all");
    out_.open("connections");
    out_.open(here_);
    connection();
    ends();
    out_.open("children");
    for (const auto& child : tunnel_.children) write_child(child);
    out_.close();
    out_.close();
    out_.close();
    secrets();
    return out_.take();
  }

 private:
  void proposals(std::string_view key, const std::vector<proposal_settings>& wanted) {
    const auto plain = list(wanted, false), all = list(wanted, true);
    if (plain != all && !plain.empty()) {
      out_.remark(
          "With the plugin \"ml\" (ML-KEM; strongSwan as Debian 13 has it is without), instead of the next line:");
      out_.remark(std::string(key) + " = " + all);
    } else if (plain != all) {
      out_.remark("TO DO: this takes strongSwan with the plugin \"ml\" (ML-KEM)");
    }
    out_.set(key, plain.empty() ? all : plain);
  }

  void connection() {
    out_.set("version", "2");
    out_.set("local_addrs", usable(tunnel_.peer) ? to_string(tunnel_.peer) : "%any");
    if (!usable(tunnel_.local))
      out_.remark("TO DO: the address of " + here_ + ", which takes the one that reaches this end");
    out_.set("remote_addrs", usable(tunnel_.local) ? to_string(tunnel_.local) : "%any");
    proposals("proposals", ike_.proposals);
    const auto time = [](std::uint64_t seconds) { return seconds == 0 ? "0s" : duration_text(seconds); };
    out_.set("rekey_time", time(ike_.lifetime_seconds));
    out_.set("reauth_time", time(ike_.reauthenticate_seconds));
    out_.set("dpd_delay", time(ike_.liveness_seconds));
    out_.set("mobike", yes_or_no(ike_.mobike));
    out_.set("encap", yes_or_no(ike_.force_encapsulation));
    out_.set("fragmentation", "yes");
    if (ike_.childless) out_.set("childless", "prefer");
    if (ike_.post_quantum_key) {
      out_.set("ppk_id", id_text(ike_.post_quantum_key->id));
      out_.set("ppk_required", yes_or_no(ike_.post_quantum_key->required));
    }
  }

  // What an end is called: what is configured, else the address where the key is shared. Empty: not known here.
  [[nodiscard]] std::string id_of(const std::string& id, const ip_address& address) const {
    if (!id.empty()) return id_text(id);
    return ike_.psk && usable(address) ? to_string(address) : std::string();
  }

  void ends() {
    const auto theirs = id_of(ike_.remote_id, tunnel_.peer), ours = id_of(ike_.local_id, tunnel_.local);
    const std::string how = ike_.psk ? "psk" : "pubkey";
    out_.open("local");
    out_.set("auth", how);
    if (!ike_.psk) {
      out_.remark("TO DO: its certificate in /etc/swanctl/x509, the private key in /etc/swanctl/private");
      out_.set("certs", tunnel_.name + ".pem");
    }
    if (theirs.empty())
      out_.remark("TO DO: id = what its certificate proves, or leave it to strongSwan");
    else
      out_.set("id", theirs);
    out_.close();
    out_.open("remote");
    out_.set("auth", how);
    if (!ike_.psk) {
      out_.remark("TO DO: the authority of " + here_ + "'s certificate, in /etc/swanctl/x509ca");
      out_.set("cacerts", here_ + "-ca.pem");
      out_.set("revocation", ike_.revocation == revocation_check::strict ? "strict" : "relaxed");
    }
    if (ours.empty())
      out_.remark("TO DO: id = the first DNS name in " + here_ +
                  "'s certificate; without it anybody of that authority will do");
    else
      out_.set("id", ours);
    out_.close();
  }

  void limits(const child_settings& child) {
    const std::pair<std::string_view, std::string> values[] = {
        {"rekey_time", duration_text(child.soft.seconds)},     {"life_time", duration_text(child.hard.seconds)},
        {"rekey_bytes", std::to_string(child.soft.bytes)},     {"life_bytes", std::to_string(child.hard.bytes)},
        {"rekey_packets", std::to_string(child.soft.packets)}, {"life_packets", std::to_string(child.hard.packets)}};
    for (const auto& [key, value] : values)
      if (value != "0") out_.set(key, value);
  }

  void write_child(const child_settings& child) {
    out_.open(child.name);
    out_.set("mode", child.mode == child_mode::transport ? "transport" : "tunnel");
    if (!usable(tunnel_.peer)) out_.remark("TO DO: of this, its own part only");
    out_.set("local_ts", selectors(child, child.remote, child.remote_ports));
    out_.set("remote_ts", selectors(child, child.local, child.local_ports));
    if (child.dscp != 0)
      out_.remark(here_ + " sends packets of class " + dscp_text(child.dscp) +
                  " by it. strongSwan has no such choice: it sends everything by one child.");
    if (tunnel_.interface) {
      out_.remark("TO DO: ip link add " + here_ + " type xfrm if_id 1; ip link set " + here_ +
                  " up; and routes into it");
      out_.set("if_id_in", "1");
      out_.set("if_id_out", "1");
    }
    proposals("esp_proposals", child.esp);
    limits(child);
    out_.set("replay_window", std::to_string(child.replay_window));
    if (child.tfc_padding_to_mtu || child.tfc_padding != 0)
      out_.set("tfc_padding", child.tfc_padding_to_mtu ? "mtu" : std::to_string(child.tfc_padding));
    if (child.per_worker) out_.remark("per_cpu_sas = yes     strongSwan 6.0.2 or later, Linux 6.13 or later");
    // One end keeps the tunnel up; at the other a packet may want it, and none leaves in clear meanwhile.
    const std::string start = ike_.start == start_mode::answer ? "start" : "trap";
    out_.set("start_action", start);
    out_.set("dpd_action", start == "start" ? "restart" : "trap");
    out_.set("close_action", start);
    out_.close();
  }

  static std::string source_text(const key_reference& key) {
    static constexpr std::string_view words[] = {"the file ", "the variable ", "the credential "};
    return std::string(words[static_cast<std::size_t>(key.from)]) + printable(key.name);
  }

  // No key is ever written: the section's lines are remarks until somebody puts it there.
  void secret(std::string_view section, const std::vector<std::string>& ids, const key_reference& key) {
    out_.remark("TO DO: take the # away and put in the key, which " + here_ + " has from " + source_text(key) + ":");
    out_.remark(std::string(section) + "-" + here_ + " {");
    int number = 0;
    for (const auto& id : ids)
      if (!id.empty()) out_.remark("  id-" + std::to_string(++number) + " = " + id);
    out_.remark("  secret = \"...\"");
    out_.remark("}");
  }

  void secrets() {
    if (!ike_.psk && !ike_.post_quantum_key) return;
    out_.open("secrets");
    if (ike_.psk) secret("ike", {id_of(ike_.remote_id, tunnel_.peer), id_of(ike_.local_id, tunnel_.local)}, *ike_.psk);
    if (ike_.post_quantum_key) secret("ppk", {id_text(ike_.post_quantum_key->id)}, ike_.post_quantum_key->key);
    out_.close();
  }

  const tunnel_settings& tunnel_;
  const ike_settings& ike_;
  const std::string& here_;
  writer out_;
};

}  // namespace

std::string strongswan_configuration(const configuration& config, const tunnel_settings& tunnel) {
  return swanctl_writer(config, tunnel).write();
}

}  // namespace trunkgate
