#include "controlplane/ike/sa/channel.hpp"

#include <algorithm>
#include <functional>
#include <string_view>

#include "controlplane/ike/wire/notify.hpp"

namespace trunkgate::ike {

namespace {

using namespace std::chrono_literals;

// Each wait is 1.6 times the one before, up to the longest, and varied by a tenth: 70 s in all until the peer counts as
// gone (RFC 7296 2.4 leaves the figures to us).
constexpr auto first_wait = 1000ms, longest_wait = 16'000ms;
constexpr unsigned tries = 8;

// A restarted process begins so far above the last IV that was written down: room for all that an earlier one could
// have sealed and not sent.
constexpr std::uint64_t iv_reserve = 1024;

// RFC 7383 2.5.1: what goes through nearly every path in one piece.
constexpr std::size_t fragment_datagram_v4 = 576 - 28, fragment_datagram_v6 = 1280 - 48;
constexpr std::size_t fragment_above = 1280 - 48;  // a message that is no longer than this is left whole
constexpr std::uint16_t fragments_limit = 128;
constexpr std::size_t reassemblies_limit = 4;
// RFC 7296 2.2: message numbers must not wrap. There is time enough from here on to rekey.
constexpr std::uint32_t last_numbers = 0xffff'0000;

std::size_t digest_of(byte_view datagram) {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(datagram.data()), datagram.size()});
}

}  // namespace

struct channel::question {
  explicit question(asio::any_io_executor loop) : slot(std::move(loop)) {}
  exchange_type exchange{};
  payloads content;
  std::uint32_t id = 0;
  bytes offered_spi;
  std::vector<bytes> datagrams;
  message_octets octets;
  unsigned sent = 0;
  timer_clock::time_point begun;
  timer again, no_better;
  std::optional<incoming> held;  // an answer that may be anybody's
  answer_slot<exchange_end> slot;
};

channel::channel(environment& outside, const ike_path& path, bool original_initiator, std::uint64_t initiator_spi,
                 std::uint64_t responder_spi)
    : outside_(outside),
      path_(path),
      original_initiator_(original_initiator),
      initiator_spi_(initiator_spi),
      responder_spi_(responder_spi),
      last_heard_(outside.now()) {}

void channel::protect_with(message_cipher out, message_cipher in) {
  out_.emplace(std::move(out));
  in_.emplace(std::move(in));
  std::exchange(detours_, {}).clear();
}

// ---- what outlives a restart ----

channel::kept channel::keep() const {
  kept out{.at = position(), .asked = last_, .answered = {}};
  if (asking_)
    out.asked = kept_request{.exchange = asking_->exchange,
                             .id = asking_->id,
                             .offered_spi = asking_->offered_spi,
                             .datagrams = asking_->datagrams};
  for (const auto& one : answered_) {
    if (is_open(one))
      out.at.expected_request = std::min(out.at.expected_request, one.id);
    else
      out.answered.push_back({.id = one.id, .digest = one.digest, .datagrams = one.datagrams});
  }
  return out;
}

void channel::resume(kept from) {
  next_request_ = from.at.next_request;
  expected_ = from.at.expected_request;
  next_iv_ = from.at.next_iv + iv_reserve;
  for (auto& one : from.answered)
    answered_.push_back({.id = one.id, .digest = one.digest, .datagrams = std::move(one.datagrams)});
  if (!from.asked) return;
  asking_ = std::make_shared<question>(outside_.loop());
  asking_->exchange = from.asked->exchange;
  asking_->id = from.asked->id;
  asking_->offered_spi = std::move(from.asked->offered_spi);
  asking_->datagrams = std::move(from.asked->datagrams);
}

asio::awaitable<std::optional<exchange_end>> channel::ask_again() {
  auto self = shared_from_this();
  if (!asking_ || asking_->sent != 0) co_return std::nullopt;
  const auto mine = asking_;
  mine->begun = outside_.now();
  asio::post(outside_.loop(), [self, mine] {
    if (self->asking_ == mine) self->send_question();
  });
  co_return co_await mine->slot.wait();
}

// ---- out ----

asio::awaitable<exchange_end> channel::request(exchange_type exchange, payloads content) {
  auto self = shared_from_this();
  auto mine = std::make_shared<question>(outside_.loop());
  mine->exchange = exchange;
  mine->content = std::move(content);
  if (closed_) co_return exchange_end{};
  if (next_request_ > last_numbers + 0xff00) co_return exchange_end{};
  queue_.push_back(mine);
  // The first datagram leaves only now, so that an answer cannot come before somebody waits for it.
  asio::post(outside_.loop(), [self] { self->start_next(); });
  co_return co_await mine->slot.wait();
}

