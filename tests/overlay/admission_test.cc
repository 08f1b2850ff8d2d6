// SPDX-License-Identifier: Apache-2.0
#include "overlay/admission.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "overlay/introduce.h"
#include "overlay/ring_driver.h"
#include "overlay/ring_wire.h"
#include "tests/overlay/memory_rpc.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

constexpr char kAddress[] = "127.0.0.1:10001";

class AdmissionTest : public testing::Test {
 protected:
  AdmissionTest() { network_.admission_effort = 8; }

  absl::Time Now() const { return loop_.WallNow(); }
  base::Bytes Earn(const keys::SigningKey& key, uint32_t epoch) {
    keys::WorkSearch search(AdmissionChallenge(network_, key.public_key(), kAddress, epoch), network_.admission_effort, rng_);
    for (;;) {
      if (const auto proof = search.Advance()) return EncodeAdmission(epoch, *proof);
    }
  }
  base::Bytes Earn(const keys::SigningKey& key) { return Earn(key, AdmissionEpoch(network_, key.public_key(), Now())); }
  // Past the filter, without the work: what a cheat has after 14 ms.
  base::Bytes Fake(const keys::SigningKey& key) {
    const uint32_t epoch = AdmissionEpoch(network_, key.public_key(), Now());
    const keys::Digest challenge = AdmissionChallenge(network_, key.public_key(), kAddress, epoch);
    for (;;) {
      const auto proof = rng_.Array<sizeof(keys::WorkProof)>();
      if (keys::PassesWorkFilter(challenge, proof) && !keys::VerifyWork(challenge, network_.admission_effort, proof)) {
        return EncodeAdmission(epoch, proof);
      }
    }
  }

  support::ManualLoop loop_;
  support::SeededRng rng_{21};
  Network network_;
  const keys::SigningKey key_ = keys::SigningKey::Generate(rng_);
};

TEST_F(AdmissionTest, IsGoodForItsKeyPrefixEpochEffortAndNetworkOnly) {
  const base::Bytes admission = Earn(key_);
  const auto good = [&](const Network& network, const keys::PublicKey& key, const std::string& address, const base::Bytes& what) {
    return VerifyAdmission(network, key, address, what);
  };
  EXPECT_TRUE(good(network_, key_.public_key(), kAddress, admission));
  EXPECT_TRUE(good(network_, key_.public_key(), "127.0.200.7:99", admission)) << "the same /16";
  EXPECT_FALSE(good(network_, key_.public_key(), "127.1.0.1:10001", admission));
  EXPECT_FALSE(good(network_, keys::SigningKey::Generate(rng_).public_key(), kAddress, admission));
  Network other = network_;
  other.name = "other";
  EXPECT_FALSE(good(other, key_.public_key(), kAddress, admission));
  other = network_;
  other.admission_effort = 7;
  EXPECT_FALSE(good(other, key_.public_key(), kAddress, admission)) << "luck with one effort is none with another";
  for (size_t i = 0; i < admission.size(); ++i) {
    base::Bytes changed = admission;
    changed[i] ^= static_cast<uint8_t>(1 + rng_.Below(255));
    const bool fails_filter = i < 12;  // the rest is tried again by luck
    EXPECT_FALSE(fails_filter && good(network_, key_.public_key(), kAddress, changed)) << i;
    EXPECT_FALSE(good(network_, key_.public_key(), kAddress, base::ToBytes(base::ByteView(admission).first(i)))) << i;
  }
  EXPECT_FALSE(good(network_, key_.public_key(), kAddress, Fake(key_)));
}

TEST_F(AdmissionTest, IsEmptyWhereNoneIsAskedAndNotEmptyWhereItIs) {
  EXPECT_STATUS(CheckAdmission(network_, key_.public_key(), kAddress, {}), kInvalidArgument);
  EXPECT_OK(CheckAdmission(Network::Local(), key_.public_key(), kAddress, {}));
  EXPECT_STATUS(CheckAdmission(Network::Local(), key_.public_key(), kAddress, Earn(key_)), kInvalidArgument);
}

