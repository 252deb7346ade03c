// The messages of one IKE SA: numbers, windows, retransmission, cached answers, fragments and protection (RFC 7296 2.1
// to 2.3 and 3.14, RFC 7383). What the messages mean is not its business.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/ike/crypto/message_cipher.hpp"
#include "controlplane/ike/sa/environment.hpp"
#include "controlplane/ike/wire/message.hpp"

namespace trunkgate::ike {

// A whole message, as AUTH and IntAuth want it.
struct message_octets {
  bytes raw;    // in clear: as it was on the wire
  bytes plain;  // protected: the header and SK's generic header as if nothing were encrypted, and the payloads
                // (RFC 9242 3.3.2)
};

struct incoming {
  header head;
  payloads content;
  message_octets octets;
  ike_path path;
  std::optional<parse_error> wrong;  // authentic, but not to be understood: a request is answered by the channel
};

// Why a request got no answer.
enum class silence : std::uint8_t { peer_is_silent, closed };
struct exchange_end {
  std::optional<incoming> answer;
  silence why = silence::closed;
  message_octets request;
  timer_clock::duration took{};
  unsigned sent = 1;  // how often
};

struct channel_counts {
  std::uint32_t retransmitted = 0, repeated_requests = 0, not_authentic = 0, out_of_window = 0, malformed = 0;
};

class channel : public std::enable_shared_from_this<channel> {
 public:
  static constexpr std::uint32_t receive_window = 4;  // requests of the peer that may be under way (SET_WINDOW_SIZE)

  channel(environment& outside, const ike_path& path, bool original_initiator, std::uint64_t initiator_spi,
          std::uint64_t responder_spi);

  // Sends a request once the ones before it are through, and waits for its answer.
  [[nodiscard]] asio::awaitable<exchange_end> request(exchange_type exchange, payloads content);
  // Answers a request that on_request was given. Returns what was sent.
  message_octets respond(const incoming& to, const payloads& content);

  // A datagram for this IKE SA.
  void take(byte_view datagram, const header& head, const ike_path& from);
  std::function<void(incoming)> on_request;  // each request once, in the order of the numbers
  // Requests are dropped until the peer has proved who it is; it will repeat them. A responder listens from the first
  // exchange on, because IKE_AUTH is a request.
  void listen() { listening_ = true; }

  // From now on; with IKE_INTERMEDIATE more than once.
  void protect_with(message_cipher out, message_cipher in);
  [[nodiscard]] bool is_protected() const { return out_.has_value(); }
  void set_responder_spi(std::uint64_t spi) { responder_spi_ = spi; }
  void allow_fragments() { fragments_allowed_ = true; }
  [[nodiscard]] bool fragments_allowed() const { return fragments_allowed_; }
  void set_path(const ike_path& path) { path_ = path; }
  [[nodiscard]] const ike_path& path() const { return path_; }

  // A request got no answer: the windows are stuck, nothing more can be asked (RFC 7296 2.1, 2.4).
  std::function<void(const exchange_end&, exchange_type)> on_silence;
  // The message numbers come to their end: the IKE SA must be replaced soon (RFC 7296 2.2). Said once.
  std::function<void()> on_last_numbers;

  // How long an answer in clear waits for a better one, because anybody can have sent it (RFC 7296 2.21.1); 0: it is
  // taken at once. The request is repeated meanwhile.
  std::function<timer_clock::duration(const payloads&)> patience;

  // No more of it: what waits ends with silence::closed; answers that are cached are still given.
  void close();
  [[nodiscard]] bool closed() const { return closed_; }

  // The message numbers start anew: after a cookie or INVALID_KE_PAYLOAD IKE_SA_INIT is still number 0.
  // An answer that sent us back is not taken a second time.
  void begin_again() { next_request_ = 0; }
  // A responder to IKE_SA_INIT has seen number 0, and answered it.
  void answered_first(const bytes& request, bytes response);

  [[nodiscard]] std::uint64_t initiator_spi() const { return initiator_spi_; }
  [[nodiscard]] std::uint64_t responder_spi() const { return responder_spi_; }
  [[nodiscard]] bool original_initiator() const { return original_initiator_; }
  [[nodiscard]] timer_clock::time_point last_heard() const { return last_heard_; }  // authentic
  [[nodiscard]] const channel_counts& counts() const { return counts_; }
  [[nodiscard]] bool idle() const { return !asking_ && queue_.empty(); }