// RFC 7296 2.3: we ask for no window of the peer's; one request is under way.
void channel::start_next() {
  if (asking_ || queue_.empty() || closed_) return;
  asking_ = std::move(queue_.front());
  queue_.erase(queue_.begin());
  asking_->id = next_request_++;
  count_numbers();
  last_.reset();
  if (const auto* offer = find<sa_payload>(asking_->content); offer != nullptr && !offer->proposals.empty())
    asking_->offered_spi = offer->proposals.front().spi;
  asking_->datagrams = pack(asking_->exchange, false, asking_->id, asking_->content, asking_->octets);
  asking_->content.clear();
  asking_->begun = outside_.now();
  send_question();
}

void channel::count_numbers() {
  if (next_request_ < last_numbers && expected_ < last_numbers) return;
  if (!std::exchange(last_said_, true) && on_last_numbers) on_last_numbers();
}

void channel::send_question() {
  auto& mine = *asking_;
  if (mine.sent == tries) return finish(std::exchange(mine.held, std::nullopt), silence::peer_is_silent);
  for (const auto& datagram : mine.datagrams) outside_.send(path_, datagram);
  if (mine.sent++ > 0) ++counts_.retransmitted;
  auto wait = std::chrono::duration_cast<std::chrono::microseconds>(first_wait);
  for (unsigned i = 1; i < mine.sent; ++i) wait = std::min<std::chrono::microseconds>(wait * 8 / 5, longest_wait);
  wait = wait * (90 + static_cast<long>(outside_.random_number() % 21)) / 100;
  mine.again.set(outside_.clock(), outside_.now() + wait, [this, self = weak_from_this()] {
    if (const auto here = self.lock()) send_question();
  });
}

void channel::finish(std::optional<incoming> answer, silence why) {
  const auto mine = std::exchange(asking_, nullptr);
  mine->again.cancel();
  mine->no_better.cancel();
  if (mine->exchange == exchange_type::create_child_sa || mine->exchange == exchange_type::ike_followup_ke)
    last_ = kept_request{.exchange = mine->exchange,
                         .id = mine->id,
                         .offered_spi = mine->offered_spi,
                         .datagrams = std::move(mine->datagrams)};
  exchange_end end{.answer = std::move(answer),
                   .why = why,
                   .request = std::move(mine->octets),
                   .took = outside_.now() - mine->begun,
                   .sent = mine->sent};
  if (!end.answer && why == silence::peer_is_silent && on_silence) on_silence(end, mine->exchange);
  mine->slot.say(std::move(end));
  asio::post(outside_.loop(), [self = shared_from_this()] { self->start_next(); });
}

void channel::close() {
  closed_ = true;
  if (asking_) finish(std::nullopt, silence::closed);
  for (auto& waiting : std::exchange(queue_, {})) waiting->slot.say({});
  early_.clear();
  reassembling_.clear();
}

std::vector<bytes> channel::pack(exchange_type exchange, bool response, std::uint32_t id, const payloads& content,
                                 message_octets& octets) {
  const header head{.initiator_spi = initiator_spi_,
                    .responder_spi = responder_spi_,
                    .exchange = exchange,
                    .from_initiator = original_initiator_,
                    .response = response,
                    .message_id = id};
  if (!out_) {
    octets.raw = encode_message(head, content);
    return {octets.raw};
  }
  const auto chain = encode_payloads(content);
  if (exchange == exchange_type::ike_intermediate) {
    octets.plain = encode_encrypted_front(head, chain.first, chain.data.size());
    octets.plain.insert(octets.plain.end(), chain.data.begin(), chain.data.end());
  }
  if (!fragments_allowed_ || header_size + 4 + out_->body_size(chain.data.size()) <= fragment_above)
    return {seal(head, chain.first, chain.data, 0, 0)};

  const std::size_t datagram =
      path_.remote.address.family == ip_family::v6 ? fragment_datagram_v6 : fragment_datagram_v4;
  std::size_t room = datagram - header_size - 8 - 4;  // SKF's header, the non-ESP marker
  while (header_size + 8 + 4 + out_->body_size(room) > datagram) --room;
  const auto total = static_cast<std::uint16_t>((chain.data.size() + room - 1) / room);
  std::vector<bytes> out;
  for (std::uint16_t number = 1; number <= total; ++number) {
    const auto part = byte_view(chain.data)
                          .subspan((number - 1) * room)
                          .first(std::min(room, chain.data.size() - (number - 1) * room));
    // RFC 7383 2.5: only the first fragment says what payload comes first.
    out.push_back(seal(head, number == 1 ? chain.first : payload_type::none, part, number, total));
  }
  return out;
}