TEST_F(AdmissionTest, EpochsEndAtTheirKeysOwnTimesAndBothAreGoodAroundTheEnd) {
  constexpr int kKeys = 700;
  std::vector<int> ends_on(7);
  for (int i = 0; i < kKeys; ++i) {
    const keys::PublicKey key = {rng_.Array<32>()};
    const uint32_t epoch = AdmissionEpoch(network_, key, Now());
    const absl::Time end = AdmissionEnd(network_, key, epoch);
    EXPECT_GT(end, Now());
    EXPECT_LE(end, Now() + network_.admission_epoch);
    EXPECT_EQ(AdmissionEpoch(network_, key, end - absl::Seconds(1)), epoch);
    EXPECT_EQ(AdmissionEpoch(network_, key, end), epoch + 1);
    const base::Bytes before = EncodeAdmission(epoch, {}), after = EncodeAdmission(epoch + 1, {});
    const auto good = [&](const base::Bytes& admission, absl::Duration from_end) {
      return CheckAdmissionTime(network_, key, admission, end + from_end).ok();
    };
    EXPECT_TRUE(good(before, absl::Minutes(59)));
    EXPECT_FALSE(good(before, absl::Minutes(61)));
    EXPECT_TRUE(good(after, -absl::Minutes(59)));
    EXPECT_FALSE(good(after, -absl::Minutes(61)));
    ++ends_on[static_cast<size_t>((end - Now()) / absl::Hours(24))];
  }
  for (const int count : ends_on) EXPECT_NEAR(count, kKeys / 7, 40) << "a seventh a day: no wave";
}

TEST_F(AdmissionTest, ItsOwnerMovesAtItsEndAndWhenAClockThatWasAheadIsPutRight) {
  const uint32_t epoch = AdmissionEpoch(network_, key_.public_key(), Now());
  const absl::Time end = AdmissionEnd(network_, key_.public_key(), epoch);
  const auto left = [&](uint32_t of, absl::Time when) {
    return AdmissionLeft(network_, key_.public_key(), EncodeAdmission(of, {}), when);
  };
  EXPECT_EQ(left(epoch, end - absl::Hours(5)), absl::Hours(5));
  EXPECT_EQ(left(epoch, end + absl::Minutes(1)), -absl::Minutes(1));
  EXPECT_LT(left(epoch, end + absl::Hours(5)), absl::ZeroDuration());
  EXPECT_LT(left(epoch + 1, end - absl::Hours(5)), absl::ZeroDuration()) << "yet to come: nobody takes it";
  EXPECT_GT(left(epoch + 1, end - absl::Minutes(5)), absl::ZeroDuration());
}

// A flood of new descriptors does not cost a node those of its neighbours, which are signed anew again and again.
TEST_F(AdmissionTest, OfADescriptorThatIsHeldTheWorkIsNotLookedAtAgain) {
  Directory directory(network_);
  const base::Bytes good = Earn(key_);
  const auto describe = [&](const base::Bytes& admission, absl::Time when) {
    return SignDescriptor(network_, key_, keys::X25519Public{{1}}, Role::kStoring, kAddress, admission, when);
  };
  directory.Keep(describe(good, Now() - absl::Minutes(1)));  // and nothing remembers the look at it
  for (int i = 0; i < kJudgedPerSecond; ++i) {
    const keys::SigningKey stranger = keys::SigningKey::Generate(rng_);
    const Descriptor shown =
        SignDescriptor(network_, stranger, keys::X25519Public{{1}}, Role::kStoring, kAddress, Fake(stranger), Now());
    EXPECT_STATUS(directory.Add(shown.encoded, Now()).status(), kPermissionDenied);
  }
  EXPECT_STATUS(directory.Add(describe(Earn(key_), Now()).encoded, Now()).status(), kResourceExhausted) << "another place";
  const Descriptor renewed = describe(good, Now());
  EXPECT_OK(directory.AddOf(key_.public_key(), renewed.encoded, Now()).status());
  EXPECT_EQ(directory.Find(key_.public_key(), Now())->encoded, renewed.encoded);
}

