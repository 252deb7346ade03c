// One end's process dies and comes back with nothing but its snapshots and what the sink still has. The other end is
// not to notice; what leaves by the child arrives at every moment.
#include "controlplane/ike/sa/snapshot.hpp"
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

// A daemon's memory: written before anything is sent, and soon in any case, as encoded bytes.
class memory {
 public:
  void attach(end& to) {
    die();
    alive_ = std::make_shared<bool>(true);
    to.ike->on_change = [this, &to](const ike_sa_pointer& sa) {
      changed_.insert(sa);
      asio::post(to.loop(), [this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) write();
      });
    };
    to.before_send = [this] { write(); };
  }
  // Nothing is written any more.
  void die() {
    alive_.reset();
    changed_.clear();
  }
  void write() {
    if (!alive_) return changed_.clear();
    for (const auto& sa : std::exchange(changed_, {})) {
      const bool kept = sa->profile && sa->state != ike_state::closed && sa->state != ike_state::opening;
      if (!kept || (!sa->up() && sa->opening)) {
        records.erase(sa->own_spi());
        continue;
      }
      std::vector<std::uint8_t> room(16384);
      const auto size = encode_snapshot(take_snapshot(*sa), room);
      ASSERT_TRUE(size) << size.error().reason;
      room.resize(*size);
      records[sa->own_spi()] = std::move(room);
    }
  }
  [[nodiscard]] std::vector<ike_snapshot> read() const {
    std::vector<ike_snapshot> out;
    for (const auto& [spi, octets] : records) out.push_back(decode_snapshot(octets).value());
    return out;
  }
  std::map<std::uint64_t, std::vector<std::uint8_t>> records;

 private:
  std::set<ike_sa_pointer> changed_;
  std::shared_ptr<bool> alive_;
};

class restarting : public testing::Test {
 protected:
  void begin(const std::function<void(tunnel_settings&, tunnel_settings&)>& change = {}) {
    change_ = change;
    left_memory.attach(w.left);
    right_memory.attach(w.right);
    w.begin(change);
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    settle(1s);
    w.on_way = [this](packet& one) { return pass(one); };
  }
  // Runs on, and sees to it that packets can go through both ways all the while.
  void settle(std::chrono::seconds time) {
    const auto until = w.time + time;
    w.run(
        [&] {
          watch();
          return w.time >= until;
        },
        time);
  }
  void watch() {
    if (!w.joined()) lost = true;
  }
  [[nodiscard]] memory& memory_of(const end& here) { return &here == &w.left ? left_memory : right_memory; }

  // kill -9.
  void kill(end& here) {
    memory_of(here).die();
    here.ike->abandon();
    here.ike.reset();
    dead = mortal = nullptr;
  }
  void restart(end& here, bool with_memory = true) {
    if (here.ike) kill(here);
    here.ike = std::make_unique<engine>(here);
    auto& its = memory_of(here);
    engine::legacy left;
    if (with_memory) left.sas = its.read();
    for (const auto& [spi, one] : here.sas.sas) left.survivors[spi] = one.tunnel;
    its.records.clear();
    its.attach(here);
    here.ike->inherit(std::move(left));
    auto a = w.settings(w.left, w.right), b = w.settings(w.right, w.left);
    if (change_) change_(a, b);
    w.configure(here, {&here == &w.left ? a : b});
    its.write();
  }

  bool pass(packet& one) {
    if (one.from == dead) return false;
    if (one.from == mortal && countdown != 0 && --countdown == 0) {
      dead = mortal;
      memory_of(*mortal).die();
      w.io.stop();
      return last_arrives;
    }
    return true;
  }

  void expect_one_of_each() {
    for (auto* here : {&w.left, &w.right}) {
      const auto& name = here == &w.left ? "left" : "right";
      EXPECT_EQ(here->sas.sas.size(), 1u) << name;
      const auto* tunnel = here->ike->find("t");
      ASSERT_NE(tunnel->current(), nullptr) << name;
      EXPECT_EQ(tunnel->sas().size(), 1u) << name;
      EXPECT_EQ(tunnel->current()->children.size(), 1u) << name;
    }
    EXPECT_EQ(w.left.ike->find("t")->current()->messages->initiator_spi(),
              w.right.ike->find("t")->current()->messages->initiator_spi());
  }

