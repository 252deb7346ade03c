#include <array>

#include "config/table.hpp"
#include "dataplane/core/suite.hpp"

namespace trunkgate {

namespace {

using words = std::string_view;

// "aes256gcm16", "aes256gcm16-esn", ... in the order of the suites.
struct suite_name_storage {
  std::array<std::array<char, 32>, esp_suite_count * 2> bytes{};
  std::array<std::size_t, esp_suite_count * 2> lengths{};
};
constexpr suite_name_storage suite_storage = [] {
  suite_name_storage out;
  for (std::size_t i = 0; i < esp_suite_count * 2; ++i) {
    for (char c : esp_suites[i / 2].name) out.bytes[i][out.lengths[i]++] = c;
    if (i % 2 == 1)
      for (char c : std::string_view("-esn")) out.bytes[i][out.lengths[i]++] = c;
  }
  return out;
}();
constexpr auto suite_words = [] {
  std::array<words, esp_suite_count * 2> out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = {suite_storage.bytes[i].data(), suite_storage.lengths[i]};
  return out;
}();

constexpr words truth[] = {"true", "false"};
constexpr words automatic[] = {"auto"};
constexpr words any[] = {"any"};
constexpr words busy_poll[] = {"auto", "always", "never"};
constexpr words auto_or_never[] = {"auto", "never"};
constexpr words drivers[] = {"auto", "af_packet", "af_xdp", "vfio", "pcap", "ring", "null", "memif", "tap"};
constexpr words modes[] = {"tunnel", "transport"};
constexpr words off_or_mtu[] = {"off", "mtu"};
constexpr words copy[] = {"copy"};
constexpr words ecn_modes[] = {"normal", "compatibility"};
constexpr words df_modes[] = {"copy", "set", "clear"};
constexpr words protocols[] = {"any", "tcp", "udp", "icmp", "ipv6-icmp", "sctp"};
constexpr words never[] = {"never"};
constexpr words off[] = {"off"};
constexpr words revocations[] = {"off", "soft", "strict"};
constexpr words encapsulations[] = {"auto", "always"};
constexpr words starts[] = {"always", "on-demand", "answer"};
constexpr words actions[] = {"bypass", "discard", "protect"};

// Hybrid first: as good as x25519 today, and safe from whoever records now and decrypts later. ecp256 is for peers
// without Curve25519.
constexpr std::string_view default_ike_proposals =
    "aes256gcm16-prfsha384-x25519-ke1_mlkem768, aes256gcm16-prfsha384-x25519, aes128gcm16-prfsha256-x25519, "
    "aes256gcm16-prfsha384-ecp384, aes128gcm16-prfsha256-ecp256, aes256-sha256-x25519, aes128-sha256-ecp256";

constexpr value_schema word(std::span<const words> list) {
  return {.scalar = {.syntax = scalar_syntax::word, .words = list}};
}
constexpr value_schema number(std::int64_t least, std::int64_t most, std::span<const words> list = {},
                              std::string_view hint = {}) {
  return {.scalar = {scalar_syntax::integer, list, least, most, hint}};
}
constexpr value_schema simple(scalar_syntax syntax, std::int64_t most = 0, std::span<const words> list = {}) {
  return {.scalar = {.syntax = syntax, .words = list, .most = most}};
}
constexpr value_schema object(const object_schema& what) { return {.form = value_form::object, .object = &what}; }
constexpr value_schema list_of(scalar_syntax syntax, std::size_t limit) {
  return {.form = value_form::list, .scalar = {.syntax = syntax}, .limit = limit};
}
constexpr value_schema one_or_more(scalar_syntax syntax) {
  return {.form = value_form::scalar_or_list, .scalar = {.syntax = syntax}};
}
constexpr value_schema one_or_more(const object_schema& what, std::size_t limit) {
  return {.form = value_form::object_or_list, .object = &what, .limit = limit};
}
constexpr value_schema list_of(const object_schema& what) { return {.form = value_form::list, .object = &what}; }
constexpr value_schema named(const object_schema& what, std::int64_t name_length = 63, std::size_t limit = 0) {
  return {value_form::named_objects, {.syntax = scalar_syntax::name, .most = name_length}, &what, limit};
}

constexpr field_schema gateway_fields[] = {
    {"name", simple(scalar_syntax::name, 63), true, "", "How the gateway calls itself in output and logs."},
    {"workers", number(1, 64, automatic), false, "auto",
     "Threads that move packets. `auto`: one per core that the process may use, less one, at least one."},
    {"busy_poll", word(busy_poll), false, "auto",
     "`always`: a worker never sleeps (line rate, a core each). `auto` and `never`: it waits for packets when there "
     "are none."},
    {"hugepages", word(auto_or_never), false, "auto",
     "`never`: do not ask for them. `auto`: use them where there are any."},
    {"buffers", number(1024, 16777216, automatic), false, "auto",
     "Packet buffers in all. `auto`: by the number of ports and workers."},
    {"flow_entries", number(64, 16777216), false, "65536", "Entries of each worker's flow cache."},
    {"lab", word(truth), false, "false",
     "Allows what belongs into a lab only: counter modes with keys by hand, of which RFC 8221 warns."},
    {"legacy", word(truth), false, "false",
     "Allows what old peers need and is broken by now: 3DES; by IKE also SHA-1 and modp1024."},
};
constexpr object_schema gateway_schema{"The gateway as a whole. A change takes a restart of the data plane.",
                                       gateway_fields};

constexpr field_schema port_fields[] = {
    {"device", simple(scalar_syntax::text, 127), true, "",
     "The network interface (`eth0`), a PCI address (`0000:03:00.0`), or the arguments of a test driver."},
    {"addresses", list_of(scalar_syntax::prefix, 8), false, "",
     "The gateway's addresses on it, each with its prefix length."},
    {"mtu", number(576, 9000), false, "",
     "Largest IP packet; not given: the device's. At least 1280 where IPv6 is used."},
    {"vlan", number(1, 4094), false, "", "IEEE 802.1Q tag of the port's frames; not given: untagged."},
    {"driver", word(drivers), false, "auto", "What carries the packets. `auto`: the best path that the device offers."},
};
constexpr object_schema port_schema{
    "Where packets come in and go out, by name: at most 12 characters, not `box` or `any`. At most 32 ports.",
    port_fields};

constexpr field_schema route_fields[] = {
    {"to", simple(scalar_syntax::prefix), true, "", "Destination; `0.0.0.0/0` and `::/0` are the default routes."},
    {"via", simple(scalar_syntax::address), false, "", "Next hop; not given: directly connected to `port`."},
    {"port", simple(scalar_syntax::name, 12), false, "", "The port; not given: the one that reaches `via`."},
};
constexpr object_schema route_schema{"Static routes, each with `via`, `port`, or both.", route_fields};

constexpr field_schema encapsulation_fields[] = {
    {"local_port", number(1, 65535), false, "4500", "UDP port of the gateway."},
    {"peer_port", number(1, 65535), false, "4500", "UDP port of the peer."},
};
constexpr object_schema encapsulation_schema{"ESP in UDP with ports other than 4500.", encapsulation_fields};

constexpr field_schema key_fields[] = {
    {"file", simple(scalar_syntax::text, 4095), false, "",
     "A file with the key in hexadecimal, from the configuration's folder on."},
    {"env", simple(scalar_syntax::text, 255), false, "", "An environment variable with the key in hexadecimal."},
    {"credential", simple(scalar_syntax::name, 255), false, "",
     "A systemd credential: a file of that name in `$CREDENTIALS_DIRECTORY`."},
};
constexpr object_schema key_schema{
    "Where the key is: exactly one of these. The key itself never stands in the configuration. It is the suite's key "
    "material in hexadecimal: the cipher's key, then the salt (counter modes), then the authentication key.",
    key_fields, true};

// The same references to a key of another form.
constexpr field_schema secret_fields[] = {
    {"file", simple(scalar_syntax::text, 4095), false, "", "A file beneath the configuration's folder."},
    {"env", simple(scalar_syntax::text, 255), false, "", "An environment variable."},
    {"credential", simple(scalar_syntax::name, 255), false, "",
     "A systemd credential: a file of that name in `$CREDENTIALS_DIRECTORY`."},
};
constexpr object_schema private_key_schema{
    "Where the private key is: exactly one of these. PEM, without a passphrase: RSA, ECDSA, Ed25519 or Ed448.",
    secret_fields, true};
constexpr object_schema psk_schema{
    "Where the pre-shared key is: exactly one of these. It is text, of which line breaks at the end do not "
    "count, or hexadecimal digits behind `0x`, or Base64 behind `0s`; at least 16 random bytes (`openssl rand -hex "
    "32`).",
    secret_fields, true};

constexpr field_schema manual_sa_fields[] = {
    {"spi", number(256, 4294967295, {}, "0 to 255 are reserved (RFC 4303 2.1)"), true, "",
     "Security parameters index, decimal or `0x` hexadecimal. 0 to 255 are reserved."},
    {"key", object(key_schema), true, "", "Where the key is."},
};
constexpr object_schema manual_sa_schema{"One direction: `out` to the peer, `in` from it.", manual_sa_fields};

constexpr field_schema manual_fields[] = {
    {"esp",
     {.scalar = {.syntax = scalar_syntax::word, .words = suite_words}},
     true,
     "",
     "The ESP suite; `-esn` behind it: extended sequence numbers (RFC 4303 2.2.1)."},
    {"out", object(manual_sa_schema), true, "", "The SA to the peer: the peer's `in`."},
    {"in", object(manual_sa_schema), true, "", "The SA from the peer: the peer's `out`."},
};
constexpr object_schema manual_schema{"SAs with keys by hand.", manual_fields};

constexpr field_schema dscp_map_fields[] = {
    {"from", simple(scalar_syntax::dscp), true, "", "The inner packet's DSCP."},
    {"to", simple(scalar_syntax::dscp), true, "", "The outer header's."},
};
constexpr object_schema dscp_map_schema{"Exceptions from `dscp`, one inner DSCP each.", dscp_map_fields};

constexpr field_schema outer_fields[] = {
    {"dscp", simple(scalar_syntax::dscp, 0, copy), false, "copy",
     "The DSCP: that of the inner packet, or one for all (`ef`, `af31`, `cs5`, 0 to 63)."},
    {"dscp_map", list_of(dscp_map_schema), false, "", ""},
    {"ecn", word(ecn_modes), false, "normal",
     "RFC 6040: `normal` copies the inner ECN field, `compatibility` sends Not-ECT, for a peer that loses marks."},
    {"df", word(df_modes), false, "copy", "The IPv4 don't-fragment bit. An inner IPv6 packet counts as set."},
    {"hop_limit", number(1, 255), false, "64", "Hop limit or TTL."},
    {"flow_label", number(0, 1048575, copy), false, "0", "The IPv6 flow label."},
};
constexpr object_schema outer_schema{"The outer header of what is sent (RFC 4301 5.1.2); tunnel mode.", outer_fields};

constexpr field_schema limits_fields[] = {
    {"time", simple(scalar_syntax::duration), false, "", "Since the SA was installed: `90s`, `50m`, `1h`, `1d`."},
    {"bytes", simple(scalar_syntax::quantity), false, "",
     "Of inner packets: `900M`; K, M, G and T are powers of 1000."},
    {"packets", simple(scalar_syntax::quantity), false, "", "Packets."},
};
constexpr object_schema limits_schema{"Whichever of these comes first; what is not given does not count.",
                                      limits_fields};
constexpr field_schema lifetime_fields[] = {
    {"soft", object(limits_schema), false, "", "An event tells that the SA should be replaced."},
    {"hard", object(limits_schema), false, "", "The SA stops: it carries nothing any more."},
};
constexpr object_schema lifetime_schema{
    "How long each of the child's SAs lives (RFC 4301 4.4.2.1). By IKE, the SAs are rekeyed at the soft limit, which "
    "is "
    "`time: 1h` if no time is said; of each kind a hard limit that is not said comes 10 % later.",
    lifetime_fields};

constexpr field_schema child_fields[] = {
    {"mode", word(modes), false, "tunnel",
     "ESP tunnel mode, or transport mode between the gateway itself and the peer itself."},
    {"local", list_of(scalar_syntax::range, 8), false, "",
     "What is protected on this side: 1 to 8 prefixes or ranges. Not given: the tunnel's `local.address` in transport "
     "mode, everything in a tunnel with an interface."},
    {"remote", list_of(scalar_syntax::range, 8), false, "",
     "What is protected behind the peer: 1 to 8 prefixes or ranges. Not given: as with `local`."},
    {"protocol", number(0, 255, protocols), false, "any", "Protects this upper-layer protocol only: a name or number."},
    {"local_port", simple(scalar_syntax::port_range), false, "",
     "Protects this port, or range of ports, of this side only; needs tcp, udp or sctp."},
    {"remote_port", simple(scalar_syntax::port_range), false, "",
     "Protects this port, or range of ports, behind the peer only; needs tcp, udp or sctp."},
    {"icmp", simple(scalar_syntax::icmp), false, "",
     "Protects this type of ICMP message only, in both directions; needs icmp or ipv6-icmp."},
    {"dscp", one_or_more(scalar_syntax::dscp), false, "",
     "Takes packets of these classes only. What comes in may be of any (RFC 4301 4.1)."},
    {"replay_window", number(64, 65536), false, "4096", "Packets that may arrive late: a multiple of 64."},
    {"tfc_padding", number(64, 9000, off_or_mtu), false, "off",
     "Traffic flow confidentiality (RFC 4303 2.7): inner packets are padded to so many bytes, or to what fits the "
     "path."},
    {"outer", object(outer_schema), false, "", "The outer header."},
    {"lifetime",
     {.form = value_form::scalar_or_object, .scalar = {.syntax = scalar_syntax::duration}, .object = &lifetime_schema},
     false,
     "",
     "When the SAs are to be replaced, and when they stop. `1h` is `soft: { time: 1h }`."},
    {"esp", list_of(scalar_syntax::esp_proposal, 16), false, "aes256gcm16-x25519",
     "By IKE: what is offered and taken, the preferred first: a suite as for `manual`, then a key exchange for perfect "
     "forward secrecy (none: without it), then `-ke1_METHOD`, then `-esn` or `-noesn` (neither: both will do)."},
    {"per_worker", word(truth), false, "false",
     "By IKE: one pair of SAs for each worker (RFC 9611), so that one tunnel can use several cores."},
    {"manual", object(manual_schema), false, "", "Keys by hand; not given: they come by IKE."},
};
constexpr object_schema child_schema{
    "What the tunnel protects: one pair of SAs each, by name. Where selectors overlap, the child that stands first has "
    "the "
    "packet.",
    child_fields};

constexpr field_schema interface_fields[] = {
    {"name", simple(scalar_syntax::name, 12), true, "",
     "The port's name; in the kernel the interface is called `tg-` and this name."},
    {"addresses", list_of(scalar_syntax::prefix, 8), false, "", "The gateway's addresses on it."},
};
constexpr object_schema interface_schema{
    "An interface of the tunnel's own, a port like the others: what the routes lead into it goes through the tunnel "
    "(route-based), whatever its addresses.",
    interface_fields};

constexpr field_schema pem_fields[] = {
    {"file", simple(scalar_syntax::text, 4095), true, "", "PEM, from the configuration's folder on."},
};
constexpr object_schema certificate_schema{"Ours, and then intermediate ones up to what the peer trusts.", pem_fields};
constexpr object_schema ca_schema{"Certificates of the authorities that may vouch for the peer.", pem_fields};
constexpr object_schema crl_schema{"Revocation lists of these authorities.", pem_fields};

constexpr field_schema local_fields[] = {
    {"address", simple(scalar_syntax::address), false, "",
     "The gateway's outer address. By IKE it may be left out: the one that reaches the peer."},
    {"id", simple(scalar_syntax::identity, 255), false, "",
     "Who we say we are: `hq.example`, `hq@example.org`, an address, `CN=hq, O=Example`, or `keyid:0a0b`. Not given: "
     "the "
     "certificate's first DNS name, or the address."},
    {"certificate", one_or_more(certificate_schema, 8), false, "", "Our certificate."},
    {"key", object(private_key_schema), false, "", "The certificate's private key."},
};
constexpr object_schema local_schema{"This end of the tunnel.", local_fields};

constexpr field_schema remote_fields[] = {
    {"id", simple(scalar_syntax::identity, 255), false, "",
     "Who the peer must be, as with `local.id`. Not given: whatever its certificate proves; with a pre-shared key, its "
     "address."},
    {"ca", one_or_more(ca_schema, 16), false, "", "Who must have signed the peer's certificate."},
    {"crl", one_or_more(crl_schema, 16), false, "", "What is revoked, beside what the peer and OCSP say."},
    {"revocation", word(revocations), false, "soft",
     "`soft`: a revoked certificate is refused. `strict`: so is one of which nothing can be found out. `off`: nobody "
     "asks."},
};
constexpr object_schema remote_schema{"Who the peer must prove to be. Tunnels by IKE only.", remote_fields};

constexpr field_schema post_quantum_fields[] = {
    {"id", simple(scalar_syntax::text, 255), true, "", "What both ends call it."},
    {"key", object(psk_schema), true, "", "Where the key is."},
    {"required", word(truth), false, "true", "Without it there is no tunnel."},
};
constexpr object_schema post_quantum_schema{
    "A post-quantum pre-shared key (RFC 8784), mixed into keys that are exchanged and proved as without it.",
    post_quantum_fields};

constexpr field_schema ike_fields[] = {
    {"proposals", list_of(scalar_syntax::ike_proposal, 16), false, default_ike_proposals,
     "What is offered and taken, the preferred first: encryption, integrity algorithm (not with gcm16 and "
     "chacha20poly1305), PRF, key exchange, and `-ke1_METHOD` to `-ke7_METHOD` for more of them (RFC 9370)."},
    {"lifetime", simple(scalar_syntax::duration), false, "4h", "The IKE SA is rekeyed before it is that old."},
    {"reauthenticate", simple(scalar_syntax::duration, 0, never), false, "never",
     "Identities are proved anew before the IKE SA is that old, make before break."},
    {"liveness", simple(scalar_syntax::duration, 0, off), false, "30s",
     "The peer is asked whether it lives when nothing came from it for so long."},
    {"mobike", word(truth), false, "true", "Addresses may change under the tunnel (RFC 4555); tunnel mode only."},
    {"childless", word(truth), false, "false",
     "The IKE SA first and each child by an exchange of its own (RFC 6023): a child's key exchange is tried at once."},
    {"encapsulation", word(encapsulations), false, "auto",
     "ESP in UDP: `auto` where there is a NAT in between, `always` also where there is none."},
    {"post_quantum_key", object(post_quantum_schema), false, "", "Not given: none is used."},
};
constexpr object_schema ike_schema{"How the IKE SA is made and kept. Tunnels by IKE only.", ike_fields};

constexpr field_schema tunnel_fields[] = {
    {"local", object(local_schema), false, "", "This end: its address, and how it proves who it is."},
    {"peer", simple(scalar_syntax::address, 0, any), true, "",
     "The peer's outer address. `any`: it comes to us from wherever it is; by IKE only."},
    {"remote", object(remote_schema), false, "", "Who the peer must be."},
    {"psk", object(psk_schema), false, "", "A pre-shared key for both directions, instead of certificates."},
    {"ike", object(ike_schema), false, "", "The IKE SA."},
    {"start", word(starts), false, "always",
     "`always`: kept up for ever. `on-demand`: when a packet wants it. `answer`: by the peer only, as with `peer: "
     "any`."},
    {"udp_encapsulation",
     {.form = value_form::scalar_or_object,
      .scalar = {.syntax = scalar_syntax::word, .words = truth},
      .object = &encapsulation_schema},
     false,
     "false",
     "With keys by hand: ESP in UDP (RFC 3948), where a NAT is in between. `true`: port 4500 on both sides."},
    {"interface", object(interface_schema), false, "", "Not given: the children's selectors say what goes through it."},
    {"children", named(child_schema), true, "", "What it protects."},
};
constexpr object_schema tunnel_schema{
    "IPsec tunnels, by name. Their keys come by IKE, or by hand where the children have `manual`. By IKE a tunnel has "
    "either `psk`, or `local.certificate`, `local.key` and `remote.ca`.",
    tunnel_fields};

constexpr field_schema policy_fields[] = {
    {"name", simple(scalar_syntax::name, 63), true, "", "The rule's name in output."},
    {"from", simple(scalar_syntax::name, 63), false, "any",
     "Where the packet comes in: a port, `box` (the gateway itself), or `any`."},
    {"to", simple(scalar_syntax::name, 63), false, "any", "Where its route leads: a port, `box`, or `any`."},
    {"source", simple(scalar_syntax::range, 0, any), false, "any", "Source addresses."},
    {"destination", simple(scalar_syntax::range, 0, any), false, "any", "Destination addresses."},
    {"protocol", number(0, 255, protocols), false, "any", "Upper-layer protocol: a name or number."},
    {"source_ports", simple(scalar_syntax::port_range, 0, any), false, "any",
     "One port or a range; needs tcp, udp or sctp."},
    {"destination_ports", simple(scalar_syntax::port_range, 0, any), false, "any",
     "One port or a range; needs tcp, udp or sctp."},
    {"icmp", simple(scalar_syntax::icmp), false, "",
     "Type of ICMP message, `both_ways` the same; needs icmp or ipv6-icmp."},
    {"dscp", one_or_more(scalar_syntax::dscp), false, "", "Classes of service."},
    {"action", word(actions), true, "",
     "`bypass`: passes in clear. `discard`: dropped. `protect`: only as the tunnels' selectors say."},
    {"both_ways", word(truth), false, "false", "The same for packets the other way: everything above swapped."},
};
constexpr object_schema policy_schema{
    "Ordered rules, the first that matches counts. They come before the tunnels' selectors; what no rule and no tunnel "
    "names "
    "is dropped.",
    policy_fields};

constexpr field_schema monitoring_fields[] = {
    {"allow_key_export", word(truth), false, "false",
     "Allows `trunkgate debug keys`: whoever may use the control socket can read a tunnel's keys, for Wireshark and "
     "for "
     "a while. The log tells each time."},
};
constexpr object_schema monitoring_schema{"What may be seen of the gateway.", monitoring_fields};

constexpr field_schema configuration_fields[] = {
    {"gateway", object(gateway_schema), true, "", ""},   {"ports", named(port_schema, 12, 32), true, "", ""},
    {"routes", list_of(route_schema), false, "", ""},    {"tunnels", named(tunnel_schema), false, "", ""},
    {"policies", list_of(policy_schema), false, "", ""}, {"monitoring", object(monitoring_schema), false, "", ""},
};

}  // namespace

constexpr object_schema configuration_schema{"", configuration_fields};

}  // namespace trunkgate
