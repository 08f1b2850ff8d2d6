// SPDX-License-Identifier: Apache-2.0
// A round of a contact book over fake circuits, on a disk that fails.
#include "chat/exchange_driver.h"

#include <gtest/gtest.h>

#include "chat/memory_inbox_store.h"
#include "tests/chat/fake_operations.h"
#include "tests/support/manual_loop.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

// Fails one write, and counts those that come after it.
class FailingStore : public MemoryInboxStore {
 public:
  absl::Status Apply(const std::vector<InboxWrite>& writes) override {
    if (writes_until_failure < 0) ++writes_after;
    if (writes_until_failure-- != 0) return MemoryInboxStore::Apply(writes);
    if (on_failure) on_failure();
    return absl::UnavailableError("no room");
  }
  int writes_until_failure = 0, writes_after = 0;
  std::function<void()> on_failure;
};

// A change says what differs from the one before it: over a hole it would be wrong for ever.
TEST(ExchangeDriverTest, AfterAWriteThatFailedNothingMoreIsWritten) {
  for (int failing = 0; failing < 4; ++failing) {
    support::SeededRng rng(7);
    support::ManualLoop loop;
    support::FakePlaces places(loop, "local", 9, rng);
    support::FakeOperations operations(places, rng);
    const keys::SigningKey key = keys::SigningKey::Generate(rng), other = keys::SigningKey::Generate(rng);
    FailingStore store;
    Inbox inbox(store, key, rng);
    ContactBook book({}, key, rng);
    ASSERT_OK(book.Add("bob", other.public_key()));
    store.writes_until_failure = failing;
    store.on_failure = [&] { EXPECT_OK(book.Send(other.public_key(), base::Bytes{'x'}, loop.WallNow())); };
    ExchangeDriver driver({}, operations, loop, rng);
    absl::StatusOr<ExchangeResult> result = absl::UnknownError("never done");
    driver.Run(
        {.book = &book, .inbox = &inbox}, [](const ContactBook::Change&) { return absl::OkStatus(); },
        [&](absl::StatusOr<ExchangeResult> done) { result = std::move(done); });
    loop.RunFor(absl::Minutes(3));
    ASSERT_LT(store.writes_until_failure, 0) << "the round did not get so far";
    EXPECT_STATUS(result, kUnavailable);
    EXPECT_EQ(store.writes_after, 0) << failing;
  }
}

}  // namespace
}  // namespace chat
