#include "config/plan.hpp"

namespace trunkgate {

namespace {

using enum plan_impact;

constexpr std::string_view restarts = "the data plane starts anew, in about half a second";
constexpr std::string_view reopens = "the port is opened anew: what arrives meanwhile is lost";
constexpr std::string_view new_child = "a new child SA with it, then the old one goes";
constexpr std::string_view sending = "at once; the peer need not know";
constexpr std::string_view next_rekey = "from the next rekey on";
constexpr std::string_view proves_again = "both ends prove anew who they are, make before break";
constexpr std::string_view elsewhere = "the tunnel comes up anew from other addresses";
constexpr std::string_view by_hand = "the SAs are replaced in one step: change both ends";
constexpr std::string_view at_once = "at once";

// A value without a row fails a test: whoever adds one says here what its change costs. A row for a map covers what is
// in the map.
constexpr impact_row rows[] = {
    {"gateway.name", update, at_once},
    {"gateway.workers", restart, restarts},
    {"gateway.busy_poll", restart, restarts},
    {"gateway.hugepages", restart, restarts},
    {"gateway.buffers", restart, restarts},
    {"gateway.flow_entries", restart, restarts},
    {"gateway.lab", none, "what is configured decides"},
    {"gateway.legacy", none, "what is configured decides"},

    {"monitoring.allow_key_export", none, "from the next export on"},

    {"ports.NAME.device", update, reopens},
    {"ports.NAME.addresses", update, reopens},
    {"ports.NAME.mtu", update, reopens},
    {"ports.NAME.vlan", update, reopens},
    {"ports.NAME.driver", update, reopens},

    {"routes[]", update, at_once},

    {"tunnels.NAME.local.address", reconnect, elsewhere},
    {"tunnels.NAME.local.id", reauth, proves_again},
    {"tunnels.NAME.local.certificate", reauth, proves_again},
    {"tunnels.NAME.local.key", reauth, proves_again},
    {"tunnels.NAME.peer", reconnect, elsewhere},
    {"tunnels.NAME.remote.id", reauth, proves_again},
    {"tunnels.NAME.remote.ca", reauth, proves_again},
    {"tunnels.NAME.remote.crl", reauth, proves_again},
    {"tunnels.NAME.remote.revocation", reauth, proves_again},
    {"tunnels.NAME.psk", reauth, proves_again},
    {"tunnels.NAME.ike.proposals", rekey, "a new IKE SA with it, make before break; its children stay"},
    {"tunnels.NAME.ike.lifetime", none, next_rekey},
    {"tunnels.NAME.ike.reauthenticate", none, "from the next time on"},
    {"tunnels.NAME.ike.liveness", update, sending},
    {"tunnels.NAME.ike.mobike", reauth, "is agreed on when both ends prove who they are"},
    {"tunnels.NAME.ike.childless", none, "from the next time that the tunnel comes up"},
    {"tunnels.NAME.ike.encapsulation", reauth, "is agreed on when the IKE SA is made"},
    {"tunnels.NAME.ike.post_quantum_key.id", reauth, proves_again},
    {"tunnels.NAME.ike.post_quantum_key.key", reauth, proves_again},
    {"tunnels.NAME.ike.post_quantum_key.required", reauth, proves_again},
    {"tunnels.NAME.start", update, sending},
    {"tunnels.NAME.udp_encapsulation", update, by_hand},
    {"tunnels.NAME.udp_encapsulation.local_port", update, by_hand},
    {"tunnels.NAME.udp_encapsulation.peer_port", update, by_hand},
    {"tunnels.NAME.interface.name", update, "another interface: routes into the old one are lost"},
    {"tunnels.NAME.interface.addresses", update, "the interface is made anew: routes into it are lost"},

    {"tunnels.NAME.children.NAME.mode", rekey, new_child},
    {"tunnels.NAME.children.NAME.local", rekey, new_child},
    {"tunnels.NAME.children.NAME.remote", rekey, new_child},
    {"tunnels.NAME.children.NAME.protocol", rekey, new_child},
    {"tunnels.NAME.children.NAME.local_port", rekey, new_child},
    {"tunnels.NAME.children.NAME.remote_port", rekey, new_child},
    {"tunnels.NAME.children.NAME.icmp", rekey, new_child},
    {"tunnels.NAME.children.NAME.dscp", update, sending},
    {"tunnels.NAME.children.NAME.replay_window", rekey, new_child},
    {"tunnels.NAME.children.NAME.tfc_padding", update, sending},
    {"tunnels.NAME.children.NAME.outer.dscp", update, sending},
    {"tunnels.NAME.children.NAME.outer.dscp_map", update, sending},
    {"tunnels.NAME.children.NAME.outer.ecn", update, sending},
    {"tunnels.NAME.children.NAME.outer.df", update, sending},
    {"tunnels.NAME.children.NAME.outer.hop_limit", update, sending},
    {"tunnels.NAME.children.NAME.outer.flow_label", update, sending},
    {"tunnels.NAME.children.NAME.lifetime.soft.time", none, next_rekey},
    {"tunnels.NAME.children.NAME.lifetime.soft.bytes", none, next_rekey},
    {"tunnels.NAME.children.NAME.lifetime.soft.packets", none, next_rekey},
    {"tunnels.NAME.children.NAME.lifetime.hard.time", none, next_rekey},
    {"tunnels.NAME.children.NAME.lifetime.hard.bytes", none, next_rekey},
    {"tunnels.NAME.children.NAME.lifetime.hard.packets", none, next_rekey},
    {"tunnels.NAME.children.NAME.esp", rekey, new_child},
    {"tunnels.NAME.children.NAME.per_worker", update, "SAs come or go one by one"},
    {"tunnels.NAME.children.NAME.manual.esp", update, by_hand},
    {"tunnels.NAME.children.NAME.manual.out.spi", update, by_hand},
    {"tunnels.NAME.children.NAME.manual.out.key", update, by_hand},
    {"tunnels.NAME.children.NAME.manual.in.spi", update, by_hand},
    {"tunnels.NAME.children.NAME.manual.in.key", update, by_hand},

    {"policies[].name", update, at_once},
    {"policies[].from", update, at_once},
    {"policies[].to", update, at_once},
    {"policies[].source", update, at_once},
    {"policies[].destination", update, at_once},
    {"policies[].protocol", update, at_once},
    {"policies[].source_ports", update, at_once},
    {"policies[].destination_ports", update, at_once},
    {"policies[].icmp", update, at_once},
    {"policies[].dscp", update, at_once},
    {"policies[].action", update, at_once},
    {"policies[].both_ways", update, at_once},
};

}  // namespace

std::span<const impact_row> impact_rows() { return rows; }

}  // namespace trunkgate
