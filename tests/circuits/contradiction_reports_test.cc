// SPDX-License-Identifier: Apache-2.0
#include "circuits/contradiction_reports_driver.h"

#include <set>

#include "gtest/gtest.h"
#include "tests/circuits/fake_network.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

class ContradictionReportsTest : public testing::Test {
 protected:
  ContradictionReportsTest() : user_(net_.AddNode(overlay::Role::kStoring, 0, /*keeps_relays=*/true)) {
    net_.AddNodes(12);
    net_.on_report = [this](size_t node, base::ByteView proof) {
      reported_.push_back(node);
      EXPECT_TRUE(overlay::DecodeContradiction(net_.network, proof, net_.loop.WallNow()).ok());
    };
  }
  // As if two askers had been told different things; this one hears both.
  void Catch(size_t liar) {
    net_.convictions(user_).Observe(net_.table(liar), true, net_.loop.WallNow());
    net_.convictions(user_).Observe(net_.SecondTable(liar), true, net_.loop.WallNow());
  }

  FakeNetwork net_{35};
  const size_t user_;
  std::vector<size_t> reported_;
};

TEST_F(ContradictionReportsTest, LeaveThroughCircuitsToSeveralOthers) {
  Catch(4);
  EXPECT_TRUE(reported_.empty()) << "never at once: the liar may be waiting for it";
  net_.loop.RunFor(absl::Minutes(10));
  EXPECT_EQ(reported_.size(), static_cast<size_t>(kReportCopies));
  for (const size_t node : reported_) {
    EXPECT_NE(node, user_);
    EXPECT_NE(node, 4u);
  }
  net_.loop.RunFor(absl::Minutes(10));
  EXPECT_EQ(reported_.size(), static_cast<size_t>(kReportCopies));
}

TEST_F(ContradictionReportsTest, WhoWasCaughtIsNoHopAnyMore) {
  const auto paths_with = [&](size_t node) {
    int found = 0;
    for (int i = 0; i < 40; ++i) {
      const FakeNetwork::Outcome outcome = net_.Operate(user_, overlay::NodeId::Random(net_.rng()));
      EXPECT_OK(outcome.answer);
      if (!outcome.opened.ok()) continue;
      const auto& path = outcome.opened->path;
      found += std::count(path.begin(), path.end(), net_.node_key(node)) > 0 ? 1 : 0;
    }
    return found;
  };
  EXPECT_GT(paths_with(5), 0);
  Catch(5);
  net_.loop.RunFor(absl::Hours(1));  // circuits from before are gone
  EXPECT_EQ(paths_with(5), 0);
}

TEST_F(ContradictionReportsTest, ReportsThatAreSwallowedAreTriedAgainAndGivenUp) {
  net_.endpoints_answer = false;  // of other requests; a report is answered by the one below
  for (size_t i = 1; i < net_.size(); ++i) net_.Mute(i);
  Catch(6);
  net_.loop.RunFor(absl::Hours(1));
  EXPECT_TRUE(reported_.empty());
  EXPECT_LE(net_.stats(user_).own, 8u) << "nothing is left of the tries";
}

TEST(ReportEndpoint, TakesReportsAndNothingElse) {
  struct Inner : EndpointHandler {
    int asked = 0;
    void OnEndpointRequest(EndpointRequest request) override {
      ++asked;
      request.answer({});
    }
  } inner;
  std::vector<base::Bytes> heard;
  ReportEndpoint endpoint(inner, [&](base::ByteView proof) { heard.push_back(base::ToBytes(proof)); });
  int answered = 0;
  const auto ask = [&](base::Bytes payload) {
    endpoint.OnEndpointRequest({{}, std::move(payload), [&](base::Bytes) { ++answered; }});
  };
  ask({});
  ask({1, 2, 3});
  ask({kReportOperation});              // cut short
  ask({kReportOperation, 0, 9, 1, 2});  // the same
  ask({kReportOperation, 0, 2, 8, 9, 0});
  EXPECT_EQ(answered, 5);
  EXPECT_EQ(inner.asked, 2);
  EXPECT_EQ(heard, (std::vector<base::Bytes>{{}, {}, {8, 9}}));
}

}  // namespace
}  // namespace circuits