// What is said of strangers costs whoever made them up the work of their places.
TEST_F(AdmissionTest, AStrangerIsConvictedOnlyIfItWorkedForItsPlace) {
  Convictions convictions(network_);
  const auto proof = [&](const keys::SigningKey& key, const base::Bytes& admission) {
    RoutingTable one, other;
    one.owner = other.owner = MakePeer(network_, key.public_key(), 0, Role::kStoring, kAddress, admission);
    const keys::SigningKey friend_key = keys::SigningKey::Generate(rng_);
    one.successors = {MakePeer(network_, friend_key.public_key(), 0, Role::kStoring, kAddress, Earn(friend_key))};
    SignTable(network_, key, one, Now());
    SignTable(network_, key, other, Now());
    return MakeContradiction(HeadOf(one), HeadOf(other)).encoded;
  };
  const base::Bytes cheap = proof(key_, Fake(key_));
  EXPECT_STATUS(convictions.Hear(cheap, /*is_known=*/false, Now()), kPermissionDenied);
  EXPECT_EQ(convictions.CountConvicted(Now()), 0u);
  const keys::SigningKey other = keys::SigningKey::Generate(rng_);
  EXPECT_OK(convictions.Hear(proof(other, Earn(other)), /*is_known=*/false, Now()));
  EXPECT_OK(convictions.Hear(cheap, /*is_known=*/true, Now())) << "who stands in the table was looked at before";
}

TEST_F(AdmissionTest, AWorkerLooksOnceAtGoodAndBadWork) {
  const base::Bytes good = Earn(key_), bad = Fake(key_);
  keys::WorkMemory seen;
  const auto verify = [&](const base::Bytes& what) {
    return VerifyAdmissionOnce(network_, key_.public_key(), kAddress, what, seen);
  };
  const auto name = [&](const base::Bytes& what) { return AdmissionName(network_, key_.public_key(), kAddress, what); };
  EXPECT_TRUE(verify(good));
  EXPECT_FALSE(verify(bad));
  EXPECT_EQ(seen.Find(name(good)), std::optional<bool>(true));
  EXPECT_EQ(seen.Find(name(bad)), std::optional<bool>(false));
  seen.Remember(name(bad), true);  // only who does not look again believes this
  EXPECT_TRUE(verify(bad));
  EXPECT_FALSE(VerifyAdmissionOnce(network_, key_.public_key(), "127.1.0.1:10001", good, seen));
}

TEST_F(AdmissionTest, WorkIsLookedAtOnceAndSoOftenASecond) {
  AdmissionBook book;
  const auto check = [&](const keys::SigningKey& key, const base::Bytes& admission) {
    return book.Check(network_, key.public_key(), kAddress, admission, JudgedFor::kShown, Now());
  };
  const base::Bytes good = Earn(key_), bad = Fake(key_);
  for (int i = 0; i < 2 * kJudgedPerSecond; ++i) {
    EXPECT_OK(check(key_, good));
    EXPECT_STATUS(check(key_, bad), kPermissionDenied);
  }
  EXPECT_STATUS(book.Check(network_, key_.public_key(), kAddress, good, JudgedFor::kShown, Now() + absl::Hours(200)), kUnavailable);
  // Anything else of this second is left for the next one, but for what fails the filter and what is known.
  std::vector<base::Bytes> flood;
  for (int i = 0; i < kJudgedPerSecond; ++i) flood.push_back(Fake(key_));
  int refused = 0;
  for (const base::Bytes& fake : flood) refused += absl::IsResourceExhausted(check(key_, fake)) ? 1 : 0;
  EXPECT_EQ(refused, 2);
  EXPECT_OK(check(key_, good));
  const keys::SigningKey other = keys::SigningKey::Generate(rng_);
  const base::Bytes others = Earn(other);
  EXPECT_STATUS(check(other, others), kResourceExhausted);
  const keys::SigningKey called = keys::SigningKey::Generate(rng_);
  EXPECT_OK(book.Check(network_, called.public_key(), kAddress, Earn(called), JudgedFor::kOwnCalls, Now()))
      << "what others show does not use up what the own calls need";
  loop_.RunFor(absl::Seconds(1));
  EXPECT_OK(check(other, others));
}

class AdmittedRingTest : public AdmissionTest {
 protected:
  struct Node {
    Node(AdmittedRingTest& test, int port, const keys::SigningKey& of, base::Bytes with)
        : key(of),
          address(absl::StrCat("127.0.0.1:", port)),
          server(test.net_, address, key.public_key()),
          client(test.net_, key.public_key()),
          directory(test.network_),
          ring({.network = test.network_, .address = address, .admission = std::move(with)}, key, test.loop_, server, client,
               directory, test.rng_) {}

