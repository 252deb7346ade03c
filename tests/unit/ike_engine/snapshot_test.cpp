#include "controlplane/ike/sa/snapshot.hpp"

#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

std::vector<std::uint8_t> encoded(const ike_snapshot& from) {
  std::vector<std::uint8_t> out(16384);
  out.resize(encode_snapshot(from, out).value());
  return out;
}

class snapshots : public testing::Test {
 protected:
  void SetUp() override {
    w.begin();
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    w.run_for(2s);
    octets = encoded(take_snapshot(*w.left.ike->find("t")->current()));
  }
  world w;
  std::vector<std::uint8_t> octets;
};

TEST_F(snapshots, ComeBackAsTheyWere) {
  const auto again = decode_snapshot(octets);
  ASSERT_TRUE(again) << again.error().reason;
  EXPECT_EQ(again->tunnel, "t");
  EXPECT_EQ(again->children.size(), 1u);
  EXPECT_EQ(again->children.front().name, "lan");
  EXPECT_EQ(encoded(*again), octets);
  EXPECT_LT(octets.size(), 2048u) << "of a tunnel with a pre-shared key and one child";
}

TEST_F(snapshots, CutAnywhereTheyAreRefused) {
  for (std::size_t length = 0; length < octets.size(); ++length)
    EXPECT_FALSE(decode_snapshot(byte_view(octets).first(length))) << length;
  octets.push_back(0);
  EXPECT_FALSE(decode_snapshot(octets));
}

TEST_F(snapshots, NeedTheirRoom) {
  const auto from = decode_snapshot(octets).value();
  std::vector<std::uint8_t> room(octets.size());
  EXPECT_TRUE(encode_snapshot(from, room));
  for (std::size_t size = 0; size < octets.size(); size += 7)
    EXPECT_FALSE(encode_snapshot(from, std::span(room).first(size))) << size;
}

TEST_F(snapshots, AnyChangedOctetIsReadOrRefused) {
  for (std::size_t at = 0; at < octets.size(); ++at)
    for (const std::uint8_t mask : {0x01, 0x80, 0xff}) {
      auto changed = octets;
      changed[at] ^= mask;
      const auto read = decode_snapshot(changed);
      if (read) {
        EXPECT_EQ(encoded(*read), changed) << at;
      }
    }
}

TEST_F(snapshots, DigestsTellSettingsApart) {
  const auto base = w.settings(w.left, w.right);
  const auto digest = [&](const tunnel_settings& of) {
    return digest_of(**make_profile(of, w.folder.string(), true, {}));
  };
  const auto expect_another = [&](const std::function<void(tunnel_settings&)>& change) {
    auto changed = base;
    change(changed);
    EXPECT_NE(digest(changed), digest(base));
  };
  EXPECT_EQ(digest(base), digest(base));
  expect_another([](auto& s) { s.ike->remote_id = "other.example"; });
  expect_another([](auto& s) { s.ike->local_id = "other.example"; });
  expect_another([](auto& s) { s.ike->psk->name = "other.psk"; });
  expect_another([](auto& s) { s.peer.bytes[3] ^= 1; });
  expect_another([](auto& s) { s.ike->proposals.push_back(*parse_ike_proposal("aes128gcm16-prfsha256-x25519")); });
  expect_another([](auto& s) { s.ike->force_encapsulation = true; });
  auto child = base.children.front();
  child.soft.seconds = 7;
  EXPECT_EQ(digest_of(child), digest_of(base.children.front())) << "a lifetime is no reason to rekey";
  child.remote.front().last.bytes[3] ^= 1;
  EXPECT_NE(digest_of(child), digest_of(base.children.front()));
}

}  // namespace

}  // namespace trunkgate::ike::test