  world w;
  memory left_memory, right_memory;
  bool lost = false;
  end* mortal = nullptr;   // dies as it sends ...
  unsigned countdown = 0;  // ... so many datagrams
  bool last_arrives = true;
  end* dead = nullptr;
  std::function<void(tunnel_settings&, tunnel_settings&)> change_;
};

std::uint64_t spi_of(end& here) { return here.ike->find("t")->current()->own_spi(); }

TEST_F(restarting, GoesOnWithTheSameIkeSaAndChild) {
  begin();
  const auto before = spi_of(w.left);
  const auto child = w.left.sas.leaving("lan")->outbound_spi;
  const auto sent = w.sent;
  restart(w.left);
  settle(10s);
  EXPECT_EQ(w.sent, sent) << "the peer hears nothing of it";
  EXPECT_EQ(spi_of(w.left), before);
  EXPECT_EQ(w.left.sas.leaving("lan")->outbound_spi, child);
  // Each can still ask, and each still understands the other.
  w.left.ike->find("t")->rekey_child(0);
  settle(10s);
  EXPECT_NE(w.left.sas.leaving("lan")->outbound_spi, child);
  w.right.ike->find("t")->rekey_ike();
  settle(10s);
  EXPECT_NE(spi_of(w.left), before);
  EXPECT_FALSE(lost);
  expect_one_of_each();
}

TEST_F(restarting, LifetimesGoOn) {
  begin();
  settle(3000s);
  const auto child = w.left.sas.leaving("lan")->outbound_spi;
  restart(w.left);
  restart(w.right);
  settle(700s);  // an hour is its soft lifetime
  EXPECT_NE(w.left.sas.leaving("lan")->outbound_spi, child);
  EXPECT_FALSE(lost);
  expect_one_of_each();
}

//  left                                  right
//  CREATE_CHILD_SA                  -->
//                                   <--  answer, lost
//  (starts anew)
//  CREATE_CHILD_SA, same octets     -->
//                                   <--  the same answer
//  (the secret of the key exchange died: a new IKE SA with its child, then the old one goes)
TEST_F(restarting, AsksAgainByTheSameOctets) {
  begin();
  std::vector<bytes> asked;
  bool swallow = true;
  w.on_way = [&](packet& one) {
    if (one.from == &w.left) asked.push_back(one.data);
    return one.from == &w.left || !swallow;
  };
  w.left.ike->find("t")->rekey_child(0);
  ASSERT_TRUE(w.run([&] { return !asked.empty(); }, 5s));
  restart(w.left);
  swallow = false;
  ASSERT_TRUE(w.run([&] { return asked.size() >= 2; }, 5s));
  EXPECT_EQ(asked[0], asked[1]);
  settle(120s);
  EXPECT_FALSE(lost);
  expect_one_of_each();
}

//  left                                  right
//                                   <--  CREATE_CHILD_SA
//  answer, lost                     -->
//  (starts anew)
//                                   <--  CREATE_CHILD_SA, again
//  the same octets                  -->
TEST_F(restarting, AnswersAgainByTheSameOctets) {
  begin();
  std::vector<bytes> answers;
  w.on_way = [&](packet& one) {
    if (one.from == &w.left) answers.push_back(one.data);
    return one.from == &w.right || answers.size() > 1;
  };
  w.right.ike->find("t")->rekey_child(0);
  ASSERT_TRUE(w.run([&] { return answers.size() == 1; }, 5s));
  restart(w.left);
  ASSERT_TRUE(w.run([&] { return answers.size() >= 2; }, 5s));
  EXPECT_EQ(answers[0], answers[1]);
  settle(60s);
  EXPECT_FALSE(lost);
  expect_one_of_each();
}

// Whichever datagram is its last, and whether that one arrives or not.
struct moment {
  const char* what;
  bool left_dies, left_asks, ike, arrives;
  unsigned at;
};