bytes channel::seal(const header& head, payload_type first, byte_view plain, std::uint16_t fragment,
                    std::uint16_t fragments) {
  auto message = encode_encrypted_front(head, first, out_->body_size(plain.size()), fragment, fragments);
  if (on_position) on_position();
  out_->seal(message, plain, next_iv_++);
  return message;
}

message_octets channel::respond(const incoming& to, const payloads& content) {
  message_octets octets;
  const auto datagrams = pack(to.head.exchange, true, to.head.message_id, content, octets);
  for (auto& one : answered_)
    if (one.id == to.head.message_id) one.datagrams = datagrams;
  if (on_position) on_position();
  for (const auto& datagram : datagrams) outside_.send(to.path, datagram);
  return octets;
}

// Keeps what the answer to a request will be, in place of the oldest one.
void channel::remember(std::uint32_t id, std::size_t digest) {
  if (answered_.size() >= receive_window)
    if (const auto oldest = std::ranges::find_if_not(answered_, &is_open); oldest != answered_.end())
      answered_.erase(oldest);
  answered_.push_back({.id = id, .digest = digest, .datagrams = {}});
}

void channel::answered_first(const bytes& request, bytes response) {
  answered_.push_back({.id = 0, .digest = digest_of(request), .datagrams = {}});
  answered_.back().datagrams.push_back(std::move(response));
  expected_ = 1;
}

// ---- in ----

void channel::take(byte_view datagram, const header& head, const ike_path& from) {
  // RFC 7296 3.1: the I bit says who of us sent it.
  if (head.from_initiator == original_initiator_) {
    ++counts_.malformed;
    return;
  }
  if (head.response)
    take_response(datagram, head, from);
  else
    take_request(datagram, head, from);
}

void channel::take_response(byte_view datagram, const header& head, const ike_path& from) {
  if (!asking_ || asking_->id != head.message_id || asking_->exchange != head.exchange ||
      std::ranges::contains(detours_, digest_of(datagram))) {
    ++counts_.out_of_window;
    return;
  }
  auto whole = open(datagram, head, from);
  if (!whole) return;
  if (const auto wait = !in_ && patience ? patience(whole->content) : timer_clock::duration{}; wait.count() > 0)
    return hold(std::move(*whole), wait);
  // RFC 7296 2.6, 2.7: of IKE_SA_INIT the same number is asked again, and a copy of this answer is not the next one.
  if (!in_) detours_.push_back(digest_of(datagram));
  finish(std::move(whole), silence::closed);
}

// Of several the one that asks for the least patience counts: it is one that we can do something about.
void channel::hold(incoming answer, timer_clock::duration wait) {
  auto& mine = *asking_;
  const auto until = outside_.now() + wait;
  if (mine.held && mine.no_better.when() <= until) return;
  mine.held = std::move(answer);
  mine.no_better.set(outside_.clock(), until, [this, self = weak_from_this()] {
    const auto here = self.lock();
    if (!here || !asking_ || !asking_->held) return;
    detours_.push_back(digest_of(asking_->held->octets.raw));
    finish(std::exchange(asking_->held, std::nullopt), silence::closed);
  });
}

// RFC 7296 2.1: a retransmission is the same octets, and is answered by the same octets.
bool channel::repeat_answer(byte_view datagram, const header& head, const ike_path& from) {
  const auto digest = digest_of(datagram);
  for (const auto& one : answered_) {
    if (one.id != head.message_id) continue;
    if (one.digest == digest) {
      ++counts_.repeated_requests;
      for (const auto& again : one.datagrams) outside_.send(from, again);
    }
    return true;
  }
  return false;
}

void channel::take_request(byte_view datagram, const header& head, const ike_path& from) {
  if (repeat_answer(datagram, head, from)) return;
  if (closed_) return;
  if (!in_ || !listening_) {  // nobody asks us anything in clear
    ++counts_.not_authentic;
    return;
  }
  if (head.message_id < expected_ || head.message_id - expected_ >= receive_window ||
      early_.contains(head.message_id) || std::ranges::count_if(answered_, &is_open) >= receive_window) {
    ++counts_.out_of_window;
    return;
  }
  auto whole = open(datagram, head, from);
  if (!whole) return;
  // The first exchanges come one after the other: nobody asks the next without our answer to the one before.
  if (head.exchange == exchange_type::ike_auth || head.exchange == exchange_type::ike_intermediate)
    std::erase_if(answered_, [&](const auto& one) { return one.id < head.message_id; });
  early_.emplace(head.message_id, std::move(*whole));
  deliver_in_order();
}

