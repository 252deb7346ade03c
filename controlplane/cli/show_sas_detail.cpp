// `trunkgate show sas detail`: an SA as its operator reads it. Made from the fields of --json, so that nothing is in
// one and not in the other: what has no line of its own here stands below with its name.
#include <algorithm>
#include <set>

#include "controlplane/cli/show.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000, year_seconds = 365ull * 86400;

// Reads fields and remembers which.
class sa_fields {
 public:
  explicit sa_fields(const json_object& object) : object_(object) {}

  [[nodiscard]] std::string text(const char* key) {
    const auto* value = find(key);
    if (value == nullptr || value->is_null()) return "";
    return value->is_string() ? printable(value->get<std::string>()) : value->dump();
  }
  [[nodiscard]] std::uint64_t number(const char* key) {
    const auto* value = find(key);
    return value != nullptr && value->is_number() ? value->get<std::uint64_t>() : 0;
  }
  [[nodiscard]] bool flag(const char* key) {
    const auto* value = find(key);
    return value != nullptr && value->is_boolean() && value->get<bool>();
  }
  [[nodiscard]] std::string list(const char* key) {
    const auto* value = find(key);
    std::string out;
    if (value != nullptr && value->is_array())
      for (const auto& item : *value) out += (out.empty() ? "" : " ") + printable(item.get<std::string>());
    return out;
  }
  [[nodiscard]] const json_object* find(const char* key) {
    read_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  // Every field that nobody read.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> rest() const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& [key, value] : object_.items()) {
      if (read_.contains(key)) continue;
      auto label = key;
      std::ranges::replace(label, '_', ' ');
      out.emplace_back(label, printable(value.is_string() ? value.get<std::string>() : value.dump()));
    }
    return out;
  }

 private:
  const json_object& object_;
  std::set<std::string, std::less<>> read_;
};

using lines = std::vector<std::pair<std::string, std::string>>;

std::string ends_text(sa_fields& sa, bool out) {
  const auto local = sa.text("local"), remote = sa.text("remote");
  return out ? local + " > " + remote : remote + " > " + local;
}

std::string encapsulation_text(sa_fields& sa, bool out) {
  const auto local = sa.text("local_port"), remote = sa.text("remote_port");
  if (!sa.flag("udp_encapsulation")) return "ESP in IP";
  return "ESP in UDP, port " + (out ? local + " > " + remote : remote + " > " + local);
}

std::string side_text(const std::string& ranges, const std::string& ports) {
  return (ranges.empty() ? "any" : ranges) + (ports == "any" ? "" : " ports " + ports);
}

std::string selectors_text(sa_fields& sa, bool out) {
  const auto local = side_text(sa.list("local_ranges"), sa.text("local_ports"));
  const auto remote = side_text(sa.list("remote_ranges"), sa.text("remote_ports"));
  const auto protocol = sa.text("protocol"), icmp = sa.text("icmp"), dscp = sa.text("dscp");
  return (out ? local + " > " + remote : remote + " > " + local) + ", " +
         (protocol == "any" ? "any protocol" : "protocol " + protocol) + (icmp.empty() ? "" : " " + icmp) +
         (dscp.empty() ? "" : ", dscp " + dscp);
}

std::string sequence_text(sa_fields& sa, bool out) {
  const auto last = sa.text("sequence"), left = sa.text("sequence_left"), seconds = sa.text("sequence_left_seconds");
  if (!out) return last + " is the highest accepted";
  auto text = last + " is the last sent, " + left + " are left";
  if (!seconds.empty())
    text += "; at the rate since it was installed for " + age_text(sa.number("sequence_left_seconds") * second_ns);
  return text;
}

