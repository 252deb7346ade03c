#include "controlplane/ike/sa/snapshot.hpp"

#include <algorithm>
#include <cstring>

#include "controlplane/ike/wire/reader.hpp"

namespace trunkgate::ike {

namespace {

constexpr std::uint32_t layout_version = 1;

// The same walk over the fields writes and reads them, so that the two can't differ. `archive` is one of:

// Writes into given memory; beyond its end it only counts as failed.
class putter {
 public:
  explicit putter(std::span<std::uint8_t> into) : into_(into) {}

  template <class Number>
  void number(const Number& value) {
    const auto plain = static_cast<std::uint64_t>(value);
    for (int shift = static_cast<int>(sizeof(Number)) * 8 - 8; shift >= 0; shift -= 8)
      octet(static_cast<std::uint8_t>(plain >> shift));
  }
  void octets(byte_view data) {
    number(static_cast<std::uint16_t>(data.size()));
    if (data.size() > 65535) failed_ = true;
    for (const auto one : data) octet(one);
  }
  void fixed(std::span<const std::uint8_t> data) {
    for (const auto one : data) octet(one);
  }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t size() const { return at_; }

 private:
  void octet(std::uint8_t value) {
    if (at_ == into_.size()) failed_ = true;
    if (!failed_) into_[at_++] = value;
  }
  std::span<std::uint8_t> into_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

class getter {
 public:
  explicit getter(byte_view from) : in_(from) {}

  template <class Number>
  void number(Number& value) {
    std::uint64_t plain = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i) plain = plain << 8 | in_.u8();
    value = static_cast<Number>(plain);
  }
  [[nodiscard]] byte_view octets() { return in_.take(in_.u16()); }
  void fixed(std::span<std::uint8_t> into) {
    const auto part = in_.take(into.size());
    if (!part.empty()) std::memcpy(into.data(), part.data(), part.size());
  }
  void refuse() { refused_ = true; }
  [[nodiscard]] bool failed() const { return refused_ || in_.failed(); }
  [[nodiscard]] bool at_end() const { return in_.remaining() == 0; }

