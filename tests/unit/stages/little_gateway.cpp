#include "tests/unit/stages/little_gateway.hpp"

#include <algorithm>
#include <stdexcept>

#include <gtest/gtest.h>
#include <rte_mempool.h>

#include "drivers/port/eal.hpp"

namespace trunkgate::test {
namespace {

template <class T>
T must(result<T> made) {
  if (!made) throw std::runtime_error(made.error().reason);
  return std::move(*made);
}

ip_prefix prefix(const char* text) { return parse_ip_prefix(text).value(); }

}  // namespace

void start_test_eal() {
  static const eal_report started = must(start_eal({.hugepages = false, .memory_mb = 512, .pci_devices = {}}));
  (void)started;
}

const crypto_engines& engines() {
  static const crypto_engines started = must(crypto_engines::start());
  return started;
}

bytes some_key(esp_suite suite, std::uint8_t first) { return filled(info(suite).key_material(), first); }

void set_prefixes(api::sa_record& record, std::initializer_list<const char*> local,
                  std::initializer_list<const char*> remote) {
  record.local_count = record.remote_count = 0;
  for (const auto* text : local) record.local_ranges[record.local_count++] = prefix(text);
  for (const auto* text : remote) record.remote_ranges[record.remote_count++] = prefix(text);
}

api::sa_record sa_between(api::sa_direction direction, esp_suite suite, std::uint32_t spi) {
  api::sa_record record;
  record.tunnel = record.child = api::name("test");
  record.direction = direction;
  record.suite = suite;
  record.spi = spi;
  record.local = address("192.0.2.1");
  record.remote = address("192.0.2.2");
  set_prefixes(record, {"10.1.0.0/16", "fd01::/64"}, {"10.2.0.0/16", "fd02::/64"});
  const auto key = some_key(suite);
  record.key_length = static_cast<std::uint8_t>(key.size());
  std::copy(key.begin(), key.end(), record.key.begin());
  return record;
}

little_gateway::little_gateway(const gateway_options& options) : buffers_(options.buffers) {
  start_test_eal();
  static unsigned made = 0;
  // No per-thread cache: at the end every buffer must be back.
  pool_ = rte_pktmbuf_pool_create(("test" + std::to_string(made++)).c_str(), buffers_, 0, sizeof(packet_meta),
                                  packet_headroom + 2048, SOCKET_ID_ANY);
  if (pool_ == nullptr) throw std::runtime_error("no packet buffers");
  store_ = must(sequence_store::open());
  rcu_ = must(rcu_domain::make(options.workers));
  tables_ = std::make_unique<forwarding_tables>(*rcu_);
  tables_->routes = must(fib::make(*rcu_, tables_->generation, 1024));
  tables_->selectors = selector_table::make(*rcu_);
  pipeline_ = must(pipeline::make(*tables_, {.workers = options.workers,
                                             .busy_poll = options.busy_poll,
                                             .flow_entries = 4096,
                                             .pool = pool_,
                                             .engines = options.engines != nullptr ? options.engines : &engines()}));
  for (const std::uint16_t port : {inside, outside}) {
    const std::uint16_t queues = port == outside && options.outside_has_one_queue ? 1 : options.workers;
    auto wire = std::make_unique<memory_port>(port == inside ? inside_mac : outside_mac, queues);
    wires_[port] = wire.get();
    tables_->ports[port].device = must(pipeline_->add_device(std::move(wire)));
  }
  fill_tables();
}

void little_gateway::fill_tables() {
  auto& routes = *tables_->routes;
  const auto route = [&](const char* destination, route_verdict verdict, std::uint16_t port, const char* via) {
    const fib::next_hop hop{port, via != nullptr ? address(via) : ip_address{}};
    const bool forward = verdict == route_verdict::forward;
    if (auto added = routes.add_route(prefix(destination), verdict, 0, {&hop, forward ? 1u : 0u}); !added)
      throw std::runtime_error(added.error().reason);
  };
  for (const auto* own : {"10.1.0.1", "fd01::1", "192.0.2.1", "2001:db8::1"})
    route(own, route_verdict::local, 0, nullptr);
  route("10.1.0.0/16", route_verdict::forward, inside, nullptr);
  route("fd01::/64", route_verdict::forward, inside, nullptr);
  route("192.0.2.0/24", route_verdict::forward, outside, nullptr);
  route("2001:db8::/64", route_verdict::forward, outside, nullptr);
  route("0.0.0.0/0", route_verdict::forward, outside, "192.0.2.2");
  route("::/0", route_verdict::forward, outside, "2001:db8::2");
  route("10.66.0.0/16", route_verdict::unreachable, 0, nullptr);
  for (const auto* host : {"10.1.0.2", "fd01::2"}) routes.set_neighbour(inside, address(host), host_mac, true, false);
  for (const auto* peer : {"192.0.2.2", "192.0.2.3", "2001:db8::2"})
    routes.set_neighbour(outside, address(peer), peer_mac, true, false);
  routes.commit();
  for (const std::uint16_t port : {inside, outside}) {
    auto& entry = tables_->ports[port];
    entry.mac = port == inside ? inside_mac : outside_mac;
    std::uint32_t v4 = 0;
    std::uint64_t v6[2] = {};
    std::copy_n(address(port == inside ? "10.1.0.1" : "192.0.2.1").bytes.begin(), 4,
                reinterpret_cast<std::uint8_t*>(&v4));
    std::copy_n(address(port == inside ? "fd01::1" : "2001:db8::1").bytes.begin(), 16,
                reinterpret_cast<std::uint8_t*>(v6));
    entry.ipv4 = v4;
    entry.ipv6[0] = v6[0];
    entry.ipv6[1] = v6[1];
    entry.up = true;
    entry.present = true;
  }
}

little_gateway::~little_gateway() {
  pipeline_->stop();
  pipeline_.reset();
  tables_->rules.store(nullptr);
  tables_->selectors.reset();
  rcu_->reclaim();
  EXPECT_EQ(rte_mempool_avail_count(pool_), buffers_) << "packet buffers got lost";
  rte_mempool_free(pool_);
}

outbound_sa& little_gateway::add_outbound(api::sa_record record, std::uint16_t owner) {
  outbound_.push_back(must(make_outbound_sa(record, *pipeline_->options().engines, *store_, owner)));
  auto& sa = *outbound_.back();
  if (names_ports(sa.record)) ++tables_->sas_naming_ports;
  tables_->selectors->add(sa.record, &sa, {.worker = sa.record.worker});
  tables_->outbound.insert({sa.record.remote, sa.record.spi}, &sa);
  ++tables_->generation;
  return sa;
}

inbound_sa& little_gateway::add_inbound(api::sa_record record, std::uint16_t owner) {
  inbound_.push_back(must(make_inbound_sa(record, *pipeline_->options().engines, *store_, owner)));
  auto& sa = *inbound_.back();
  if (names_ports(sa.record)) ++tables_->sas_naming_ports;
  tables_->inbound.insert(sa.record.spi, &sa);
  ++tables_->generation;
  return sa;
}

void little_gateway::add_rule(const char* source, const char* destination, api::policy_action action) {
  api::policy_record record;
  record.policy = api::name("rule");
  if (source != nullptr) record.source = prefix(source);
  if (destination != nullptr) record.destination = prefix(destination);
  record.action = action;
  add_rule(record);
}

void little_gateway::add_rule(const api::policy_record& record) {
  rules_.push_back({.record = record, .from = no_port, .to = no_port, .flows = &rule_flows_});
  auto built = must(operator_rules::build(rules_));
  tables_->rules.store(built.get());
  ++tables_->generation;
  compiled_ = std::move(built);
}

rte_mbuf* little_gateway::buffer(const bytes& content) {
  auto* packet = rte_pktmbuf_alloc(pool_);
  if (packet == nullptr) throw std::runtime_error("no buffer");
  auto* room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(content.size()));
  if (room == nullptr) throw std::runtime_error("too long for a buffer");
  std::copy(content.begin(), content.end(), reinterpret_cast<std::uint8_t*>(room));
  meta(packet) = packet_meta{};
  return packet;
}