// The limits of a lifetime that are set: "1000 packets, 2.0 GB, 3h00m".
std::string limits_text(const json_object* limits) {
  std::string out;
  if (limits == nullptr || !limits->is_object()) return out;
  const auto add = [&out](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
  if (const auto n = limits->value("packets", std::uint64_t{0}); n != 0) add(std::to_string(n) + " packets");
  if (const auto n = limits->value("bytes", std::uint64_t{0}); n != 0) add(bytes_text(n));
  if (const auto n = limits->value("seconds", std::uint64_t{0}); n != 0) add(age_text(n * second_ns));
  return out;
}

std::string lifetime_text(sa_fields& sa) {
  const auto soft = limits_text(sa.find("soft")), hard = limits_text(sa.find("hard"));
  const auto expired = sa.text("expired_by"), softened = sa.text("softened_by");
  const auto now = !expired.empty()    ? "; ended by its " + expired
                   : !softened.empty() ? "; to be replaced now, by its " + softened
                                       : "";
  if (soft.empty() && hard.empty()) return "no limit" + now;
  return (soft.empty() ? "" : "to be replaced after " + soft) + (soft.empty() || hard.empty() ? "" : "; ") +
         (hard.empty() ? "" : "ends after " + hard) + now;
}

// "copied, but 46 as 40; ECN normal, DF copied, hop limit 64, flow label 0"
std::string outer_text(const json_object& outer) {
  std::string all, exceptions;
  std::size_t same = 0;
  const auto& dscp = outer["dscp"];
  for (const auto& [inner, value] : dscp.items()) {
    const auto text = value.dump();
    if (all.empty() || all == text) ++same;
    if (all.empty()) all = text;
    exceptions += (exceptions.empty() ? "" : ", ") + inner + " as " + text;
  }
  // 63 or 64 of 64 differ from the inner one: it is one for all.
  const auto classes = dscp.empty()                        ? "DSCP copied"
                       : same == dscp.size() && same >= 63 ? "DSCP " + all
                                                           : "DSCP copied, but " + exceptions;
  const auto copied = [&](const char* key) {
    const auto& value = outer[key];
    const auto text = value.is_string() ? value.get<std::string>() : value.dump();
    return text == "copy" ? std::string("copied") : text;
  };
  return classes + "; ECN " + copied("ecn") + ", DF " + copied("df") + ", hop limit " + copied("hop_limit") +
         ", flow label " + copied("flow_label");
}

// What routers have said about the way to the peer.
std::string path_text(sa_fields& sa) {
  const auto mtu = sa.number("path_mtu"), age_ms = sa.number("path_mtu_age_ms"),
             learned = sa.number("path_mtu_learned"), refused = sa.number("path_mtu_refused");
  auto out = mtu == 0 ? std::string("the port's")
                      : std::to_string(mtu) + ", as a router said " + age_text(age_ms * 1'000'000) + " ago";
  if (learned + refused != 0)
    out += "; reports: " + std::to_string(learned) + " believed, " + std::to_string(refused) + " refused";
  return out;
}

// Of the fields below, those the data plane tells.
std::string drops_text(sa_fields& sa) {
  std::uint64_t sum = 0;
  std::string parts;
  for (const char* key : {"replayed", "integrity_failed", "selector_mismatch", "misdirected", "malformed", "dummies",
                          "after_expiry", "other_drops"}) {
    const auto packets = sa.number(key);
    sum += packets;
    if (packets == 0) continue;
    auto label = std::string(key);
    std::ranges::replace(label, '_', ' ');
    parts += (parts.empty() ? ": " : ", ") + std::to_string(packets) + " " + label;
  }
  return std::to_string(sum) + parts;
}

std::string ago_text(std::uint64_t then_ns, std::uint64_t now_ns) {
  return then_ns == 0 ? "never" : age_text(now_ns > then_ns ? now_ns - then_ns : 0) + " ago";
}

lines lines_of(sa_fields& sa, std::uint64_t now_ns) {
  const bool out = sa.text("direction") == "out";
  lines all;
  const auto mode = sa.text("mode"), interface = sa.text("interface"), tfc = sa.text("tfc_padding");
  const auto* outer = sa.find("outer");
  const auto path = path_text(sa);
  all.emplace_back("SPI", sa.text("spi") + (mode.empty() ? "" : ", " + mode + " mode"));
  all.emplace_back(
      "suite", sa.text("suite") + (sa.flag("esn") ? ", extended sequence numbers" : "") + ", by " + sa.text("engine"));
  all.emplace_back("from and to", ends_text(sa, out) + ", " + encapsulation_text(sa, out));
  all.emplace_back("selectors", selectors_text(sa, out));
  if (!interface.empty()) all.emplace_back("interface", interface);
  all.emplace_back("sequence", sequence_text(sa, out));
  const auto window = sa.text("replay_window");
  if (!out) all.emplace_back("replay window", window + " packets");
  if (sa.find("hard") != nullptr) all.emplace_back("lifetime", lifetime_text(sa));
  all.emplace_back("carried", sa.text("packets") + " packets, " + bytes_text(sa.number("bytes")) + " inside");
  all.emplace_back("dropped", drops_text(sa));
  if (out) all.emplace_back("path MTU", path);
  if (out && outer != nullptr && mode != "transport") all.emplace_back("outer header", outer_text(*outer));
  if (out && tfc != "off") all.emplace_back("TFC padding", tfc);
  all.emplace_back("installed", ago_text(sa.number("installed_unix_ns"), now_ns));
  (void)sa.find("installed_seconds");  // the same by another clock
  all.emplace_back("last used", ago_text(sa.number("last_used_unix_ns"), now_ns) + ", by worker " + sa.text("worker"));
  return all;
}

}  // namespace

std::optional<std::uint64_t> exhaustion_seconds(std::uint64_t left, std::uint64_t used, std::uint64_t since_ns) {
  const auto rate = since_ns == 0 ? 0.0 : static_cast<double>(used) * second_ns / static_cast<double>(since_ns);
  if (rate <= 0) return std::nullopt;
  const auto seconds = static_cast<double>(left) / rate;
  if (seconds > 100.0 * year_seconds) return std::nullopt;  // nobody will see it
  return static_cast<std::uint64_t>(seconds);
}

std::string sa_detail_text(const json_object& object, std::uint64_t now_ns) {
  sa_fields sa(object);
  auto out = "tunnel " + sa.text("tunnel") + ", child " + sa.text("child") + ", " + sa.text("direction") + ": " +
             sa.text("state");
  if (const auto reason = sa.text("reason"); !reason.empty()) out += ", " + reason;
  out += "\n";
  auto all = lines_of(sa, now_ns);
  for (auto& other : sa.rest()) all.push_back(std::move(other));
  std::size_t width = 0;
  for (const auto& [label, value] : all) width = std::max(width, label.size());
  for (const auto& [label, value] : all)
    out += "  " + label + std::string(width - label.size() + 2, ' ') + (value.empty() ? "-" : value) + "\n";
  return out;
}

}  // namespace trunkgate
