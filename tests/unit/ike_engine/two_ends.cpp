#include "tests/unit/ike_engine/two_ends.hpp"

#include <unistd.h>

#include <algorithm>

namespace trunkgate::ike::test {

namespace {

std::filesystem::path make_folder() {
  auto pattern = (std::filesystem::temp_directory_path() / "trunkgate-ike-XXXXXX").string();
  return mkdtemp(pattern.data());
}

ip_range range(const char* text) { return *parse_ip_range(text); }

}  // namespace

end::end(world& around_of, std::string address_text, const std::string& folder, std::uint32_t first_spi,
         admission_limits limits)
    : around(around_of),
      address(*parse_ip_address(address_text)),
      sas(first_spi),
      store(local_keystore(folder)),
      ike(std::make_unique<engine>(*this, limits)) {}

timer_clock::time_point end::now() const { return around.time; }
std::chrono::system_clock::time_point end::wall_time() const { return around.wall; }
void end::random(std::span<std::uint8_t> into) {
  for (auto& octet : into) octet = static_cast<std::uint8_t>(around.chance());
}
asio::any_io_executor end::loop() { return around.io.get_executor(); }
timers& end::clock() { return around.clock; }
void end::send(const ike_path& path, byte_view datagram) {
  if (before_send) before_send();
  ++around.sent;
  around.deliver(
      {.from = this, .path = {.local = path.remote, .remote = path.local}, .data = {datagram.begin(), datagram.end()}});
}
void end::send_keepalive(const ike_path&) { ++keepalives; }

world::world(admission_limits limits)
    : folder(make_folder()),
      wall(std::chrono::system_clock::now()),
      left(*this, "192.0.2.1", folder.string(), 0x10000, limits),
      right(*this, "192.0.2.2", folder.string(), 0x20000, limits) {
  write("t.psk", "correct horse battery staple\n");
}

world::~world() {
  left.ike.reset();
  right.ike.reset();
  io.restart();
  io.poll();
  std::filesystem::remove_all(folder);
}

void world::translate(packet& one) const {
  if (const auto here = nats.find(one.from); here != nats.end()) {
    one.path.remote.address = here->second.outside;
    one.path.remote.port = static_cast<std::uint16_t>(one.path.remote.port + here->second.shift);
  }
  for (const auto& [behind, how] : nats)
    if (one.path.local.address == how.outside && one.from != behind) {
      one.path.local.address = behind->address;
      one.path.local.port = static_cast<std::uint16_t>(one.path.local.port - how.shift);
    }
}

void world::deliver(packet one) {
  translate(one);
  log.push_back(one);
  if (on_way && !on_way(one)) return;
  const auto unlucky = [this] { return percent_ != 0 && trouble_chance_() % 100 < percent_; };
  if (unlucky()) return;
  const auto late = [&] { return delay + std::chrono::milliseconds(unlucky() ? trouble_chance_() % 1500 : 0); };
  if (unlucky()) hand_in(one, late());
  hand_in(one, late());
}

void world::hand_in(const packet& one, std::chrono::milliseconds after) {
  clock.at(time + after, [this, one] {
    end* to = one.path.local.address == left.address    ? &left
              : one.path.local.address == right.address ? &right
                                                        : nullptr;
    if (to != nullptr && to->ike) to->ike->receive(one.path, one.data);
  });
}

void world::disturb(unsigned percent, std::uint64_t seed) {
  percent_ = percent;
  trouble_chance_.seed(seed);
}

namespace {

std::string history(const end& one) {
  std::string out = "\n" + to_string(one.address) + ":";
  for (const auto& sa : one.ike->find("t") ? one.t().sas() : std::vector<ike_sa_pointer>{}) {
    for (const auto& step : sa->record.steps) out += "\n  " + step.exchange + (step.ok ? " " : " failed: ") + step.text;
    for (const auto& pair : sa->children)
      out += "\n  child " + std::to_string(pair->inbound_spi) + (pair->ours ? " ours" : "") +
             (pair->is_rekey ? " rekey" : "") + (pair->waiting_outbound ? " waits" : "") + " in state " +
             std::to_string(static_cast<int>(pair->state));
  }
  for (const auto& one_warning : one.ike->find("t") ? one.t().warnings() : std::vector<failed_step>{})
    out += "\n  warning " + one_warning.path + ": " + one_warning.text;
  return out;
}

}  // namespace

std::string world::history() const { return test::history(left) + test::history(right); }

::testing::AssertionResult world::clean(std::size_t pairs, std::size_t ike_sas) const {
  auto bad = ::testing::AssertionFailure() << history() << "\n";
  const auto whole = [](const remembering_sink& sink) {
    return static_cast<std::size_t>(
        std::ranges::count_if(sink.sas, [](const auto& one) { return one.second.inbound && one.second.outbound; }));
  };
  if (left.sas.sas.size() != pairs || right.sas.sas.size() != pairs || whole(left.sas) != pairs ||
      whole(right.sas) != pairs)
    return bad << "pairs installed: " << whole(left.sas) << " of " << left.sas.sas.size() << " at the left, "
               << whole(right.sas) << " of " << right.sas.sas.size() << " at the right";
  for (const auto& [spi, one] : left.sas.sas) {
    const auto other = right.sas.sas.find(one.outbound_spi);
    if (other == right.sas.sas.end() || other->second.outbound_spi != spi ||
        other->second.inbound_key != one.outbound_key || other->second.outbound_key != one.inbound_key)
      return bad << "a pair of the left is none of the right";
  }
  if (left.ike->ike_sas() != ike_sas || right.ike->ike_sas() != ike_sas)
    return bad << "IKE SAs: " << left.ike->ike_sas() << " and " << right.ike->ike_sas();
  if (left.ike->half_open() + right.ike->half_open() != 0) return bad << "half-open IKE SAs are left";
  if (clock.size() > 8 + 14 * (pairs + ike_sas)) return bad << clock.size() << " timers";
  return ::testing::AssertionSuccess();
}

traffic::traffic(world& around, std::string child) : around_(around), child_(std::move(child)) { tick(); }

void traffic::tick() {
  one_way(around_.left, around_.right);
  one_way(around_.right, around_.left);
  around_.clock.at(around_.time + 5ms, [this, running = running_] {
    if (*running) tick();
  });
}

void traffic::lose(const end& from, std::uint32_t spi) {
  if (lost++ != 0) return;
  first_loss =
      to_string(from.address) + " sent by " + std::to_string(spi) + " after " +
      std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(around_.time.time_since_epoch()).count()) +
      " ms" + around_.history();
}