  struct numbers {
    std::uint32_t next_request = 0, expected_request = 0;
    std::uint64_t next_iv = 0;
  };
  [[nodiscard]] numbers position() const { return {next_request_, expected_, next_iv_}; }
  // What keep() gives has changed. Called before the datagrams that belong to it are given to environment::send(): who
  // writes it down there has written it before the peer can know of it.
  std::function<void()> on_position;

  // What outlives a restart. A request of the peer's that has no answer yet is as one that never came: it comes again.
  struct kept_request {
    exchange_type exchange{};
    std::uint32_t id = 0;
    bytes offered_spi;  // of the first proposal in it: 4 octets: a child is to be made, 8: an IKE SA
    std::vector<bytes> datagrams;
  };
  struct kept_answer {
    std::uint32_t id = 0;
    std::uint64_t digest = 0;
    std::vector<bytes> datagrams;
  };
  struct kept {
    numbers at;
    std::optional<kept_request> asked;  // the last request, if what came of it may not be known yet
    std::vector<kept_answer> answered;
  };
  [[nodiscard]] kept keep() const;
  // Before anything else; then ask_again().
  void resume(kept from);
  // RFC 7296 2.1: sends the request that the earlier process had sent, octet by octet the same, until it is answered.
  // Nothing: there was none.
  [[nodiscard]] asio::awaitable<std::optional<exchange_end>> ask_again();

 private:
  struct question;
  struct answered {
    std::uint32_t id = 0;
    std::size_t digest = 0;        // of the request's first datagram
    std::vector<bytes> datagrams;  // empty: still being worked on
  };
  static bool is_open(const answered& one) { return one.datagrams.empty(); }
  struct opened {
    payload_type first{};
    bytes plain;
    std::size_t digest = 0;  // of the first datagram
  };
  struct reassembly {
    std::map<std::uint16_t, bytes> parts;
    std::uint16_t total = 0;
    std::size_t size = 0;
    opened whole;
  };

  [[nodiscard]] std::vector<bytes> pack(exchange_type exchange, bool response, std::uint32_t id,
                                        const payloads& content, message_octets& octets);
  [[nodiscard]] bytes seal(const header& head, payload_type first, byte_view plain, std::uint16_t fragment,
                           std::uint16_t fragments);
  [[nodiscard]] std::optional<incoming> open(byte_view datagram, const header& head, const ike_path& from);
  [[nodiscard]] std::optional<opened> unwrap(byte_view datagram, const outer_message& outer);
  [[nodiscard]] std::optional<opened> collect(byte_view datagram, const outer_message& outer, bytes part);
  void remember(std::uint32_t id, std::size_t digest);
  void take_request(byte_view datagram, const header& head, const ike_path& from);
  void take_response(byte_view datagram, const header& head, const ike_path& from);
  void skip_answered();
  [[nodiscard]] bool repeat_answer(byte_view datagram, const header& head, const ike_path& from);
  void deliver_in_order();
  void send_question();
  void start_next();
  void finish(std::optional<incoming> answer, silence why);
  void hold(incoming answer, timer_clock::duration wait);
  void count_numbers();

  environment& outside_;
  ike_path path_;
  bool original_initiator_, fragments_allowed_ = false, closed_ = false, listening_ = false, last_said_ = false;
  std::uint64_t initiator_spi_, responder_spi_;
  std::optional<message_cipher> out_, in_;
  std::uint64_t next_iv_ = 0;

  std::uint32_t next_request_ = 0, expected_ = 0;
  std::shared_ptr<question> asking_;
  std::optional<kept_request> last_;  // it was answered, and made an SA: until the next request
  std::vector<std::shared_ptr<question>> queue_;
  std::vector<answered> answered_;           // the last receive_window
  std::map<std::uint32_t, incoming> early_;  // requests that came before their turn
  std::vector<std::size_t> detours_;         // digests of answers that sent us back to the beginning
  std::map<std::pair<bool, std::uint32_t>, reassembly> reassembling_;
  timer_clock::time_point last_heard_;
  channel_counts counts_;
};

}  // namespace trunkgate::ike
