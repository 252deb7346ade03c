#include "controlplane/ike/wire/describe.hpp"

#include <algorithm>
#include <format>

#include "controlplane/ike/wire/notify.hpp"
#include "controlplane/ike/wire/reader.hpp"

namespace trunkgate::ike {

namespace {

constexpr std::size_t entries_shown = 32;  // of a list
constexpr std::size_t octets_shown = 64;   // of a peer's text

template <class List, class Say>
std::string join(const List& list, std::string_view between, Say say) {
  std::string out;
  std::size_t done = 0;
  for (const auto& one : list) {
    if (done == entries_shown) return out + std::format(" and {} more", list.size() - done);
    if (done++ > 0) out += between;
    out += say(one);
  }
  return out;
}

std::string size_of(const bytes& data) { return std::format("{} octets", data.size()); }

std::string hex(byte_view data) {
  std::string out;
  for (const auto octet : data.first(std::min(data.size(), octets_shown))) out += std::format("{:02x}", octet);
  return data.size() > octets_shown ? out + "..." : out;
}

// A log line must stay one, and show what is there: what is not printable ASCII becomes \xNN.
std::string text(byte_view data) {
  std::string out;
  for (const auto octet : data.first(std::min(data.size(), octets_shown))) {
    if (octet >= 0x20 && octet < 0x7f && octet != '\\')
      out += static_cast<char>(octet);
    else
      out += std::format("\\x{:02x}", octet);
  }
  return data.size() > octets_shown ? out + "..." : out;
}

bool printable(byte_view data) {
  return !data.empty() && std::ranges::all_of(data, [](auto octet) { return octet >= 0x20 && octet < 0x7f; });
}

// "encryption aes256gcm16"; what has no name by its numbers: "encryption 20/99", "unknown 241 1025".
std::string transform_text(const transform_choice& transform) {
  const auto type = transform_type_name(transform.type);
  auto out =
      type == "unknown" ? std::format("unknown {} ", static_cast<unsigned>(transform.type)) : std::format("{} ", type);
  if (transform.key_bits == unusable_transform)
    return out + transform_name({transform.type, transform.id, 0}) + " with unknown attributes";
  out += transform_name(transform);
  const bool by_number = out.ends_with(std::format(" {}", transform.id));
  return by_number && transform.key_bits != 0 ? out + std::format("/{}", transform.key_bits) : out;
}

std::string method_text(std::uint16_t method) { return transform_name({transform_type::key_exchange, method, 0}); }

std::string spi_text(const bytes& spi) { return spi.empty() ? "" : " " + hex(spi); }

std::string proposal_text(const proposal& one) {
  return std::format("{} {}{}: {}", one.number, protocol_name(one.protocol), spi_text(one.spi),
                     join(one.transforms, ", ", transform_text));
}

std::string id_text(const id_payload& id) {
  switch (id.type) {
    case id_type::ipv4:
    case id_type::ipv6: {
      const auto family = id.type == id_type::ipv4 ? ip_family::v4 : ip_family::v6;
      if (id.data.size() != (family == ip_family::v4 ? 4 : 16)) break;
      return to_string(ip_address::from_bytes(family, id.data.data()));
    }
    case id_type::fqdn:
    case id_type::rfc822: return text(id.data);
    case id_type::dn: return "distinguished name, " + size_of(id.data);
    case id_type::gn: return "general name, " + size_of(id.data);
    case id_type::key_id: return "key id " + hex(id.data);
  }
  return std::format("id type {}, {}", static_cast<unsigned>(id.type), size_of(id.data));
}

// What of a notify's data an operator wants to see.
std::string notify_data_text(const notify_payload& one) {
  wire::reader in(one.data);
  switch (one.type) {
    case notify::invalid_ke_payload: return method_text(in.u16()) + " is wanted";
    case notify::set_window_size: return std::format("window {}", in.u32());
    case notify::auth_lifetime: return std::format("{} s", in.u32());
    case notify::signature_hash_algorithms: {
      std::vector<std::uint16_t> hashes;
      while (in.remaining() >= 2) hashes.push_back(in.u16());
      return "hashes " + join(hashes, ", ", [](auto hash) { return std::to_string(hash); });
    }
    case notify::additional_ip4_address:
      if (one.data.size() == 4) return to_string(ip_address::from_bytes(ip_family::v4, one.data.data()));
      break;
    case notify::additional_ip6_address:
      if (one.data.size() == 16) return to_string(ip_address::from_bytes(ip_family::v6, one.data.data()));
      break;
    default: break;
  }
  return size_of(one.data);
}

struct line_of {
  std::string operator()(const sa_payload& sa) const { return "SA " + join(sa.proposals, "; ", proposal_text); }
  std::string operator()(const key_exchange_payload& one) const {
    return std::format("KE {}, {}", method_text(one.method), size_of(one.data));
  }
  std::string operator()(const id_of& one) const { return (one.initiator ? "IDi " : "IDr ") + id_text(one.id); }
  std::string operator()(const certificate_payload& one) const {
    return std::format("CERT {}, {}", one.encoding, size_of(one.data));
  }
  std::string operator()(const certificate_request_payload& one) const {
    return std::format("CERTREQ {}, {}", one.encoding, size_of(one.authorities));
  }
  std::string operator()(const authentication_payload& one) const {
    return std::format("AUTH {}, {}", one.method, size_of(one.data));
  }
  std::string operator()(const nonce_payload& one) const { return "Nonce " + size_of(one.data); }
  std::string operator()(const notify_payload& one) const {
    std::string out = "N " + notify::name(one.type);
    if (!one.spi.empty()) out += std::format(", {}{}", protocol_name(one.protocol), spi_text(one.spi));
    return one.data.empty() ? out : out + ", " + notify_data_text(one);
  }
  std::string operator()(const delete_payload& one) const {
    const auto spis = join(one.spis, ",", spi_text);
    return "D " + protocol_name(one.protocol) + spis;
  }
  std::string operator()(const vendor_id_payload& one) const {
    return "V " + (printable(one.data) ? text(one.data) : hex(one.data));
  }
  std::string operator()(const ts_payload& one) const {
    const auto list = join(one.selectors, ", ", [](const auto& selector) { return describe(selector); });
    return std::string(one.initiator ? "TSi " : "TSr ") + (one.selectors.empty() ? "none" : list);
  }
  std::string operator()(const unknown_payload& one) const {
    return payload_name(one.type) + (one.critical ? ", critical" : "");
  }
};

}  // namespace

std::string exchange_name(exchange_type exchange) {
  switch (exchange) {
    case exchange_type::ike_sa_init: return "IKE_SA_INIT";
    case exchange_type::ike_auth: return "IKE_AUTH";
    case exchange_type::create_child_sa: return "CREATE_CHILD_SA";
    case exchange_type::informational: return "INFORMATIONAL";
    case exchange_type::ike_intermediate: return "IKE_INTERMEDIATE";
    case exchange_type::ike_followup_ke: return "IKE_FOLLOWUP_KE";
  }
  return std::format("exchange {}", static_cast<unsigned>(exchange));
}

std::string payload_name(payload_type type) {
  switch (type) {
    case payload_type::none: break;
    case payload_type::sa: return "SA";
    case payload_type::key_exchange: return "KE";
    case payload_type::id_initiator: return "IDi";
    case payload_type::id_responder: return "IDr";
    case payload_type::certificate: return "CERT";
    case payload_type::certificate_request: return "CERTREQ";
    case payload_type::authentication: return "AUTH";
    case payload_type::nonce: return "Nonce";
    case payload_type::notify: return "N";
    case payload_type::remove: return "D";
    case payload_type::vendor_id: return "V";
    case payload_type::ts_initiator: return "TSi";
    case payload_type::ts_responder: return "TSr";
    case payload_type::encrypted: return "SK";
    case payload_type::configuration: return "CP";
    case payload_type::eap: return "EAP";
    case payload_type::encrypted_fragment: return "SKF";
  }
  return std::format("payload {}", static_cast<unsigned>(type));
}

std::string protocol_name(protocol_id protocol) {
  switch (protocol) {
    case protocol_id::none: break;
    case protocol_id::ike: return "IKE";
    case protocol_id::ah: return "AH";
    case protocol_id::esp: return "ESP";
  }
  return std::format("protocol {}", static_cast<unsigned>(protocol));
}

std::string describe(const header& head) {
  return std::format("{} {} {}, {:016x} > {:016x}", exchange_name(head.exchange),
                     head.response ? "response" : "request", head.message_id,
                     head.from_initiator ? head.initiator_spi : head.responder_spi,
                     head.from_initiator ? head.responder_spi : head.initiator_spi);
}

std::string describe(const payload& one) { return std::visit(line_of{}, one); }

std::string describe(const traffic_selector& selector) {
  auto out = to_string(selector.addresses);
  if (selector.protocol != 0) out += std::format(" protocol {}", selector.protocol);
  if (selector.first_port == 65535 && selector.last_port == 0) return out + " ports opaque";
  if (selector.first_port == 0 && selector.last_port == 65535) return out;
  if (selector.first_port == selector.last_port) return out + std::format(" port {}", selector.first_port);
  return out + std::format(" ports {}-{}", selector.first_port, selector.last_port);
}

}  // namespace trunkgate::ike
