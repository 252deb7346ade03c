// The key process's work without the process: the same answers and reasons.
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "config/ike_proposal.hpp"
#include "controlplane/keystore/local.hpp"

namespace trunkgate {
namespace {

using bytes = keystore::bytes;

class local : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/trunkgate-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  key_reference file(const std::string& name, const std::string& content) {
    std::ofstream(folder + "/" + name) << content;
    return {.from = key_reference::kind::file, .name = name, .path = "tunnels.hq.psk"};
  }
  template <class Value>
  static Value run(boost::asio::awaitable<Value> work) {
    boost::asio::io_context loop;
    auto done = boost::asio::co_spawn(loop, std::move(work), boost::asio::use_future);
    loop.run();
    return done.get();
  }

  std::string folder;
};

TEST_F(local, computes_what_a_second_implementation_computes) {
  // python3: hmac over hmac(b"secret", b"Key Pad for IKEv2", sha256), octets 01 02 03
  const bytes expected{0x6e, 0xd9, 0xd0, 0xe9, 0xb1, 0xac, 0x8b, 0xa1, 0x51, 0xc0, 0xc0, 0x70, 0xbb, 0x67, 0x22, 0x24,
                       0xb2, 0x31, 0x35, 0xff, 0x7b, 0x9e, 0x74, 0xae, 0xa5, 0x85, 0x3a, 0x00, 0xee, 0x21, 0x66, 0x2f};
  const auto keys = local_keystore(folder);
  const auto psk = file("a.psk", "secret\n");
  const auto done = run(keys->psk_auth(psk, transform_id::prf_hmac_sha256, bytes{1, 2, 3}));
  ASSERT_TRUE(done) << done.error().reason;
  EXPECT_EQ(bytes(done->bytes().begin(), done->bytes().end()), expected);
}

TEST_F(local, says_where_in_the_configuration_a_key_is_amiss) {
  const auto keys = local_keystore(folder);
  auto psk = file("a.psk", "");
  EXPECT_EQ(run(keys->psk_auth(psk, 5, {})).error().reason, "tunnels.hq.psk: a.psk is empty");
  psk.name = "missing";
  EXPECT_EQ(run(keys->public_key(psk)).error().reason, "tunnels.hq.psk: missing: No such file or directory");
  const auto nowhere = local_keystore("/nowhere");
  EXPECT_EQ(run(nowhere->psk_auth(psk, 5, {})).error().reason,
            "tunnels.hq.psk: the folder of keys, /nowhere: No such file or directory");
}

TEST_F(local, reads_files_again_when_told) {
  const auto keys = local_keystore(folder);
  const auto psk = file("a.psk", "first");
  const auto auth = [&] {
    const auto done = run(keys->psk_auth(psk, 5, bytes{1}));
    return bytes(done->bytes().begin(), done->bytes().end());
  };
  const auto before = auth();
  file("a.psk", "second");
  EXPECT_EQ(auth(), before);
  EXPECT_TRUE(run(keys->reload()));
  EXPECT_NE(auth(), before);
}

}  // namespace
}  // namespace trunkgate