// After a restart a later request may have its answer already.
void channel::skip_answered() {
  while (std::ranges::any_of(answered_, [this](const auto& one) { return one.id == expected_ && !is_open(one); }))
    ++expected_;
}

void channel::deliver_in_order() {
  for (auto next = early_.find(expected_); next != early_.end(); next = early_.find(expected_)) {
    auto request = std::move(next->second);
    early_.erase(next);
    ++expected_;
    skip_answered();
    count_numbers();
    if (request.wrong) {
      // RFC 7296 2.21.2, 2.5: whoever is authentic is told what is wrong with the request.
      const auto type = request.wrong->notify != 0 ? request.wrong->notify : notify::invalid_syntax;
      notify_payload why{.type = type, .data = {}, .spi = {}};
      if (request.wrong->critical_type != 0) why.data.push_back(request.wrong->critical_type);
      respond(request, {std::move(why)});
    } else if (on_request) {
      on_request(std::move(request));
    }
  }
}

std::optional<incoming> channel::open(byte_view datagram, const header& head, const ike_path& from) {
  auto outer = parse_message(datagram);
  if (!outer) {
    ++counts_.malformed;
    return std::nullopt;
  }
  incoming out{.head = head, .content = {}, .octets = {}, .path = from, .wrong = {}};
  if (!in_) {
    if (outer->body_offset != 0) return std::nullopt;
    out.content = std::move(outer->clear);
    out.octets.raw.assign(datagram.begin(), datagram.end());
    return out;
  }
  if (outer->body_offset == 0) {  // in clear where it must not be
    ++counts_.not_authentic;
    return std::nullopt;
  }
  auto inside = unwrap(datagram, *outer);
  if (!inside) return std::nullopt;
  if (!head.response) remember(head.message_id, inside->digest);
  auto content = parse_payloads(inside->first, inside->plain);
  if (!content) {
    ++counts_.malformed;
    out.wrong = std::move(content.error());
    return out;
  }
  if (head.exchange == exchange_type::ike_intermediate) {
    out.octets.plain = encode_encrypted_front(head, inside->first, inside->plain.size());
    out.octets.plain.insert(out.octets.plain.end(), inside->plain.begin(), inside->plain.end());
  }
  out.content = std::move(*content);
  return out;
}

std::optional<channel::opened> channel::unwrap(byte_view datagram, const outer_message& outer) {
  auto plain = in_->open(datagram, outer.body_offset);
  if (!plain) {
    ++counts_.not_authentic;
    return std::nullopt;
  }
  last_heard_ = outside_.now();
  if (outer.fragment == 0) return opened{outer.first_inside, std::move(*plain), digest_of(datagram)};
  return collect(datagram, outer, std::move(*plain));
}

// RFC 7383 2.6. Each part was authentic: only the peer itself can fill this, and only so far.
std::optional<channel::opened> channel::collect(byte_view datagram, const outer_message& outer, bytes part) {
  if (outer.fragments > fragments_limit) return std::nullopt;
  const std::pair which(outer.head.response, outer.head.message_id);
  if (!reassembling_.contains(which) && reassembling_.size() == reassemblies_limit)
    reassembling_.erase(reassembling_.begin());
  auto& pile = reassembling_[which];
  // Smaller parts, for a path that is narrower than thought, begin the whole anew.
  if (outer.fragments > pile.total) pile = {.parts = {}, .total = outer.fragments, .size = 0, .whole = {}};
  if (outer.fragments < pile.total) return std::nullopt;
  // A retransmission is known by its first fragment (RFC 7383 2.6.1).
  if (outer.fragment == 1) pile.whole = {outer.first_inside, {}, digest_of(datagram)};
  if (pile.parts.contains(outer.fragment)) return std::nullopt;
  if (pile.size + part.size() > message_limit) {
    reassembling_.erase(which);
    return std::nullopt;
  }
  pile.size += part.size();
  pile.parts.emplace(outer.fragment, std::move(part));
  if (pile.parts.size() != pile.total) return std::nullopt;
  auto whole = std::move(pile.whole);
  for (const auto& [number, octets] : pile.parts) whole.plain.insert(whole.plain.end(), octets.begin(), octets.end());
  reassembling_.erase(which);
  return whole;
}

}  // namespace trunkgate::ike