void traffic::one_way(end& from, end& to) {
  ++sent;
  const auto* by = from.sas.leaving(child_);
  if (by == nullptr) {
    lose(from, 0);
    return;
  }
  around_.clock.at(around_.time + 10ms,
                   [this, running = running_, spi = by->outbound_spi, key = by->outbound_key, &to, &from] {
                     if (!*running) return;
                     const auto* in = to.sas.arriving(spi);
                     if (in == nullptr || in->inbound_key != key) lose(from, spi);
                   });
}

bool world::run(const std::function<bool()>& done, std::chrono::seconds limit) {
  const auto until = time + limit;
  for (;;) {
    io.restart();
    io.poll();
    if (done()) return true;
    const auto next = clock.next();
    if (!next || *next > until) {
      wall += std::chrono::duration_cast<std::chrono::system_clock::duration>(until - time);
      time = until;
      return done();
    }
    if (*next > time) {
      wall += std::chrono::duration_cast<std::chrono::system_clock::duration>(*next - time);
      time = *next;
    }
    clock.run_due(time);
  }
}

void world::run_for(std::chrono::milliseconds duration) {
  const auto until = time + duration;
  clock.at(until, [] {});  // not beyond it
  run([&] { return time >= until; }, std::chrono::ceil<std::chrono::seconds>(duration));
}

tunnel_settings world::settings(const end& here, const end& there) const {
  tunnel_settings out;
  out.name = "t";
  out.local = here.address;
  out.peer = there.address;
  auto& ike = out.ike.emplace();
  const bool is_left = &here == &left;
  ike.local_id = is_left ? "left.example" : "right.example";
  ike.remote_id = is_left ? "right.example" : "left.example";
  ike.psk = key_reference{.from = key_reference::kind::file, .name = "t.psk", .path = "tunnels.t.psk"};
  ike.proposals.push_back(*parse_ike_proposal("aes256gcm16-prfsha384-x25519"));
  ike.lifetime_seconds = 4 * 3600;
  ike.liveness_seconds = 30;
  ike.start = is_left ? start_mode::always : start_mode::answer;
  child_settings lan;
  lan.name = "lan";
  lan.local = {range(is_left ? "10.1.0.0/16" : "10.2.0.0/16")};
  lan.remote = {range(is_left ? "10.2.0.0/16" : "10.1.0.0/16")};
  lan.esp.push_back(*parse_esp_proposal("aes256gcm16-x25519-esn"));
  lan.soft.seconds = 3600;
  lan.hard.seconds = 3960;
  out.children.push_back(std::move(lan));
  return out;
}

void world::configure(end& here, const std::vector<tunnel_settings>& all) const {
  std::vector<profile_pointer> profiles;
  for (const auto& one : all) {
    auto profile = make_profile(one, folder.string(), true, {});
    ASSERT_TRUE(profile) << profile.error().reason;
    profiles.push_back(*profile);
  }
  here.ike->configure(profiles);
}

void world::begin(const std::function<void(tunnel_settings&, tunnel_settings&)>& change) {
  auto a = settings(left, right), b = settings(right, left);
  if (change) change(a, b);
  configure(right, {b});
  configure(left, {a});
}

bool world::joined(const std::string& child_name) const {
  const auto one_way = [&](const remembering_sink& from, const remembering_sink& to) {
    const auto* leaves = from.leaving(child_name);
    if (leaves == nullptr) return false;
    const auto* arrives = to.arriving(leaves->outbound_spi);
    return arrives != nullptr && arrives->inbound_key == leaves->outbound_key && arrives->suite == leaves->suite &&
           arrives->esn == leaves->esn && arrives->mode == leaves->mode;
  };
  return one_way(left.sas, right.sas) && one_way(right.sas, left.sas);
}

bool world::up() const { return joined("lan"); }

}  // namespace trunkgate::ike::test
