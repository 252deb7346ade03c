#include <algorithm>
#include <array>
#include <ctime>

#include "controlplane/cli/tunnel_text.hpp"

namespace trunkgate {

namespace {

// What either side can do about each kind of trouble. `here` is said beside the line of the configuration.
struct hint_row {
  std::string_view trouble, here, there;
};
constexpr std::array hints{
    hint_row{"peer_silent", "is the peer's address right, and does UDP 500 and 4500 pass on the way?",
             "is its IKE daemon running, and is our address allowed there?"},
    hint_row{"no_route", "give a route to the peer", ""},
    hint_row{"unknown_peer", "let a tunnel name the identity or address that the peer comes with",
             "let it come with the identity that is named here"},
    hint_row{"no_common_proposal", "offer what the peer takes", "let it take one of ours"},
    hint_row{"no_common_group", "offer a key exchange method that the peer has", "let it take one of ours"},
    hint_row{"peer_refused_ike", "", "its log says why it refused"},
    hint_row{"peer_not_authentic", "expect the identity, key or authority that the peer has",
             "give it the identity, key or certificate that is expected here"},
    hint_row{"peer_refused_us", "prove ourselves as the peer expects it: identity, pre-shared key or certificate",
             "its log says what it did not believe"},
    hint_row{"own_key", "the key or certificate that is named here", ""},
    hint_row{"no_common_child_proposal", "offer what the peer takes", "let it take one of ours"},
    hint_row{"selectors_unacceptable", "the networks of both sides must overlap",
             "it must have the same networks, swapped"},
    hint_row{"mode_differs", "the mode must be the peer's", "let it use ours"},
    hint_row{"peer_refused_child", "", "its log says why it refused"},
    hint_row{"key_exchange_refused",
             "offer the key exchange (PFS) that the peer has for this child, or none if it has none",
             "let it take ours for this child"},
    hint_row{"post_quantum_key", "both sides need the same post-quantum key under the same id", "likewise"},
    hint_row{"protocol_error", "", "it broke the protocol: look for a newer version of it"},
    hint_row{"data_plane", "trunkgate show gateway, and the log of trunkgate-dataplane", ""},
    hint_row{"closed_by_peer", "", "its log says why it closed it"},
    hint_row{"closed_by_us", "", ""},
};

std::string clock_text(const json_object& from, const char* field, const char* format) {
  const auto found = from.find(field);
  if (found == from.end() || !found->is_number()) return "";
  const auto seconds = static_cast<std::time_t>(found->get<std::uint64_t>() / 1'000'000'000);
  std::tm local{};
  std::array<char, 32> buffer{};
  if (::localtime_r(&seconds, &local) == nullptr || std::strftime(buffer.data(), buffer.size(), format, &local) == 0)
    return "";
  return buffer.data();
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

std::string field(const json_object& from, const char* name) {
  const auto found = from.find(name);
  return found != from.end() && found->is_string() ? printable(found->get<std::string>()) : "";
}

std::string step_line(const std::string& exchange, bool ok, const std::string& text) {
  return "  " + padded(exchange, 16) + padded(ok ? "ok" : "FAIL", 6) + text + "\n";
}

std::string offer_line(std::string_view label, const std::string& words) {
  return words.empty() ? "" : "     " + padded(std::string(label), 20) + words + "\n";
}

std::string offer_lines(const json_object& offer) {
  const auto what = field(offer, "what"), chosen = field(offer, "chosen");
  auto out = "     " + what + "\n";
  const bool is_selectors = what.starts_with("selectors");
  out += offer_line(is_selectors ? "  ours" : "  we offered", words_text(offer, "ours", ", "));
  out += offer_line(is_selectors ? "  the peer's" : "  the peer offered", words_text(offer, "theirs", ", "));
  out += offer_line("  chosen", chosen);
  return out + offer_line("  they differ in", words_text(offer, "differ_in", ", "));
}

// The offers that a failure is about; of others only what was chosen matters, and that stands in the steps.
bool is_about(const json_object& offer, const json_object& failure) {
  const auto what = field(offer, "what"), path = field(failure, "path");
  if (!offer.value("differ_in", json_object::array()).empty()) return true;
  if (path.ends_with(".ike.proposals")) return what == "ike";
  const auto child = path.find(".children.");
  if (child == std::string::npos) return path.ends_with(".children") && what.starts_with("selectors");
  auto name = path.substr(child + 10);
  const auto word = name.find('.');
  const bool is_esp = word != std::string::npos && name.substr(word) == ".esp";
  name = name.substr(0, word);
  return what == "esp " + name || (what == "selectors " + name && !is_esp);
}

std::string certificate_lines(const json_object& record) {
  std::string out;
  if (const auto path = words_text(record, "certificate_path", " < "); !path.empty()) {
    out += "  the peer's certificate: " + path;
    if (const auto until = clock_text(record, "certificate_not_after_unix_ns", "%Y-%m-%d"); !until.empty())
      out += ", valid to " + until;
    if (const auto revocation = field(record, "revocation"); !revocation.empty()) out += ", revocation: " + revocation;
    out += "\n";
  }
  for (const auto& note : record.value("notes", json_object::array()))
    if (note.is_string()) out += "  note: " + printable(note.get<std::string>()) + "\n";
  return out;
}

std::string record_lines(const json_object& record, const json_object& about) {
  const auto begun = clock_text(record, "begun_unix_ns", "%H:%M:%S");
  auto out = "  " + (begun.empty() ? std::string("an attempt") : "at " + begun) + ", " +
             (record.value("initiator", false) ? "we began: " : "the peer began: ") + field(record, "local") + " -> " +
             field(record, "remote") + "\n";
  bool failed = false;
  for (const auto& step : record.value("steps", json_object::array())) {
    const auto sent = step.value("sent", 1);
    const auto took = step.value("took_ms", std::int64_t{0});
    auto text = field(step, "text");
    if (took > 0) text += ", " + std::to_string(took) + " ms";
    if (sent > 1) text += ", sent " + std::to_string(sent) + " times";
    failed |= !step.value("ok", true);
    out += step_line(field(step, "exchange"), step.value("ok", true), text);
  }
  if (about.is_object()) {
    if (!failed)
      out += step_line(field(about, "notify").empty() ? "then" : field(about, "notify"), false, field(about, "text"));
    for (const auto& offer : record.value("offers", json_object::array()))
      if (is_about(offer, about)) out += offer_lines(offer);
  }
  return out + certificate_lines(record);
}

std::string mending_lines(const json_object& failure, const locator& where) {
  const auto trouble = field(failure, "trouble"), path = field(failure, "path");
  const auto* row = std::ranges::find(hints, trouble, &hint_row::trouble);
  std::string here(row == hints.end() ? "" : row->here), there(row == hints.end() ? "" : row->there);
  if (here.empty() && there.empty() && path.empty()) return "";
  auto out = std::string(!here.empty() && !there.empty() ? "  Either side can mend it:\n" : "  To mend it:\n");
  if (!path.empty() || !here.empty()) {
    const auto place = path.empty() ? "" : where(path);
    out += "     here   " + (place.empty() ? "" : place + "  ") + path + (path.empty() || here.empty() ? "" : "  ") +
           here + "\n";
  }
  return there.empty() ? out : out + "     peer   " + there + "\n";
}

std::string warning_lines(const json_object& warning, const json_object& record, const locator& where) {
  auto out = "  warning: " + field(warning, "text") + "\n";
  if (field(warning, "trouble") == "key_exchange_refused")
    out +=
        "     The child that is up was made without this key exchange, as RFC 7296 wants it of the first one. It "
        "carries\n"
        "     packets until its lifetime ends; its rekey will then fail, and the child with it.\n";
  if (record.is_object())
    for (const auto& offer : record.value("offers", json_object::array()))
      if (is_about(offer, warning)) out += offer_lines(offer);
  return out + mending_lines(warning, where);
}

std::string head_lines(const json_object& said, std::uint64_t now_ns) {
  const auto state = field(said, "state"), since = clock_text(said, "since_unix_ns", "%H:%M:%S");
  auto out = field(said, "tunnel") + " is " + state;
  if (!since.empty()) out += " since " + since + " (" + age_since(said, "since_unix_ns", now_ns) + ")";
  out += ".";
  const auto failures = said.value("failures_in_a_row", 0);
  if (failures > 1) out += " The last " + std::to_string(failures) + " attempts failed.";
  if (const auto next = said.find("next_attempt_seconds"); next != said.end() && next->is_number())
    out += " The next attempt is in " + seconds_text(next->get<std::int64_t>()) + ".";
  return out + "\n";
}

}  // namespace

std::string explanation_text(const json_object& said, const locator& where, std::uint64_t now_ns) {
  auto out = head_lines(said, now_ns);
  const auto current = said.value("current", json_object()), failure = said.value("last_failure", json_object());
  const auto warnings = said.value("warnings", json_object::array());
  if (current.is_object()) {
    const auto why = current.value("failure", json_object());
    out += record_lines(current, warnings.empty() ? why : json_object());  // a warning tells its own offers
    for (const auto& warning : warnings) out += warning_lines(warning, current, where);
    if (warnings.empty() && why.is_object()) out += mending_lines(why, where);
  } else if (failure.is_object()) {
    const auto why = failure.value("failure", json_object());
    out += record_lines(failure, why);
    if (why.is_object()) out += mending_lines(why, where);
  } else if (const auto reason = field(said, "reason"); !reason.empty()) {
    const auto place = where(field(said, "path"));
    out += "  It " + (reason.starts_with("waits") ? "" : std::string("is ")) + reason +
           (place.empty() ? "" : "  " + place + "  " + field(said, "path")) + "\n";
  }
  if (current.is_object() && failure.is_object()) {
    const auto why = failure.value("failure", json_object());
    if (const auto when = clock_text(failure, "begun_unix_ns", "%H:%M:%S"); why.is_object())
      out += "  before, of the attempt at " + when + ": " + field(why, "text") + "\n";
  }
  for (const auto& stranger : said.value("strangers", json_object::array()))
    out += "  its address also asked for another tunnel at " + clock_text(stranger, "begun_unix_ns", "%H:%M:%S") +
           ": " + field(stranger.value("failure", json_object::object()), "text") + "\n";
  return out;
}

}  // namespace trunkgate
