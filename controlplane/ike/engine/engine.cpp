#include "controlplane/ike/engine/engine.hpp"

#include <algorithm>
#include <functional>
#include <string_view>

#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/followup.hpp"
#include "controlplane/ike/exchange/mobike.hpp"
#include "controlplane/ike/exchange/steps.hpp"
#include "controlplane/ike/wire/notify.hpp"

namespace trunkgate::ike {

namespace {

using namespace std::chrono_literals;
constexpr auto opening_limit = 30s;  // until a responder's IKE SA must be up
constexpr std::size_t strangers_kept = 32;
// A closed IKE SA still answers a repeated delete for as long as the peer may repeat it.
constexpr auto afterlife = 70s;
constexpr std::size_t leaving_limit = 100'000, unproved_limit = 1000;

std::size_t digest_of(byte_view datagram) {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(datagram.data()), datagram.size()});
}

// Ends that share different secrets, say by an ML-KEM ciphertext that was changed on its way (FIPS 203 6.3), notice it
// only in that nothing opens.
const char* why_still_opening(const ike_sa& sa) {
  if (sa.messages->counts().not_authentic == 0) return "the peer began with IKE_SA_INIT and did not go on";
  return "what came after IKE_SA_INIT does not open with our keys: the peer has others, or it was changed on the way";
}

}  // namespace

engine::engine(environment& outside, admission_limits limits) : outside_(outside), gate_(outside, limits) {}
engine::~engine() { abandon(); }

// ---- tunnels ----

void engine::configure(const std::vector<profile_pointer>& profiles) {
  std::vector<std::unique_ptr<tunnel>> next;
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < tunnels_.size(); ++i) places.emplace(tunnels_[i]->profile().settings.name, i);
  for (const auto& profile : profiles) {
    const auto place = places.find(profile->settings.name);
    const auto same = place == places.end() || !tunnels_[place->second]
                          ? tunnels_.end()
                          : tunnels_.begin() + static_cast<std::ptrdiff_t>(place->second);
    if (same == tunnels_.end()) {
      next.push_back(std::make_unique<tunnel>(outside_, *this, profile));
      continue;
    }
    if ((*same)->profile_shared() != profile) (*same)->use_profile(profile);
    next.push_back(std::move(*same));
  }
  for (auto& gone : tunnels_)
    if (gone) gone->stop();
  tunnels_.swap(next);
  by_name_.clear();
  by_peer_.clear();
  for (const auto& one : tunnels_) {
    by_name_[one->profile().settings.name] = one.get();
    by_peer_[one->profile().settings.peer].push_back(one.get());
  }
  const auto restored = take_over();
  for (const auto& one : tunnels_)
    if (!one->current() || restored.contains(one.get())) one->start();
}

void engine::changed(const ike_sa_pointer& sa) {
  if (on_change) on_change(sa);
}

