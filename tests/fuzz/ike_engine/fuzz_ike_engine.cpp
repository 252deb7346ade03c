// Two engines and somebody in between: sequences of messages that are cut, changed, repeated, put out of order, or well
// formed under the right keys and wrong. Nothing may crash, memory stays bounded, and nobody who has not the keys takes
// an IKE SA down.
#include <cstdlib>

#include "controlplane/ike/exchange/steps.hpp"
#include "tests/unit/ike_engine/two_ends.hpp"

namespace {

using namespace trunkgate;
using namespace trunkgate::ike;
using namespace trunkgate::ike::test;

void demand(bool holds) {
  if (!holds) std::abort();
}

struct script {
  const std::uint8_t* data;
  std::size_t size;
  std::uint8_t octet() { return size == 0 ? std::uint8_t{0} : (--size, *data++); }
  std::uint16_t number() { return static_cast<std::uint16_t>(octet() << 8 | octet()); }
  bytes octets(std::size_t most) {
    bytes out(std::min<std::size_t>(octet() % (most + 1), size));
    for (auto& one : out) one = octet();
    return out;
  }
};

payload any_payload(script& in) {
  switch (in.octet() % 9) {
    case 0: return note(in.number(), in.octets(40));
    case 1: return nonce_payload{.data = in.octets(64)};
    case 2: return key_exchange_payload{.method = in.octet(), .data = in.octets(70)};
    case 3: return delete_payload{.protocol = protocol_id{static_cast<std::uint8_t>(in.octet() % 4)}, .spis = {}};
    case 4: return delete_payload{.protocol = protocol_id::esp, .spis = {spi_bytes(0x10000U + in.octet() % 8)}};
    case 5: {
      traffic_selector all;
      all.addresses = *parse_ip_range(in.octet() % 2 == 0 ? "10.0.0.0/8" : "0.0.0.0/0");
      all.first_port = in.number();
      all.last_port = in.number();
      all.protocol = in.octet();
      return ts_payload{.initiator = in.octet() % 2 == 0, .selectors = {all}};
    }
    case 6: {
      auto offer = make_offer({*parse_esp_proposal("aes256gcm16-x25519-esn")}, protocol_id::esp, in.octets(8),
                              key_exchanges::kept);
      return offer;
    }
    case 7:
      return make_offer({*parse_ike_proposal("aes256gcm16-prfsha384-x25519")}, protocol_id::ike, in.octets(8),
                        key_exchanges::kept);
    default:
      return notify_payload{.type = notify::rekey_sa,
                            .data = {},
                            .protocol = protocol_id::esp,
                            .spi = spi_bytes(0x20000U + in.octet() % 8)};
  }
}

// As the peer that has the keys and does what it likes.
void misbehave(end& from, script& in) {
  const auto sa = from.ike->find("t") ? from.sa() : nullptr;
  const auto exchange = exchange_type{static_cast<std::uint8_t>(34 + in.octet() % 11)};
  payloads all;
  for (int left = in.octet() % 6; left > 0; --left) all.push_back(any_payload(in));
  if (!sa) return;
  spawn(from, [](ike_sa_pointer over, exchange_type how, payloads what) -> asio::awaitable<void> {
    (void)co_await over->messages->request(how, std::move(what));
  }(sa, exchange, std::move(all)));
}

void forge(world& w, script& in, std::uint8_t how) {
  if (w.log.empty()) return;
  auto one = w.log[in.number() % w.log.size()];
  if (how == 0 && !one.data.empty())
    one.data[in.number() % one.data.size()] ^= static_cast<std::uint8_t>(in.octet() | 1);
  if (how == 1) one.data.resize(in.number() % (one.data.size() + 1));
  if (how == 2) one.path.remote.address.bytes[3] = in.octet();
  auto& to = one.path.local.address == w.left.address ? w.left : w.right;
  to.ike->receive(one.path, one.data);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 2000) return 0;
  script in{data, size};
  world w;
  const auto first = in.octet();
  w.begin([&](auto& a, auto& b) {
    if (first & 1) b.ike->start = start_mode::always;
    if (first & 2) a.ike->proposals = b.ike->proposals = {*parse_ike_proposal("aes128-sha256-x25519-ke1_ecp256")};
    if (first & 4) a.ike->childless = true;
  });
  const bool begun = (first & 8) == 0;
  if (begun) demand(w.run([&] { return w.up(); }, 20s));
  bool dishonest = false;  // one who has the keys
  while (in.size > 0) {
    switch (in.octet() % 10) {
      case 0: w.run_for(std::chrono::milliseconds(in.octet())); break;
      case 1: w.run_for(std::chrono::seconds(in.octet() % 32)); break;
      case 2: w.disturb(in.octet() % 40, in.octet()); break;
      case 3: forge(w, in, 0); break;
      case 4: forge(w, in, 1); break;
      case 5: forge(w, in, 2); break;
      case 6: forge(w, in, 3); break;
      case 7:
        dishonest = true;
        misbehave(in.octet() % 2 == 0 ? w.left : w.right, in);
        break;
      case 8: {
        auto& t = (in.octet() % 2 == 0 ? w.left : w.right).t();
        in.octet() % 2 == 0 ? t.rekey_child(0) : t.rekey_ike();
        break;
      }
      default: {
        const auto raw = in.octets(200);
        w.right.ike->receive({{w.right.address, 500}, {w.left.address, 500}}, raw);
      }
    }
    demand(w.right.ike->ike_sas() < 300 && w.left.ike->ike_sas() < 300 && w.clock.size() < 5000);
    demand(w.left.sas.sas.size() < 300 && w.right.sas.sas.size() < 300);
  }
  w.calm();
  if (!dishonest && begun && (first & 1) == 0) demand(w.left.t().counts().established <= 1);
  if (!dishonest) demand(w.run([&] { return w.up(); }, 900s));
  return 0;
}