class at_every_datagram : public restarting, public testing::WithParamInterface<moment> {};

TEST_P(at_every_datagram, NothingIsLost) {
  const auto& m = GetParam();
  begin();
  end& dies = m.left_dies ? w.left : w.right;
  end& asks = m.left_asks ? w.left : w.right;
  mortal = &dies;
  countdown = m.at;
  last_arrives = m.arrives;
  if (m.ike)
    asks.ike->find("t")->rekey_ike();
  else
    asks.ike->find("t")->rekey_child(0);
  w.run(
      [&] {
        watch();
        return dead != nullptr;
      },
      20s);
  kill(dies);
  w.run_for(200ms);
  restart(dies);
  settle(400s);
  EXPECT_FALSE(lost);
  expect_one_of_each();
}

std::vector<moment> moments() {
  std::vector<moment> out;
  for (const bool left_dies : {true, false})
    for (const bool left_asks : {true, false})
      for (const bool ike : {false, true})
        for (const bool arrives : {true, false})
          for (unsigned at = 1; at <= 3; ++at) out.push_back({"", left_dies, left_asks, ike, arrives, at});
  return out;
}

INSTANTIATE_TEST_SUITE_P(Restart, at_every_datagram, testing::ValuesIn(moments()), [](const auto& named) {
  const auto& m = named.param;
  return std::string(m.left_dies ? "Left" : "Right") + "Dies" + (m.left_asks ? "LeftRekeys" : "RightRekeys") +
         (m.ike ? "Ike" : "Child") + "Datagram" + std::to_string(m.at) + (m.arrives ? "Arrives" : "Lost");
});

TEST_F(restarting, WithoutMemoryTheOldChildCarriesUntilTheNewOneDoes) {
  begin();
  const auto before = spi_of(w.left);
  restart(w.left, false);
  settle(200s);
  EXPECT_FALSE(lost) << "INITIAL_CONTACT, or a survivor that was removed too early";
  EXPECT_NE(spi_of(w.left), before);
  EXPECT_EQ(w.left.sas.sas.size(), 1u);
}

TEST_F(restarting, WhoOnlyAnswersBeginsOnceItsMemoryIsGone) {
  begin();
  restart(w.right, false);
  settle(200s);
  EXPECT_FALSE(lost);
  EXPECT_EQ(w.right.sas.sas.size(), 1u);
  EXPECT_NE(w.right.ike->find("t")->current(), nullptr);
}

TEST_F(restarting, ChildrenThatTheDataPlaneLostAreMadeAnew) {
  begin();
  const auto before = spi_of(w.left);
  w.left.sas.sas.clear();
  restart(w.left);
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.run_for(60s);
  EXPECT_EQ(spi_of(w.left), before);
  expect_one_of_each();
}

TEST_F(restarting, OtherSettingsMakeAnotherIkeSa) {
  begin();
  const auto before = spi_of(w.left);
  change_ = [](tunnel_settings& a, tunnel_settings&) { a.ike->mobike = !a.ike->mobike; };
  restart(w.left);
  settle(100s);
  EXPECT_NE(spi_of(w.left), before);
  EXPECT_FALSE(lost);
}

TEST_F(restarting, AnEndForGoodTellsThePeer) {
  begin();
  w.left.ike->close_all();
  EXPECT_TRUE(w.run([&] { return w.left.ike->all_closed(); }, 2s));
  EXPECT_EQ(w.right.ike->find("t")->current(), nullptr);
  w.run_for(10s);
  EXPECT_TRUE(left_memory.records.empty());
}

TEST_F(restarting, NoNumberIsUsedTwice) {
  begin();
  const auto before = w.left.ike->find("t")->current()->messages->position();
  restart(w.left);
  const auto after = w.left.ike->find("t")->current()->messages->position();
  EXPECT_GE(after.next_iv, before.next_iv + 1024);
  EXPECT_EQ(after.next_request, before.next_request);
  EXPECT_EQ(after.expected_request, before.expected_request);
}

}  // namespace

}  // namespace trunkgate::ike::test
