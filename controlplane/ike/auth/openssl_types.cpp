#include "controlplane/ike/auth/openssl_types.hpp"

#include <ctime>

#include <openssl/err.h>

namespace trunkgate::ike {

namespace {

constexpr std::size_t shown_limit = 256;

void append_shown(std::string& to, byte_view text, bool escape_separators) {
  constexpr char digits[] = "0123456789abcdef";
  for (auto c : text) {
    if (to.size() > shown_limit) {
      to += "...";
      return;
    }
    if (c < 0x20 || c > 0x7e) {
      to += {'\\', 'x', digits[c >> 4], digits[c & 15]};
      continue;
    }
    if (c == '\\' || (escape_separators && (c == ',' || c == '+'))) to += '\\';
    to += static_cast<char>(c);
  }
}

void append_entry(std::string& to, const X509_NAME_ENTRY* entry) {
  const ASN1_OBJECT* type = X509_NAME_ENTRY_get_object(entry);
  if (const int nid = OBJ_obj2nid(type); nid != NID_undef) {
    to += OBJ_nid2sn(nid);
  } else {
    char number[80] = "";
    OBJ_obj2txt(number, sizeof number, type, 1);
    to += number;
  }
  to += '=';
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
  if (size < 0) {
    ERR_clear_error();
    to += "?";
    return;
  }
  append_shown(to, {utf8, static_cast<std::size_t>(size)}, true);
  OPENSSL_free(utf8);
}

}  // namespace

x509_ptr parse_certificate(byte_view der) {
  auto certificate = decode_der<x509_ptr>(der, d2i_X509);
  ERR_clear_error();
  return certificate;
}

std::string to_string(const X509_NAME* name) {
  std::string out;
  int set = -1;
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    if (out.size() > shown_limit) return out + "...";
    const auto* entry = X509_NAME_get_entry(name, i);
    // Entries of one set are one name of several values.
    if (i > 0) out += X509_NAME_ENTRY_set(entry) == set ? "+" : ", ";
    set = X509_NAME_ENTRY_set(entry);
    append_entry(out, entry);
  }
  return out.empty() ? "(an empty name)" : out;
}

std::string shown_text(byte_view text) {
  std::string out;
  append_shown(out, text, false);
  return out;
}

std::optional<time_point> to_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

std::string to_date(time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32] = "";
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d", &parts)};
}

}  // namespace trunkgate::ike
