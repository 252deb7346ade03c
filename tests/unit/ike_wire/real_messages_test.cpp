// strongSwan's messages: read as its own log lists them, and written again octet by octet the same.
#include <gtest/gtest.h>

#include "controlplane/ike/wire/codec.hpp"
#include "controlplane/ike/wire/describe.hpp"
#include "tests/unit/ike_wire/samples.hpp"

namespace trunkgate::test {
namespace {

using namespace ike;

// "N(NATD_S_IP)" is one of ours by its first word only: the types are compared one by one below.
std::string kind_of(const std::string& listed) { return listed == "No" ? "Nonce" : listed.substr(0, listed.find('(')); }

std::vector<std::string> kinds(const payloads& all) {
  std::vector<std::string> out;
  for (const auto& one : all) out.push_back(payload_name(wire::type_of(one)));
  return out;
}

TEST(real_messages, are_read_as_their_sender_lists_them) {
  ASSERT_GT(real_messages().size(), 20U);
  for (const auto& real : real_messages()) {
    std::vector<std::string> listed;
    for (const auto& one : real.listed) listed.push_back(kind_of(one));
    const auto outer = parse_message(real.datagrams.at(0));
    ASSERT_TRUE(outer) << real.name << ": " << outer.error().reason;
    if (outer->body_offset == 0) {
      EXPECT_EQ(kinds(outer->clear), listed) << real.name;
      continue;
    }
    EXPECT_TRUE(outer->clear.empty());
    EXPECT_EQ(outer->first_inside, real.first_inside);
    const auto inside = parse_payloads(real.first_inside, real.inside);
    ASSERT_TRUE(inside) << real.name << ": " << inside.error().reason;
    EXPECT_EQ(kinds(*inside), listed) << real.name;
  }
}

TEST(real_messages, are_written_again_as_they_were) {
  for (const auto& real : real_messages()) {
    for (const auto& datagram : real.datagrams) {
      const auto outer = parse_message(datagram).value();
      if (outer.body_offset == 0) {
        EXPECT_EQ(to_hex(encode_message(outer.head, outer.clear)), to_hex(datagram)) << real.name;
        continue;
      }
      const auto front = encode_encrypted_front(outer.head, outer.first_inside, datagram.size() - outer.body_offset,
                                                outer.fragment, outer.fragments);
      EXPECT_EQ(to_hex(front), to_hex(byte_view(datagram).first(outer.body_offset))) << real.name;
    }
    const auto inside = encode_payloads(parse_payloads(real.first_inside, real.inside).value());
    EXPECT_EQ(to_hex(inside.data), to_hex(real.inside)) << real.name;
    EXPECT_EQ(inside.first, real.first_inside) << real.name;
  }
}

TEST(real_messages, are_two_fragments_where_a_certificate_is_sent) {
  std::size_t fragmented = 0;
  for (const auto& real : real_messages()) {
    if (real.datagrams.size() == 1) continue;
    ++fragmented;
    for (std::size_t i = 0; i < real.datagrams.size(); ++i) {
      const auto outer = parse_message(real.datagrams[i]).value();
      EXPECT_EQ(outer.fragment, i + 1);
      EXPECT_EQ(outer.fragments, real.datagrams.size());
    }
    EXPECT_NE(find<certificate_payload>(parse_payloads(real.first_inside, real.inside).value()), nullptr);
  }
  EXPECT_EQ(fragmented, 2U);
}

const real_message& named(std::string_view name) {
  for (const auto& one : real_messages())
    if (one.name == name) return one;
  throw std::runtime_error("no message " + std::string(name));
}

// What the tunnel was configured with there.
TEST(real_messages, hold_what_was_configured) {
  const auto init = parse_message(named("psk IKE_SA_INIT request 0").datagrams[0]).value();
  EXPECT_EQ(init.head.exchange, exchange_type::ike_sa_init);
  EXPECT_EQ(init.head.responder_spi, 0U);
  using enum transform_type;
  EXPECT_EQ(find<sa_payload>(init.clear)->proposals.at(0).transforms,
            (std::vector<transform_choice>{{encryption, transform_id::encr_aes_gcm16, 256},
                                           {prf, transform_id::prf_hmac_sha384, 0},
                                           {key_exchange, transform_id::x25519, 0},
                                           {additional_ke1, transform_id::ecp384, 0}}));
  EXPECT_EQ(find<key_exchange_payload>(init.clear)->method, transform_id::x25519);
  EXPECT_NE(find_notify(init.clear, notify::intermediate_exchange_supported), nullptr);

  const auto& auth = named("psk IKE_AUTH request 2");
  const auto inside = parse_payloads(auth.first_inside, auth.inside).value();
  EXPECT_EQ(describe(payload(*find_id_of(inside, true))), "IDi left.psk.example");
  EXPECT_EQ(find_id(inside, false)->type, id_type::fqdn);
  EXPECT_EQ(find<authentication_payload>(inside)->method, auth_psk);
  EXPECT_EQ(describe(payload(*find_ts(inside, true))),
            "TSi 10.1.0.0/24 protocol 6 ports 5060-5061, 10.1.0.0/24 protocol 1 port 2048");
  EXPECT_EQ(describe(payload(*find_ts(inside, false))), "TSr 10.2.0.0/24 protocol 6, 10.2.0.9-10.2.0.77");

  const auto& rekey = named("psk CREATE_CHILD_SA request 3");
  const auto rekeyed = parse_payloads(rekey.first_inside, rekey.inside).value();
  EXPECT_EQ(find_notify(rekeyed, notify::rekey_sa)->spi.size(), 4U);
  EXPECT_EQ(find_notify(rekeyed, notify::rekey_sa)->protocol, protocol_id::esp);
}

// What went wrong there on purpose.
TEST(real_messages, hold_what_was_refused) {
  const auto group = parse_message(named("other group IKE_SA_INIT response 0").datagrams[0]).value();
  EXPECT_TRUE(group.head.response);
  ASSERT_EQ(group.clear.size(), 1U);
  EXPECT_EQ(describe(group.clear[0]), "N INVALID_KE_PAYLOAD, x25519 is wanted");
  const auto proposal = parse_message(named("no common proposal IKE_SA_INIT response 0").datagrams[0]).value();
  ASSERT_EQ(proposal.clear.size(), 1U);
  EXPECT_EQ(describe(proposal.clear[0]), "N NO_PROPOSAL_CHOSEN");
  const auto& refused = named("selectors refused IKE_AUTH response 1");
  EXPECT_NE(find_notify(parse_payloads(refused.first_inside, refused.inside).value(), notify::ts_unacceptable),
            nullptr);
  const auto& asked = named("selectors refused IKE_AUTH request 1");
  EXPECT_EQ(describe(payload(*find_ts(parse_payloads(asked.first_inside, asked.inside).value(), false))),
            "TSr 10.2.0.0/24, fd01::/48");
  // Transport mode was asked for with networks as selectors: strongSwan then sends none at all.
  const auto& transport = named("transport mode IKE_AUTH request 1");
  const auto inside = parse_payloads(transport.first_inside, transport.inside).value();
  EXPECT_NE(find_notify(inside, notify::use_transport_mode), nullptr);
  EXPECT_EQ(describe(payload(*find_ts(inside, false))), "TSr none");
}

}  // namespace
}  // namespace trunkgate::test