 private:
  wire::reader in_;
  bool refused_ = false;
};

// Limits of what is read: a record is no place to make memory of.
constexpr std::size_t list_limit = 256;

template <class Number>
void walk_number(putter& to, const Number& value) {
  to.number(value);
}
template <class Number>
void walk_number(getter& from, Number& value) {
  from.number(value);
}

// An enumeration or truth value of at most `last`.
template <class Value>
void walk_choice(putter& to, const Value& value, std::uint8_t) {
  to.number(static_cast<std::uint8_t>(value));
}
template <class Value>
void walk_choice(getter& from, Value& value, std::uint8_t last) {
  std::uint8_t plain = 0;
  from.number(plain);
  if (plain > last) return from.refuse();
  value = static_cast<Value>(plain);
}

template <class... Flags>
void walk_flags(auto& archive, Flags&... flags) {
  (walk_choice(archive, flags, 1), ...);
}

void walk(putter& to, const bytes& value) { to.octets(value); }
void walk(getter& from, bytes& value) {
  const auto part = from.octets();
  value.assign(part.begin(), part.end());
}
void walk(putter& to, const secret& value) { to.octets(value.bytes()); }
void walk(getter& from, secret& value) { value = secret(from.octets()); }
void walk(putter& to, const std::string& value) {
  to.octets({reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
}
void walk(getter& from, std::string& value) {
  const auto part = from.octets();
  value.assign(part.begin(), part.end());
}

template <class Value>
void walk_list(putter& to, const std::vector<Value>& list, auto&& each) {
  to.number(static_cast<std::uint16_t>(list.size()));
  for (const auto& one : list) each(to, one);
}
template <class Value>
void walk_list(getter& from, std::vector<Value>& list, auto&& each) {
  std::uint16_t count = 0;
  from.number(count);
  if (count > list_limit) return from.refuse();
  for (std::uint16_t i = 0; i < count && !from.failed(); ++i) each(from, list.emplace_back());
}

constexpr auto plainly = [](auto& archive, auto& value) { walk(archive, value); };

template <class Clock, class Duration>
void walk_time(putter& to, const std::chrono::time_point<Clock, Duration>& time) {
  to.number(std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}
template <class Clock, class Duration>
void walk_time(getter& from, std::chrono::time_point<Clock, Duration>& time) {
  std::int64_t plain = 0;
  from.number(plain);
  time =
      std::chrono::time_point<Clock, Duration>(std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(plain)));
}

void check_family(putter&, const ip_address&) {}
void check_family(getter& from, const ip_address& address) {
  using enum ip_family;
  if (address.family != none && address.family != v4 && address.family != v6) from.refuse();
}
void walk_address(auto& archive, auto& address) {
  walk_choice(archive, address.family, static_cast<std::uint8_t>(ip_family::v6));
  check_family(archive, address);
  archive.fixed(address.bytes);
}
void walk_endpoint(auto& archive, auto& end) {
  walk_address(archive, end.address);
  walk_number(archive, end.port);
}
void walk_transform(auto& archive, auto& one) {
  walk_choice(archive, one.type, static_cast<std::uint8_t>(transform_type::additional_ke7));
  walk_number(archive, one.id);
  walk_number(archive, one.key_bits);
}
void walk_selector(auto& archive, auto& one) {
  walk_number(archive, one.protocol);
  walk_number(archive, one.first_port);
  walk_number(archive, one.last_port);
  walk_address(archive, one.addresses.first);
  walk_address(archive, one.addresses.last);
}

void walk_optional(putter& to, const std::optional<std::uint16_t>& value) {
  to.number(static_cast<std::uint8_t>(value ? 1 : 0));
  to.number(value.value_or(0));
}
void walk_optional(getter& from, std::optional<std::uint16_t>& value) {
  bool there = false;
  std::uint16_t plain = 0;
  walk_choice(from, there, 1);
  from.number(plain);
  if (there)
    value = plain;
  else if (plain != 0)
    from.refuse();
}

void walk_request(auto& archive, auto& one) {
  walk_choice(archive, one.exchange, static_cast<std::uint8_t>(exchange_type::ike_followup_ke));
  walk_number(archive, one.id);
  walk(archive, one.offered_spi);
  walk_list(archive, one.datagrams, plainly);
}

void make_room(putter&, const std::optional<channel::kept_request>&) {}
void make_room(getter&, std::optional<channel::kept_request>& value) { value = channel::kept_request{}; }

void walk_messages(auto& archive, auto& messages) {
  walk_number(archive, messages.at.next_request);
  walk_number(archive, messages.at.expected_request);
  walk_number(archive, messages.at.next_iv);
  bool asked = messages.asked.has_value();
  walk_choice(archive, asked, 1);
  if (asked) {
    make_room(archive, messages.asked);
    walk_request(archive, *messages.asked);
  }
  walk_list(archive, messages.answered, [](auto& to, auto& one) {
    walk_number(to, one.id);
    walk_number(to, one.digest);
    walk_list(to, one.datagrams, plainly);
  });
}

void walk_child(auto& archive, auto& one) {
  walk(archive, one.name);
  archive.fixed(one.settings);
  walk_number(archive, one.inbound_spi);
  walk_number(archive, one.outbound_spi);
  walk_choice(archive, one.choice.suite, static_cast<std::uint8_t>(esp_suite_count - 1));
  walk_number(archive, one.key_exchange);
  walk_choice(archive, one.mode, static_cast<std::uint8_t>(child_mode::transport));
  const auto selector = [](auto& to, auto& each) { walk_selector(to, each); };
  walk_list(archive, one.selectors.local, selector);
  walk_list(archive, one.selectors.remote, selector);
  walk(archive, one.outdated);
  walk_flags(archive, one.choice.esn, one.ours, one.of_ike_auth, one.is_rekey, one.per_resource, one.deleting);
  walk_optional(archive, one.worker);
  walk(archive, one.waiting_outbound);
  walk(archive, one.lowest_nonce);
  walk_time(archive, one.since);
  walk_number(archive, one.rival);
}

void walk_record(auto& archive, auto& all) {
  walk_time(archive, all.begun);
  walk_time(archive, all.certificate_not_after);
  walk_flags(archive, all.record_initiator);
  for (auto* text : {&all.record_local, &all.record_remote, &all.record_peer_id, &all.peer_subject, &all.revocation})
    walk(archive, *text);
  walk_list(archive, all.certificate_path, plainly);
  walk_list(archive, all.notes, plainly);
}

void walk_all(auto& archive, auto& all) {
  walk(archive, all.tunnel);
  archive.fixed(all.settings);
  walk_choice(archive, all.state, static_cast<std::uint8_t>(ike_state::deleting));
  walk_flags(archive, all.initiator, all.began, all.superseded, all.no_more_queues, all.fragments, all.nat_known,
             all.nat_here, all.nat_there, all.mobike);
  walk_number(archive, all.initiator_spi);
  walk_number(archive, all.responder_spi);
  walk_number(archive, all.number);
  walk_time(archive, all.since);
  walk_time(archive, all.authenticated);
  walk_endpoint(archive, all.path.local);
  walk_endpoint(archive, all.path.remote);
  walk(archive, all.seen_as);
  walk_list(archive, all.peer_addresses, [](auto& to, auto& one) { walk_address(to, one); });
  walk_list(archive, all.chosen, [](auto& to, auto& one) { walk_transform(to, one); });
  for (auto* key : {&all.keys.d, &all.keys.ai, &all.keys.ar, &all.keys.ei, &all.keys.er, &all.keys.pi, &all.keys.pr})
    walk(archive, *key);
  walk_choice(archive, all.peer_id.type, 255);
  walk(archive, all.peer_id.data);
  walk(archive, all.lowest_nonce);
  walk_messages(archive, all.messages);
  walk_list(archive, all.children, [](auto& to, auto& one) { walk_child(to, one); });
  walk_record(archive, all);
}

}  // namespace

result<std::size_t> encode_snapshot(const ike_snapshot& from, std::span<std::uint8_t> into) {
  putter to(into);
  to.number(layout_version);
  walk_all(to, from);
  if (to.failed()) return failure("the record of an IKE SA is longer than " + std::to_string(into.size()) + " octets");
  return to.size();
}

result<ike_snapshot> decode_snapshot(byte_view from) {
  getter in(from);
  std::uint32_t version = 0;
  in.number(version);
  if (in.failed() || version != layout_version) return failure("the record is of another version");
  ike_snapshot out;
  walk_all(in, out);
  if (in.failed() || !in.at_end()) return failure("the record is damaged");
  if (out.state < ike_state::up) return failure("the record is of an IKE SA that was not up");
  return out;
}

}  // namespace trunkgate::ike