    const keys::SigningKey& key;
    const std::string address;
    MemoryServer server;
    MemoryClient client;
    Directory directory;
    RingDriver ring;
  };
  Node& Add(const keys::SigningKey& key, base::Bytes admission) {
    nodes_.push_back(std::make_unique<Node>(*this, ++port_, key, std::move(admission)));
    return *nodes_.back();
  }
  Node& Add() {
    keys_.push_back(std::make_unique<keys::SigningKey>(keys::SigningKey::Generate(rng_)));
    return Add(*keys_.back(), Earn(*keys_.back()));
  }
  absl::Status JoinNow(Node& node) {
    absl::Status result = absl::InternalError("never called");
    node.ring.Join({{"127.0.0.1:10001", std::nullopt}}, absl::Seconds(30),
                   [&](absl::Status status) { result = std::move(status); });
    loop_.RunFor(absl::Seconds(31));
    return result;
  }
  void Grow(size_t count) {
    Add().ring.Create();
    while (nodes_.size() < count) ASSERT_OK(JoinNow(Add()));
  }

  MemoryNet net_{loop_};
  int port_ = 10000;
  std::vector<std::unique_ptr<keys::SigningKey>> keys_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

TEST_F(AdmittedRingTest, WhoWorkedIsAMemberAndWhoDidNotIsNobody) {
  Grow(4);
  EXPECT_FALSE(JoinNow(Add(key_, Fake(key_))).ok());
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(nodes_[i]->ring.successors().size(), 3u);
    EXPECT_EQ(nodes_[i]->directory.Find(key_.public_key(), Now()), nullptr);
  }
}

TEST_F(AdmittedRingTest, AMemberMayNotRectifyAtAnotherPlaceThanItsDescriptorShows) {
  Grow(3);
  Node& member = *nodes_[1];
  Peer elsewhere = member.ring.self();
  const auto rectify = [&](const Peer& candidate) {
    absl::Status result;
    member.client.Call({nodes_[0]->address, nodes_[0]->key.public_key()}, kMethodRectify,
                       EncodeRequest(RectifyRequest{candidate, {}, {}, false}, 0), absl::Seconds(1),
                       [&](const absl::StatusOr<RpcAnswer>& answer) { result = answer.status(); });
    loop_.RunFor(absl::Seconds(2));
    return result;
  };
  EXPECT_OK(rectify(elsewhere));
  elsewhere = MakePeer(network_, member.key.public_key(), 0, Role::kStoring, member.address, Fake(member.key));
  EXPECT_STATUS(rectify(elsewhere), kUnauthenticated);
}

TEST_F(AdmittedRingTest, AtTheEndOfItsEpochANodeMovesToItsNextPlaceAndTheOldOneIsNoGood) {
  Grow(4);
  const keys::SigningKey& key = nodes_[3]->key;
  const uint32_t epoch = AdmissionEpoch(network_, key.public_key(), Now());
  const NodeId before = nodes_[3]->ring.self().point;
  const Peer old = nodes_[3]->ring.self();
  // Everybody else's place is good for long: only this key's clock matters here.
  base::Bytes next = Earn(key, epoch + 1);
  EXPECT_STATUS(CheckAdmissionTime(network_, key.public_key(), next, Now()), kUnavailable);
  network_.admission_overlap = AdmissionEnd(network_, key.public_key(), epoch) - Now() + absl::Seconds(1);
  for (auto& node : nodes_) node.reset();
  nodes_.clear();
  port_ = 10000;
  std::vector<std::unique_ptr<keys::SigningKey>> held = std::exchange(keys_, {});
  Add().ring.Create();
  for (int i = 0; i < 2; ++i) ASSERT_OK(JoinNow(Add()));
  Node& first = Add(key, old.admission);
  ASSERT_OK(JoinNow(first));
  EXPECT_EQ(first.ring.self().point, before);
  first.ring.Leave([] {});
  loop_.RunFor(absl::Seconds(2));
  nodes_.pop_back();
  Node& second = Add(key, std::move(next));
  ASSERT_OK(JoinNow(second));
  EXPECT_NE(second.ring.self().point, before);
  for (const auto& node : nodes_) {
    EXPECT_EQ(node->ring.successors().size(), 3u);
    for (const Peer& peer : node->ring.successors()) EXPECT_NE(peer.point, before);
  }
  const absl::Time after = AdmissionEnd(network_, key.public_key(), epoch) + network_.admission_overlap + absl::Seconds(1);
  EXPECT_STATUS(nodes_[0]->directory.CheckAdmitted(old, after), kUnavailable);
}

}  // namespace
}  // namespace overlay