void little_gateway::receive_frame(std::uint16_t port, const bytes& frame, std::uint16_t queue) {
  if (!wires_[port]->deliver(buffer(frame), queue)) throw std::runtime_error("the wire is full");
}

void little_gateway::receive(std::uint16_t port, const bytes& ip, std::uint16_t queue) {
  receive_frame(port, frame_of(port == inside ? inside_mac : outside_mac, port == inside ? host_mac : peer_mac, ip),
                queue);
}

void little_gateway::run() {
  for (std::size_t moved = 1; moved != 0;) {
    moved = 0;
    for (const auto& w : pipeline_->workers()) moved += w->turn();
  }
}

std::vector<bytes> little_gateway::sent_frames(std::uint16_t port) {
  std::vector<bytes> frames;
  while (auto* packet = wires_[port]->take()) frames.push_back(content_of(packet));
  return frames;
}

std::vector<bytes> little_gateway::sent(std::uint16_t port) {
  auto frames = sent_frames(port);
  for (auto& frame : frames) frame.erase(frame.begin(), frame.begin() + 14);
  return frames;
}

std::vector<bytes> little_gateway::punted() {
  std::vector<bytes> frames;
  rte_mbuf* packet = nullptr;
  for (const auto& w : pipeline_->workers())
    while (w->punted.take(&packet, 1) == 1) frames.push_back(content_of(packet));
  return frames;
}

std::uint64_t little_gateway::drops(drop_reason reason) const {
  std::uint64_t sum = 0;
  for (const auto& w : pipeline_->workers()) sum += w->context().drops[static_cast<std::size_t>(reason)].get();
  return sum;
}

std::uint64_t little_gateway::all_drops() const {
  std::uint64_t sum = 0;
  for (const auto& row : drop_reasons) sum += drops(row.reason);
  return sum;
}

std::vector<bytes> little_gateway::waiting_at(stage_id stage) {
  auto& queue = context().queues[static_cast<std::size_t>(stage)];
  std::vector<bytes> packets;
  for (std::size_t i = 0; i < queue.count; ++i) packets.push_back(content_of(queue.packets[i]));
  queue.count = 0;
  return packets;
}

bytes frame_of(const mac_address& destination, const mac_address& source, const bytes& ip, std::uint16_t vlan) {
  const auto ethertype = be(ip.at(0) >> 4 == 6 ? 0x86dd : 0x0800, 2);
  return join({{destination.begin(), destination.end()},
               {source.begin(), source.end()},
               vlan == 0 ? bytes{} : join({{0x81, 0}, be(vlan, 2)}),
               ethertype,
               ip});
}

bytes content_of(rte_mbuf* packet) {
  const auto* at = rte_pktmbuf_mtod(packet, const std::uint8_t*);
  bytes content(at, at + rte_pktmbuf_data_len(packet));
  rte_pktmbuf_free(packet);
  return content;
}

}  // namespace trunkgate::test
