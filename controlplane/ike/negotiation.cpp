#include "controlplane/ike/negotiation.hpp"

#include <algorithm>
#include <array>

#include "config/selector_words.hpp"

namespace trunkgate::ike {

namespace {

using enum transform_type;

bool is_key_exchange(transform_type type) { return type == key_exchange || type >= additional_ke1; }

constexpr std::array all_types{encryption,         prf,
                               integrity,          key_exchange,
                               sequence_numbers,   additional_ke1,
                               transform_type{7},  transform_type{8},
                               transform_type{9},  transform_type{10},
                               transform_type{11}, additional_ke7};

// What not saying a type means: no integrity of its own (AEAD), no key exchange. Other types must be said.
bool none_is_meant(transform_type type) { return type == integrity || is_key_exchange(type); }
transform_choice none_of(transform_type type) { return {.type = type, .id = 0, .key_bits = 0}; }

std::vector<transform_choice> of_type(const std::vector<transform_choice>& all, transform_type type) {
  std::vector<transform_choice> out;
  std::ranges::copy_if(all, std::back_inserter(out), [type](const auto& one) { return one.type == type; });
  if (out.empty() && none_is_meant(type)) out.push_back(none_of(type));
  return out;
}

std::optional<transform_choice> first_common(const std::vector<transform_choice>& ours,
                                             const std::vector<transform_choice>& theirs) {
  for (const auto& one : ours)
    if (std::ranges::contains(theirs, one)) return one;
  return std::nullopt;
}

std::vector<transform_choice> offered(const proposal_settings& ours, key_exchanges which) {
  std::vector<transform_choice> out;
  std::ranges::copy_if(ours.transforms, std::back_inserter(out),
                       [which](const auto& one) { return which == key_exchanges::kept || !is_key_exchange(one.type); });
  return out;
}

std::optional<std::vector<transform_choice>> meet(const std::vector<transform_choice>& ours,
                                                  const std::vector<transform_choice>& theirs, key_exchanges which) {
  std::vector<transform_choice> out;
  for (const auto type : all_types) {
    // RFC 7296 1.2: a child that comes with IKE_AUTH has no key exchange, whatever is said of it.
    if (which == key_exchanges::left_out && is_key_exchange(type)) continue;
    const auto mine = of_type(ours, type), his = of_type(theirs, type);
    if (mine.empty() && his.empty()) continue;
    const auto both = first_common(mine, his);
    if (!both) return std::nullopt;
    const bool said = std::ranges::any_of(theirs, [type](const auto& one) { return one.type == type; });
    if (said || both->id != 0) out.push_back(*both);
  }
  return out;
}

}  // namespace

std::optional<transform_choice> settled::of(transform_type type) const {
  const auto found = std::ranges::find(transforms, type, &transform_choice::type);
  if (found == transforms.end()) return std::nullopt;
  return *found;
}

std::uint16_t settled::key_exchange() const {
  const auto found = of(transform_type::key_exchange);
  return found ? found->id : transform_id::ke_none;
}

std::vector<additional_exchange> settled::additional() const {
  std::vector<additional_exchange> out;
  for (const auto& one : transforms)
    if (one.type >= additional_ke1 && one.id != transform_id::ke_none) out.push_back({one.type, one.id});
  std::ranges::sort(out, {}, &additional_exchange::slot);
  return out;
}

ike_suite ike_suite_of(const settled& chosen) {
  return {.encryption = chosen.of(encryption).value_or(transform_choice{}),
          .prf = chosen.of(prf).value_or(transform_choice{}).id,
          .integrity = chosen.of(integrity).value_or(none_of(integrity)).id,
          .key_exchange = chosen.key_exchange()};
}

namespace {

struct esp_words {
  esp_suite suite;
  std::vector<transform_choice> encryption, integrity;
};
// Each suite's transforms, read from its name once.
const std::vector<esp_words>& every_esp_suite() {
  static const auto all = [] {
    std::vector<esp_words> out;
    for (const auto& row : esp_suites)
      if (const auto read = parse_esp_proposal(row.name))
        out.push_back({row.suite, of_type(read->transforms, encryption), of_type(read->transforms, integrity)});
    return out;
  }();
  return all;
}

}  // namespace

std::optional<esp_choice> esp_choice_of(const settled& chosen) {
  const auto cipher = chosen.of(encryption);
  if (!cipher) return std::nullopt;
  const auto auth = chosen.of(integrity).value_or(none_of(integrity)).id;
  const auto esn = chosen.of(sequence_numbers);
  const transform_choice authenticated{.type = integrity, .id = auth, .key_bits = 0};
  for (const auto& row : every_esp_suite())
    if (std::ranges::contains(row.encryption, *cipher) && std::ranges::contains(row.integrity, authenticated))
      return esp_choice{.suite = row.suite, .esn = esn && esn->id == transform_id::esn};
  return std::nullopt;
}

sa_payload make_offer(const std::vector<proposal_settings>& ours, protocol_id protocol, const bytes& spi,
                      key_exchanges which) {
  sa_payload out;
  for (const auto& one : ours) {
    auto transforms = offered(one, which);
    // Without their key exchanges two proposals may be the same.
    const bool there =
        std::ranges::any_of(out.proposals, [&](const auto& other) { return other.transforms == transforms; });
    if (there) continue;
    out.proposals.push_back({.number = static_cast<std::uint8_t>(out.proposals.size() + 1),
                             .protocol = protocol,
                             .spi = spi,
                             .transforms = std::move(transforms)});
  }
  return out;
}

std::optional<settled> choose(const std::vector<proposal_settings>& ours, const sa_payload& offer, protocol_id protocol,
                              key_exchanges which) {
  for (const auto& mine : ours)
    for (const auto& his : offer.proposals) {
      if (his.protocol != protocol) continue;
      if (auto both = meet(offered(mine, which), his.transforms, which))
        return settled{.number = his.number, .spi = his.spi, .transforms = std::move(*both)};
    }
  return std::nullopt;
}

sa_payload make_answer(const settled& chosen, protocol_id protocol, const bytes& own_spi) {
  return {
      .proposals = {{.number = chosen.number, .protocol = protocol, .spi = own_spi, .transforms = chosen.transforms}}};
}

std::optional<settled> accept(const sa_payload& offer, const sa_payload& answer) {
  if (answer.proposals.size() != 1) return std::nullopt;
  const auto& chosen = answer.proposals.front();
  const auto asked = std::ranges::find(offer.proposals, chosen.number, &proposal::number);
  if (asked == offer.proposals.end() || asked->protocol != chosen.protocol) return std::nullopt;
  // RFC 7296 3.3: exactly one of each type that was offered, and nothing else.
  for (const auto type : all_types) {
    const auto said = std::ranges::count(chosen.transforms, type, &transform_choice::type);
    const auto wished = of_type(asked->transforms, type);
    if (wished.empty() ? said != 0 : said > 1) return std::nullopt;
    const auto answered = of_type(chosen.transforms, type);
    if (!wished.empty() && (answered.empty() || !std::ranges::contains(wished, answered.front()))) return std::nullopt;
  }
  return settled{.number = chosen.number, .spi = chosen.spi, .transforms = chosen.transforms};
}

std::vector<transform_type> difference(const sa_payload& ours, const sa_payload& theirs) {
  std::optional<std::vector<transform_type>> closest;
  for (const auto& mine : ours.proposals)
    for (const auto& his : theirs.proposals) {
      std::vector<transform_type> apart;
      for (const auto type : all_types) {
        const auto a = of_type(mine.transforms, type), b = of_type(his.transforms, type);
        if (!(a.empty() && b.empty()) && !first_common(a, b)) apart.push_back(type);
      }
      if (!closest || apart.size() < closest->size()) closest = std::move(apart);
    }
  return closest.value_or(std::vector<transform_type>{});
}

std::string proposal_word(const std::vector<transform_choice>& transforms) {
  std::string out;
  for (const auto& one : transforms) {
    if (one.id == 0 && none_is_meant(one.type)) continue;
    if (!out.empty()) out += '-';
    if (one.type >= additional_ke1)
      out += "ke" + std::to_string(static_cast<int>(one.type) - static_cast<int>(additional_ke1) + 1) + "_";
    out += transform_name(one);
  }
  return out;
}

std::vector<std::string> proposal_words(const sa_payload& offer) {
  std::vector<std::string> out;
  for (const auto& one : offer.proposals) out.push_back(proposal_word(one.transforms));
  return out;
}

std::string outdated(const std::vector<transform_choice>& transforms) {
  using namespace transform_id;
  std::string out;
  for (const auto& one : transforms) {
    const bool old = (one.type == encryption && one.id == encr_3des) || (one.type == prf && one.id == prf_hmac_sha1) ||
                     (one.type == integrity && one.id == auth_hmac_sha1_96) ||
                     (one.type == transform_type::key_exchange && one.id == modp1024);
    if (!old) continue;
    if (!out.empty()) out += ", ";
    out += transform_name(one);
  }
  return out;
}

// ---- traffic selectors ----

namespace {

ip_range everything(ip_family family) { return ip_prefix{{.bytes = {}, .family = family}, 0}; }

struct ports {
  std::uint16_t first, last;
};
// RFC 7296 3.13.1: packets whose ports can't be seen. No child of ours is for these alone, and one that is for all
// ports has them among the others.
bool opaque(const traffic_selector& one) { return one.first_port == 65535 && one.last_port == 0; }

std::optional<traffic_selector> intersect(const traffic_selector& a, const traffic_selector& b) {
  if (a.addresses.first.family != b.addresses.first.family) return std::nullopt;
  if (a.protocol != 0 && b.protocol != 0 && a.protocol != b.protocol) return std::nullopt;
  if (opaque(a) != opaque(b)) return std::nullopt;
  traffic_selector out;
  out.protocol = a.protocol != 0 ? a.protocol : b.protocol;
  out.first_port = std::max(a.first_port, b.first_port);
  out.last_port = std::min(a.last_port, b.last_port);
  out.addresses = {std::max(a.addresses.first, b.addresses.first), std::min(a.addresses.last, b.addresses.last)};
  if (!out.addresses.valid() || (out.first_port > out.last_port && !opaque(a))) return std::nullopt;
  return out;
}

bool inside(const traffic_selector& small, const traffic_selector& large) {
  return large.addresses.contains(small.addresses) && (large.protocol == 0 || large.protocol == small.protocol) &&
         large.first_port <= small.first_port && small.last_port <= large.last_port;
}

bool alike(const traffic_selector& a, const traffic_selector& b) {
  return a.protocol == b.protocol && a.first_port == b.first_port && a.last_port == b.last_port;
}

// An SA has one protocol and one range of ports on each side: those of the first selector, which is the packet's own
// where there is one (RFC 7296 2.9).
std::vector<traffic_selector> common(const std::vector<traffic_selector>& ours,
                                     const std::vector<traffic_selector>& wish) {
  constexpr std::size_t most = 8;
  std::vector<traffic_selector> out;
  for (const auto& theirs : wish)
    for (const auto& mine : ours) {
      const auto both = intersect(mine, theirs);
      if (!both || (!out.empty() && !alike(*both, out.front()))) continue;
      if (std::ranges::any_of(out, [&](const auto& other) { return inside(*both, other); })) continue;
      std::erase_if(out, [&](const auto& other) { return inside(other, *both); });
      if (out.size() < most) out.push_back(*both);
    }
  return out;
}

}  // namespace

std::vector<traffic_selector> selectors_of(const child_settings& child, bool local) {
  traffic_selector each;
  each.protocol = child.protocol < 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(child.protocol);
  const auto icmp = find_icmp(child.icmp, child.protocol);
  const auto range = icmp.value_or(local ? child.local_ports : child.remote_ports);
  each.first_port = range.first;
  each.last_port = range.last;
  std::vector<traffic_selector> out;
  for (const auto& one : local ? child.local : child.remote) {
    each.addresses = one;
    out.push_back(each);
  }
  if (out.empty())
    for (const auto family : {ip_family::v4, ip_family::v6}) {
      each.addresses = everything(family);
      out.push_back(each);
    }
  return out;
}

std::optional<narrowed> narrow(const child_settings& child, const std::vector<traffic_selector>& local,
                               const std::vector<traffic_selector>& remote) {
  narrowed out{.local = common(selectors_of(child, true), local), .remote = common(selectors_of(child, false), remote)};
  if (out.local.empty() || out.remote.empty()) return std::nullopt;
  // One protocol for both sides: whoever said none follows the other.
  const auto protocol = std::max(out.local.front().protocol, out.remote.front().protocol);
  for (auto* side : {&out.local, &out.remote})
    for (auto& one : *side) {
      if (one.protocol != 0 && one.protocol != protocol) return std::nullopt;
      one.protocol = protocol;
    }
  return out;
}

sa_selectors to_sa_selectors(const narrowed& selectors) {
  sa_selectors out;
  for (const auto& one : selectors.local) out.local.push_back(one.addresses);
  for (const auto& one : selectors.remote) out.remote.push_back(one.addresses);
  if (const auto protocol = selectors.local.front().protocol; protocol != 0) out.protocol = protocol;
  out.local_ports = {selectors.local.front().first_port, selectors.local.front().last_port};
  out.remote_ports = {selectors.remote.front().first_port, selectors.remote.front().last_port};
  return out;
}

std::string selector_words(const std::vector<traffic_selector>& selectors) {
  std::string out;
  for (const auto& one : selectors) {
    if (!out.empty()) out += ", ";
    out += to_string(one.addresses);
    if (one.protocol != 0) out += " protocol " + std::to_string(one.protocol);
    if (one.first_port == 0 && one.last_port == 65535) continue;
    if (opaque(one)) {
      out += " port opaque";
      continue;
    }
    out += " port " + std::to_string(one.first_port);
    if (one.last_port != one.first_port) out += "-" + std::to_string(one.last_port);
  }
  return out;
}

}  // namespace trunkgate::ike
