// SPDX-License-Identifier: Apache-2.0
// A whole node over the ends of its epochs: it leaves, and comes back at its next place, until it is told to stop.
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <thread>

#include "absl/time/clock.h"
#include "cli/admission_file.h"
#include "cli/node.h"
#include "cli/stop_signals.h"
#include "gtest/gtest.h"
#include "keys/key_store.h"
#include "overlay/admission.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

class NodeEpochTest : public testing::Test {
 protected:
  NodeEpochTest() : folder_(std::filesystem::temp_directory_path() / ("bulbil-epoch-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    std::filesystem::permissions(folder_, std::filesystem::perms::owner_all);
    network_.admission_effort = 2;
  }
  ~NodeEpochTest() override { std::filesystem::remove_all(folder_); }

  const std::filesystem::path folder_;
  overlay::Network network_;
  support::SeededRng rng_{4};
};

TEST_F(NodeEpochTest, WorkIsDoneOnceForAnEpochAndKept) {
  const std::string directory = folder_;
  ASSERT_OK_AND_ASSIGN(const keys::SigningKey key, keys::LoadOrCreateNodeKey(directory, rng_));
  const AdmissionFile file(directory);
  const auto obtain = [&](uint32_t epoch, const char* address = "127.0.0.1:1", bool stops = false) {
    return file.Obtain(network_, key.public_key(), address, epoch, rng_, [=] { return stops; });
  };
  ASSERT_OK_AND_ASSIGN(const base::Bytes first, obtain(7));
  EXPECT_TRUE(overlay::VerifyAdmission(network_, key.public_key(), "127.0.0.1:1", first));
  EXPECT_EQ(obtain(7, "127.0.0.1:1", /*stops=*/true).value(), first) << "without work";
  EXPECT_STATUS(obtain(8, "127.0.0.1:1", /*stops=*/true), kCancelled);
  EXPECT_STATUS(obtain(7, "127.1.0.1:1", /*stops=*/true), kCancelled) << "another prefix";
  ASSERT_OK_AND_ASSIGN(const base::Bytes second, obtain(8));
  EXPECT_EQ(overlay::EpochOf(second), 8u);
  EXPECT_EQ(obtain(7, "127.0.0.1:1", /*stops=*/true).value(), first) << "both are kept";
  EXPECT_EQ(file.Obtain(overlay::Network::Local(), key.public_key(), "127.0.0.1:1", 7, rng_, [] { return true; }).value(),
            base::Bytes());
}

// On a thread of its own, for it may take minutes: whoever waits for its end waits for a step of it.
TEST_F(NodeEpochTest, WorkAheadIsStoppedAtOnceAndElseKept) {
  const std::string directory = folder_;
  ASSERT_OK_AND_ASSIGN(const keys::SigningKey key, keys::LoadOrCreateNodeKey(directory, rng_));
  overlay::Network endless = network_;
  endless.admission_effort = UINT32_MAX;
  { const AdmissionWork work(directory, endless, key.public_key(), "127.0.0.1:1", 7); }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "admission"));
  const AdmissionWork work(directory, network_, key.public_key(), "127.0.0.1:1", 8);
  while (!std::filesystem::exists(folder_ / "admission")) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_OK(AdmissionFile(directory).Obtain(network_, key.public_key(), "127.0.0.1:1", 8, rng_, [] { return true; }).status());
}

TEST_F(NodeEpochTest, ANodeLeavesAtTheEndOfItsEpochAndComesBackUntilItIsStopped) {
  network_.admission_epoch = absl::Seconds(4);  // others would take it for a long time yet
  NodeOptions options{.network = network_, .home = Home(folder_.string()), .listen = "127.0.0.1:0"};
  BlockStopSignals();
  int code = -1;
  std::thread node([&] { code = RunNode(options); });
  std::set<uint32_t> epochs;  // of the places that were worked for
  const absl::Time patience = absl::Now() + absl::Minutes(2);
  while (epochs.size() < 4 && absl::Now() < patience) {
    absl::SleepFor(absl::Milliseconds(200));
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_, std::filesystem::directory_options::skip_permission_denied)) {
      if (entry.path().filename() != "node.key") continue;
      const std::string directory = entry.path().parent_path();
      const absl::StatusOr<keys::SigningKey> key = keys::LoadOrCreateNodeKey(directory, rng_);
      if (!key.ok()) continue;
      const uint32_t now = overlay::AdmissionEpoch(network_, key->public_key(), absl::Now());
      const auto kept =
          AdmissionFile(directory).Obtain(network_, key->public_key(), "127.0.0.1:1", now, rng_, [] { return true; });
      if (kept.ok()) epochs.insert(now);
    }
  }
  EXPECT_GE(epochs.size(), 4u);
  kill(getpid(), SIGTERM);
  node.join();
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace cli
