// classify: what is this packet, whose is it, and is it ESP for this gateway?
#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/parse.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/ike_front.hpp"
#include "dataplane/stages/inbound_lookup.hpp"
#include "dataplane/stages/tell.hpp"

namespace trunkgate {
namespace {

std::uint16_t find_port(const forwarding_tables& tables, std::uint16_t device, std::uint16_t vlan) noexcept {
  for (std::uint16_t i = 0; i < device_port_limit; ++i) {
    const auto& port = tables.ports[i];
    if (port.present.load(std::memory_order_acquire) && port.device == device && port.vlan == vlan) return i;
  }
  return no_port;
}

// What the kernel sends into a tunnel's interface begins with the IP header.
drop_reason parse_interface_packet(rte_mbuf* packet, std::uint16_t& ethertype) noexcept {
  if (rte_pktmbuf_data_len(packet) == 0) return drop_reason::frame_truncated;
  ethertype = *rte_pktmbuf_mtod(packet, const std::uint8_t*) >> 4 == 4 ? ethertype_ipv4 : ethertype_ipv6;
  return drop_reason::none;
}

// Ethernet and 802.1Q: finds the port and the EtherType. rx left the device's number in `egress`.
drop_reason parse_frame(stage_context& context, rte_mbuf* packet, std::uint16_t& ethertype) noexcept {
  auto& m = meta(packet);
  const bool from_box = m.path == static_cast<std::uint8_t>(path_id::from_box);
  if (from_box && is_tunnel_port(m.egress)) return parse_interface_packet(packet, ethertype);
  const std::uint32_t size = rte_pktmbuf_data_len(packet);
  if (size < sizeof(ethernet_header)) return drop_reason::frame_truncated;
  const auto* frame = rte_pktmbuf_mtod(packet, const ethernet_header*);
  ethertype = frame->ethertype.host();
  m.l2_length = sizeof(ethernet_header);
  std::uint16_t vlan = 0;
  if (ethertype == ethertype_vlan) {
    if (size < sizeof(ethernet_header) + sizeof(vlan_header)) return drop_reason::frame_truncated;
    const auto* tag = rte_pktmbuf_mtod_offset(packet, const vlan_header*, sizeof(ethernet_header));
    vlan = tag->tag.host() & 0xfff;
    ethertype = tag->ethertype.host();
    m.l2_length += sizeof(vlan_header);
  }
  if (from_box) return drop_reason::none;  // our own kernel's
  m.ingress = find_port(context.tables, m.egress, vlan);
  m.egress = no_port;
  if (m.ingress == no_port) return drop_reason::frame_unknown_vlan;
  m.link_multicast = (frame->destination[0] & 1) != 0;
  if (!m.link_multicast && frame->destination != context.tables.ports[m.ingress].mac)
    return drop_reason::frame_not_for_us;
  return drop_reason::none;
}

drop_reason parse_network(rte_mbuf* packet, std::uint16_t ethertype) noexcept {
  auto& m = meta(packet);
  if (ethertype == ethertype_arp) {
    m.ip_version = 0;
    return drop_reason::none;
  }
  if (ethertype != ethertype_ipv4 && ethertype != ethertype_ipv6) return drop_reason::frame_unknown_ethertype;
  const std::span<const std::uint8_t> bytes{ip_header(packet),
                                            static_cast<std::size_t>(rte_pktmbuf_data_len(packet)) - m.l2_length};
  const bool checksum_good = (packet->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
  if (const auto wrong = parse_ip(bytes, m, checksum_good); wrong != drop_reason::none) return wrong;
  if ((m.ip_version == 4) != (ethertype == ethertype_ipv4)) return drop_reason::ip_bad_version;
  if (m.path != static_cast<std::uint8_t>(path_id::from_box) && source_is_martian(bytes, m.ip_version))
    return drop_reason::ip_martian_source;
  if (bytes.size() > m.ip_length) rte_pktmbuf_trim(packet, static_cast<std::uint16_t>(bytes.size() - m.ip_length));
  return drop_reason::none;
}

// The device's untagged port, looked up once for as long as packets of one device follow each other.
struct untagged_port {
  std::uint16_t device = no_port, port = no_port;
  std::uint64_t mac = 0;  // first byte lowest
};

void look_up(const forwarding_tables& tables, std::uint16_t device, untagged_port& known) noexcept {
  known = {.device = device, .port = find_port(tables, device, 0)};
  if (known.port != no_port) std::memcpy(&known.mac, tables.ports[known.port].mac.data(), 6);
}

// The usual packet, in one go: untagged and to our MAC, whole IPv4 without options, UDP, TCP or ESP. Whatever is the
// least bit else goes the long way, which says what is wrong with it. True: its meta is as the long way would have left
// it.
bool classify_usual(const stage_context& context, rte_mbuf* packet, untagged_port& known) noexcept {
  auto& m = meta(packet);
  constexpr std::size_t front = sizeof(ethernet_header) + sizeof(ipv4_header);
  const std::size_t size = rte_pktmbuf_data_len(packet);
  if (m.path != static_cast<std::uint8_t>(path_id::outbound) || size < front + sizeof(udp_header)) return false;
  if (known.device != m.egress) look_up(context.tables, m.egress, known);
  const auto* frame = rte_pktmbuf_mtod(packet, const std::uint8_t*);
  std::uint64_t begin;
  std::memcpy(&begin, frame, sizeof begin);
  if (known.port == no_port || (begin & 0xffff'ffff'ffff) != known.mac) return false;
  const auto& ethernet = *reinterpret_cast<const ethernet_header*>(frame);
  const auto& ip = *reinterpret_cast<const ipv4_header*>(frame + sizeof ethernet);
  constexpr std::uint16_t any_fragment = ipv4_header::more_fragments | ipv4_header::offset_mask;
  if (ethernet.ethertype.host() != ethertype_ipv4 || ip.version_length != 0x45) return false;
  if ((ip.fragment.host() & any_fragment) != 0) return false;
  const std::uint16_t total = ip.total_length.host();
  if (total < sizeof ip + sizeof(udp_header) || total > size - sizeof ethernet) return false;
  const std::uint8_t network = ip.source[0];  // as source_is_martian()
  if (network == 0 || network == 127 || network >= 224) return false;
  const bool checksum_good = (packet->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
  if (!checksum_good && !checksum_is_right(ip)) return false;
  const std::size_t room = total - sizeof ip;
  const auto& udp = *reinterpret_cast<const udp_header*>(frame + front);
  const std::uint16_t destination_port = udp.destination.host();
  if (ip.protocol == protocol_udp) {
    const std::uint16_t length = udp.length.host();
    if (length < sizeof udp || length > room) return false;
  } else if (ip.protocol == protocol_tcp) {
    if (room < sizeof(tcp_header)) return false;
    const std::size_t length = reinterpret_cast<const tcp_header*>(&udp)->data_offset >> 4;
    if (length < 5 || length * 4 > room) return false;
  } else if (ip.protocol != protocol_esp) {
    return false;
  }
  m.ingress = known.port;
  m.egress = no_port;
  m.l2_length = sizeof ethernet;
  m.l4_offset = sizeof ip;
  m.ip_length = total;
  m.has_ports = ip.protocol != protocol_esp;
  m.source_port = m.has_ports ? udp.source.host() : std::uint16_t{0};
  m.destination_port = m.has_ports ? destination_port : std::uint16_t{0};
  m.ip_version = 4;
  m.protocol = ip.protocol;
  m.traffic_class = ip.traffic_class;
  if (size - sizeof ethernet > total)
    rte_pktmbuf_trim(packet, static_cast<std::uint16_t>(size - sizeof ethernet - total));
  return true;
}

// What the box says by IKE makes the answers to it known (see punt).
void note_own_ike(stage_context& context, rte_mbuf* packet) noexcept {
  const auto& m = meta(packet);
  if (m.protocol != protocol_udp || (m.source_port != port_ike && m.source_port != port_nat_traversal)) return;
  if (const auto message = ike_front_of(packet, m.source_port)) context.tables.ike.sent(*message);
}

// The ESP packets of a burst, each with the SPI by which its SA is to be found.
struct esp_burst {
  burst_array<rte_mbuf*> packets;
  burst_array<std::uint32_t> spis;
  std::size_t count = 0;
};

void send_on(stage_context& context, rte_mbuf* packet, inbound_sa* found) noexcept {
  auto& m = meta(packet);
  if (m.path == static_cast<std::uint8_t>(path_id::from_box)) {
    note_own_ike(context, packet);
    return context.go_on_to_selectors(packet, stage_id::classify);
  }
  const auto esp = judge_inbound(context.tables, packet, found);
  if (esp.drop != drop_reason::none) [[unlikely]]
    return drop_unmatched(context, packet, esp.drop);
  if (!esp.for_us) return context.go_on_to_selectors(packet, stage_id::classify);
  m.in_sa = esp.sa;
  m.in_udp = esp.in_udp;
  if (esp.sa != nullptr) esp.sa->prefetch();
  // Nothing for reassemble, as nearly always: a stage less. Who watches sees every stage.
  const bool short_way = !m.fragment && context.watch == nullptr;
  context.switch_path(packet, path_id::inbound_esp, short_way ? stage_id::reassemble : stage_id::classify);
}

// All packets of the burst that are sound; ESP waits for its SAs.
void parse(stage_context& context, std::span<rte_mbuf* const> burst, esp_burst& esp) noexcept {
  untagged_port known;
  for (std::size_t i = 0; i < burst.size(); ++i) {
    if (i + 4 < burst.size()) rte_prefetch0(rte_pktmbuf_mtod(burst[i + 4], const void*));
    auto* packet = burst[i];
    if (!classify_usual(context, packet, known)) {
      std::uint16_t ethertype = 0;
      auto wrong = parse_frame(context, packet, ethertype);
      if (wrong == drop_reason::none) wrong = parse_network(packet, ethertype);
      if (wrong != drop_reason::none) {
        context.drop(packet, wrong);
        continue;
      }
    }
    const std::uint32_t spi = spi_of(packet);
    if (spi == 0) {
      send_on(context, packet, nullptr);
      continue;
    }
    context.tables.inbound.prefetch_bucket(spi);
    esp.packets[esp.count] = packet;
    esp.spis[esp.count++] = spi;
  }
}

}  // namespace

void classify(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  esp_burst esp;
  parse(context, burst, esp);
  // One step for all before the next, as each waits for memory.
  burst_array<inbound_sa*> sas;
  for (std::size_t i = 0; i < esp.count; ++i) context.tables.inbound.prefetch_entry(esp.spis[i]);
  for (std::size_t i = 0; i < esp.count; ++i) {
    sas[i] = inbound_of(context.tables, esp.spis[i]);
    __builtin_prefetch(sas[i]);
  }
  for (std::size_t i = 0; i < esp.count; ++i) send_on(context, esp.packets[i], sas[i]);
}

}  // namespace trunkgate