tunnel* engine::find(const std::string& name) {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

void engine::reconnect(const std::string& name) {
  auto* one = find(name);
  if (one == nullptr) return;
  const bool wanted = one->wanted();
  one->stop();
  if (wanted) one->want();
}

std::vector<tunnel*> engine::tunnels() {
  std::vector<tunnel*> out;
  for (const auto& one : tunnels_) out.push_back(one.get());
  return out;
}

void engine::check_paths() {
  for (const auto& one : tunnels_) one->check_path();
}

void engine::abandon() {
  for (auto& [spi, one] : by_spi_) {
    one.sa->state = ike_state::closed;
    one.sa->owner = &nobody();
    one.sa->rival.reset();
    one.sa->followup.reset();
    one.sa->messages->on_request = nullptr;
    one.sa->messages->on_silence = nullptr;
    one.sa->messages->on_last_numbers = nullptr;
    one.sa->messages->on_position = nullptr;
    one.sa->messages->close();
  }
  by_spi_.clear();
  half_open_.clear();
  leaving_.clear();
}

// ---- datagrams ----

void engine::receive(const ike_path& path, byte_view datagram) {
  ++counts_.received;
  const auto head = parse_header(datagram);
  if (!head) {
    ++counts_.malformed;
    answer_unparsed(path, datagram, head.error());
    return;
  }
  if (head->exchange == exchange_type::ike_sa_init && !head->response && head->responder_spi == 0)
    return receive_init(path, *head, datagram);
  const auto own_spi = head->from_initiator ? head->responder_spi : head->initiator_spi;
  const auto found = by_spi_.find(own_spi);
  if (found == by_spi_.end()) {
    ++counts_.unknown_spi;
    return;
  }
  const auto sa = found->second.sa;  // whatever becomes of it meanwhile
  // Until the responder has chosen its SPI only the first exchange is for us.
  const bool first = sa->messages->responder_spi() == 0;
  const auto peer_spi = head->from_initiator ? head->initiator_spi : head->responder_spi;
  const auto known = sa->initiator ? sa->messages->responder_spi() : sa->messages->initiator_spi();
  if (!first && peer_spi != known) {
    ++counts_.unknown_spi;
    return;
  }
  sa->messages->take(datagram, *head, path);
}

void engine::receive_init(const ike_path& path, const header& head, byte_view datagram) {
  if (head.initiator_spi == 0 || head.message_id != 0 || !head.from_initiator) {
    ++counts_.malformed;
    return;
  }
  // The same request again: the same answer (RFC 7296 2.1).
  const init_key key{head.initiator_spi, path.remote.address, digest_of(datagram)};
  if (const auto again = half_open_.find(key); again != half_open_.end()) {
    const auto sa = by_spi_.at(again->second).sa;
    if (sa->opening) outside_.send(path, sa->opening->response);
    return;
  }
  const auto message = parse_message(datagram);
  if (!message || message->body_offset != 0) {
    ++counts_.malformed;
    if (!message) answer_unparsed(path, datagram, message.error());
    return;
  }
  switch (gate_.judge(path, head, message->clear)) {
    case admission::refused: ++counts_.refused_half_open; return;
    case admission::needs_cookie: {
      ++counts_.cookies_sent;
      const header answer{
          .initiator_spi = head.initiator_spi, .exchange = exchange_type::ike_sa_init, .response = true};
      outside_.send(
          path,
          encode_message(
              answer, {note(notify::cookie,
                            gate_.cookie_for(path, head, trunkgate::ike::find<nonce_payload>(message->clear)->data))}));
      return;
    }
    case admission::welcome: break;
  }
  failed_step why;
  const auto sa =
      answer_sa_init(outside_, *this, {.head = head, .datagram = datagram, .path = path}, message->clear, why);
  if (!sa) {
    if (why.what != trouble::none && gate_.may_note()) remember_stranger(path, why, message->clear);
    return;
  }
  ++counts_.answered_init;
  half_open_[key] = sa->own_spi();
  by_spi_.at(sa->own_spi()).half_open = true;
  gate_.opened(path.remote.address);
  sa->opening_timer.set(outside_.clock(), outside_.now() + opening_limit, [weak = std::weak_ptr(sa)] {
    if (const auto here = weak.lock()) close_ike_sa(here, failed(trouble::peer_silent, why_still_opening(*here)));
  });
}

void engine::add(const ike_sa_pointer& sa) {
  const auto spi = sa->own_spi();
  by_spi_[spi].sa = sa;
  const std::weak_ptr weak = sa;
  sa->messages->on_silence = [weak](const exchange_end& end, exchange_type) {
    const auto here = weak.lock();
    // RFC 7296 2.4. While it is being opened or closed those who do that see to it.
    if (!here || (!here->up() && here->state != ike_state::replaced)) return;
    spawn(here->outside, [](ike_sa_pointer silent, failed_step why) -> asio::awaitable<void> {
      close_ike_sa(silent, why);
      co_return;
    }(here, no_answer(end, "our request or liveness check")));
  };
  sa->messages->on_position = [this, weak] {
    if (const auto here = weak.lock()) changed(here);
  };
  sa->messages->on_last_numbers = [this, weak] {
    const auto here = weak.lock();
    if (auto* one = here ? owner_of(here) : nullptr) one->rekey_ike();
  };
  sa->messages->on_request = [this, spi](incoming request) {
    const auto found = by_spi_.find(spi);
    if (found == by_spi_.end()) return;
    found->second.inbox.push_back(std::move(request));
    if (std::exchange(found->second.working, true)) return;
    spawn(outside_, work(alive_, spi));
  };
}

// Requests of one IKE SA are answered one after the other.
asio::awaitable<void> engine::work(std::weak_ptr<bool> alive, std::uint64_t spi) {
  while (!alive.expired()) {
    const auto found = by_spi_.find(spi);
    if (found == by_spi_.end()) co_return;
    if (found->second.inbox.empty()) {
      found->second.working = false;
      co_return;
    }
    auto request = std::move(found->second.inbox.front());
    found->second.inbox.erase(found->second.inbox.begin());
    const auto sa = found->second.sa;
    follow_nat(sa, request.path);
    co_await answer_request(sa, std::move(request));
  }
}

// RFC 7296 2.23: a new request that is authentic comes from where the peer is now.
void engine::follow_nat(const ike_sa_pointer& sa, const ike_path& path) {
  if (!sa->up() || path == sa->path()) return;
  if (auto* one = owner_of(sa)) one->peer_moved(sa, path.remote);
}

void engine::settle_half_open(const ike_sa_pointer& sa) {
  const auto found = by_spi_.find(sa->own_spi());
  if (found == by_spi_.end() || !std::exchange(found->second.half_open, false)) return;
  // All that an initiator's SPI began stand together; they are few.
  for (auto one = half_open_.lower_bound({sa->messages->initiator_spi(), {}, 0});
       one != half_open_.end() && std::get<0>(one->first) == sa->messages->initiator_spi(); ++one)
    if (one->second == sa->own_spi()) {
      gate_.settled(std::get<1>(one->first));
      half_open_.erase(one);
      return;
    }
}

void engine::forget(const ike_sa_pointer& sa) {
  // It is not forgotten at once: what the peer repeats is answered for a while. Who never got as far as to prove who it
  // is gets no more of us than the first answers, or a flood would be kept longer than it lasts.
  const bool worth_it =
      sa->messages->is_protected() && (sa->opening == nullptr || sa->messages->position().expected_request > 1);
  if (!worth_it) return erase(sa->own_spi());
  if (sa->opening != nullptr) {
    unproved_.push_back(sa->own_spi());
    if (unproved_.size() > unproved_limit) {
      erase(unproved_.front());
      unproved_.pop_front();
    }
  }
  leaving_.emplace_back(outside_.now() + afterlife, sa->own_spi());
  if (leaving_.size() > leaving_limit) {
    erase(leaving_.front().second);
    leaving_.pop_front();
  }
  if (!leaving_timer_.waiting()) forget_due();
}

void engine::erase(std::uint64_t spi) {
  const auto found = by_spi_.find(spi);
  if (found == by_spi_.end()) return;
  found->second.sa->owner = &nobody();
  found->second.sa->messages->on_request = nullptr;
  found->second.sa->messages->on_position = nullptr;
  by_spi_.erase(found);
}

void engine::forget_due() {
  while (!leaving_.empty() && leaving_.front().first <= outside_.now()) {
    erase(leaving_.front().second);
    leaving_.pop_front();
  }
  if (!leaving_.empty()) leaving_timer_.set(outside_.clock(), leaving_.front().first, [this] { forget_due(); });
}

// What is wrong with the very first message is said to whoever sent it, in clear and without keeping anything: another
// version, or a critical payload that we do not know (RFC 7296 2.5, 2.21.1).
void engine::answer_unparsed(const ike_path& path, byte_view datagram, const parse_error& why) {
  constexpr std::uint8_t response = 0x20;
  const bool worth_it =
      why.notify == notify::invalid_major_version || why.notify == notify::unsupported_critical_payload;
  if (!worth_it || datagram.size() < header_size || (datagram[19] & response) != 0) return;
  // Read by hand: of another version only this much is sure.
  header answer{.initiator_spi = spi_number(datagram.first(8)),
                .responder_spi = spi_number(datagram.subspan(8, 8)),
                .exchange = static_cast<exchange_type>(datagram[18]),
                .response = true,
                .message_id = static_cast<std::uint32_t>(spi_number(datagram.subspan(20, 4)))};
  if (answer.responder_spi != 0 || !gate_.may_complain()) return;
  auto said = note(why.notify);
  if (why.critical_type != 0) said.data.push_back(why.critical_type);
  outside_.send(path, encode_message(answer, {std::move(said)}));
}

void engine::remember_stranger(const ike_path& path, const failed_step& why, const payloads& content) {
  negotiation_record record;
  record.begun = outside_.wall_time();
  record.local = to_string(path.local.address);
  record.remote = to_string(path.remote.address);
  if (const auto* offer = trunkgate::ike::find<sa_payload>(content)) {
    const auto here = candidates(path);
    record.offers.push_back(
        {.what = "ike", .ours = {}, .theirs = proposal_words(*offer), .chosen = {}, .differ_in = {}});
    if (!here.empty()) {
      const auto ours = make_offer(here.front()->ike().proposals, protocol_id::ike, {}, key_exchanges::kept);
      record.offers.back().ours = proposal_words(ours);
      for (const auto type : difference(ours, *offer))
        record.offers.back().differ_in.emplace_back(transform_type_name(type));
    }
  }
  record.failure = why;
  record.steps.push_back({.exchange = "IKE_SA_INIT", .ok = false, .text = why.text, .took = {}, .sent = 1});
  // It is about a tunnel of ours if only one may be meant.
  if (const auto here = candidates(path); here.size() == 1)
    if (auto* one = find(here.front()->settings.name); one != nullptr && !one->current()) one->refused(record);
  // A peer repeats itself while it hopes for a better answer.
  const auto same = [&](const auto& one) {
    return one.remote == record.remote && one.failure.what == record.failure.what;
  };
  std::erase_if(strangers_, same);
  if (strangers_.size() == strangers_kept) strangers_.pop_front();
  strangers_.push_back(std::move(record));
}

}  // namespace trunkgate::ike
