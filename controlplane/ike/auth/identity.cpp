// Identities as the operator writes them and as ID payloads carry them (RFC 7296 3.5).
#include <algorithm>
#include <cctype>
#include <string_view>

#include <openssl/err.h>

#include "controlplane/ike/auth/authenticate.hpp"
#include "controlplane/ike/auth/openssl_types.hpp"
#include "dataplane/core/ip.hpp"

namespace trunkgate::ike {

namespace {

constexpr std::size_t text_limit = 1024;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

id_payload with_text(id_type type, std::string_view text) { return {type, bytes(text.begin(), text.end())}; }

result<id_payload> parse_key_id(std::string_view digits) {
  if (digits.starts_with("0x")) digits.remove_prefix(2);
  if (digits.empty() || digits.size() % 2 != 0)
    return failure("a key id needs an even number of hexadecimal digits behind \"keyid:\"");
  id_payload id{.type = id_type::key_id, .data = {}};
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const int high = digit(digits[i]), low = digit(digits[i + 1]);
    if (high < 0 || low < 0) return failure("a key id is written in hexadecimal digits: \"keyid:0a0b\"");
    id.data.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return id;
}

// One value up to the comma that ends it, escapes resolved: "\,", "\2c", and "\x2c" as to_string() writes it.
result<std::string> take_value(std::string_view& text) {
  std::string value;
  std::size_t kept = 0;  // blanks behind this are not part of the value
  std::size_t i = 0;
  for (; i < text.size() && text[i] != ','; ++i) {
    if (text[i] == '+')
      return failure("a name with several values in one part (\"+\") can't be written: escape it (\"\\+\")");
    if (text[i] != '\\') {
      value += text[i];
      if (text[i] != ' ') kept = value.size();
      continue;
    }
    const auto rest = text.substr(i + 1);
    const std::size_t at = rest.starts_with('x') ? 1 : 0;
    if (rest.size() >= at + 2 && digit(rest[at]) >= 0 && digit(rest[at + 1]) >= 0) {
      value += static_cast<char>(digit(rest[at]) * 16 + digit(rest[at + 1]));
      i += at + 2;
    } else if (!rest.empty()) {
      value += rest[0];
      i += 1;
    } else {
      return failure("a name ends in a single backslash");
    }
    kept = value.size();
  }
  text.remove_prefix(std::min(i + 1, text.size()));
  value.resize(kept);
  return value;
}

std::string attribute_name(std::string_view word) {
  std::string name(word);
  if (OBJ_txt2nid(name.c_str()) != NID_undef) return name;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name == "E" || name == "EMAIL" ? "emailAddress" : name;
}

// RFC 5280 4.1.2.4 lets both be, OpenSSL writes UTF8String alone; strongSwan and others write what can be as
// PrintableString, and compare octets.
void prefer_printable(X509_NAME* name) {
  auto* entry = X509_NAME_get_entry(name, X509_NAME_entry_count(name) - 1);
  const auto* value = X509_NAME_ENTRY_get_data(entry);
  if (ASN1_STRING_type(value) != V_ASN1_UTF8STRING) return;
  const std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                         static_cast<std::size_t>(ASN1_STRING_length(value)));
  if (ASN1_PRINTABLE_type(reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size())) ==
      V_ASN1_PRINTABLESTRING)
    X509_NAME_ENTRY_set_data(entry, V_ASN1_PRINTABLESTRING, reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()));
}

// "CN=hq, O=Example", in the order of the encoding.
result<id_payload> parse_name(std::string_view text) {
  const x509_name_ptr name(X509_NAME_new());
  while (!text.empty()) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos)
      return failure("in a distinguished name each part is TYPE=VALUE: \"CN=hq, O=Example\"");
    const auto type = attribute_name(trimmed(text.substr(0, equals)));
    text.remove_prefix(equals + 1);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    auto value = take_value(text);
    if (!value) return std::unexpected(value.error());
    if (X509_NAME_add_entry_by_txt(name.get(), type.c_str(), MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(value->data()),
                                   static_cast<int>(value->size()), -1, 0) != 1) {
      ERR_clear_error();
      return failure("in a distinguished name, \"" + shown_text(with_text({}, type).data) +
                     "\" is no known type or its value does not suit it");
    }
    prefer_printable(name.get());
  }
  return id_payload{.type = id_type::dn, .data = encode_der(name.get(), i2d_X509_NAME)};
}

result<id_payload> parse_mail_address(std::string_view text) {
  const auto at = text.find('@');
  const bool fine = at > 0 && at + 1 < text.size() && text.find('@', at + 1) == std::string_view::npos &&
                    std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (!fine) return failure("is no RFC 822 address: it has the form user@domain");
  return with_text(id_type::rfc822, text);
}

result<id_payload> parse_domain(std::string_view text) {
  const bool letters = std::ranges::all_of(
      text, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_'; });
  const auto last = text.substr(text.rfind('.') + 1);
  const bool numeric = std::ranges::all_of(last, [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!letters || text.starts_with('.') || text.contains("..") || text.size() > 255 || (numeric && text.contains('.')))
    return failure(
        "is no identity: a domain name, user@domain, an address, a distinguished name (\"CN=hq, O=Example\"), or "
        "\"keyid:\" and hexadecimal digits");
  return with_text(id_type::fqdn, text);
}

}  // namespace

result<id_payload> parse_identity(const std::string& text) {
  if (text.empty() || text.size() > text_limit)
    return failure("an identity has 1 to " + std::to_string(text_limit) + " characters");
  const auto shown = [&text] { return "\"" + shown_text(with_text({}, text).data) + "\" "; };
  const auto with_subject = [&shown](result<id_payload> id) -> result<id_payload> {
    if (!id) return failure(shown() + id.error().reason);
    return id;
  };
  if (text.starts_with("keyid:")) return with_subject(parse_key_id(std::string_view(text).substr(6)));
  if (text.contains('=')) return with_subject(parse_name(trimmed(text)));
  if (text.contains('@')) return with_subject(parse_mail_address(text));
  if (auto address = parse_ip_address(text))
    return id_payload{
        .type = address->family == ip_family::v4 ? id_type::ipv4 : id_type::ipv6,
        .data = bytes(address->bytes.begin(), address->bytes.begin() + static_cast<long>(address->size()))};
  return with_subject(parse_domain(text));
}

std::string to_string(const id_payload& id) {
  switch (id.type) {
    case id_type::ipv4:
      if (id.data.size() == 4) return to_string(ip_address::from_bytes(ip_family::v4, id.data.data()));
      break;
    case id_type::ipv6:
      if (id.data.size() == 16) return to_string(ip_address::from_bytes(ip_family::v6, id.data.data()));
      break;
    case id_type::dn: {
      const auto name = decode_der<x509_name_ptr>(id.data, d2i_X509_NAME);
      ERR_clear_error();
      if (name) return to_string(name.get());
      break;
    }
    case id_type::key_id: {
      std::string out = "keyid:";
      constexpr char digits[] = "0123456789abcdef";
      for (auto byte : byte_view(id.data).first(std::min<std::size_t>(id.data.size(), 64))) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
      }
      return id.data.size() > 64 ? out + "..." : out;
    }
    case id_type::fqdn:
    case id_type::rfc822: return shown_text(id.data);
    case id_type::gn: break;
  }
  return "id type " + std::to_string(static_cast<unsigned>(id.type)) + " " + shown_text(id.data);
}

}  // namespace trunkgate::ike
