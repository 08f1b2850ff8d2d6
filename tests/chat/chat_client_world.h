// SPDX-License-Identifier: Apache-2.0
// tests/chat/chat_client_world.h — a client of two people over fake circuits and stores: real sender, poller, mailboxes, inboxes.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "chat/chat_client.h"
#include "chat/memory_inbox_store.h"
#include "tests/chat/fake_operations.h"
#include "tests/support/manual_loop.h"
#include "tests/support/status_matchers.h"

namespace support {

// An inbox whose owner can crash: from then on nothing is written any more.
class CrashingStore : public chat::MemoryInboxStore {
 public:
  absl::Status Apply(const std::vector<chat::InboxWrite>& writes) override {
    if (writes_left == 0) return absl::UnavailableError("crashed");
    --writes_left;
    return chat::MemoryInboxStore::Apply(writes);
  }
  int writes_left = -1;
};

struct MailboxOwner {
  explicit MailboxOwner(base::Rng& rng) : key(keys::SigningKey::Generate(rng)), inbox(store, key, rng) {}

  keys::SigningKey key;
  CrashingStore store;
  chat::Inbox inbox;
};

struct Polled {
  absl::StatusOr<chat::PollResult> result = absl::UnknownError("never done");
  std::vector<std::string> texts;
  std::vector<chat::Message> messages;
};

class ChatClientWorld : public testing::Test {
 protected:
  ChatClientWorld() { Restart(); }

  // A new process of the same client: whatever was under way is gone.
  void Restart() { client_ = std::make_unique<chat::ChatClient>(options_, operations_, loop_, rng_); }

  absl::StatusOr<chat::SendResult> Send(const MailboxOwner& to, std::string_view text, const MailboxOwner* signer = nullptr) {
    absl::StatusOr<chat::SendResult> result = absl::UnknownError("never done");
    client_->Send({to.key.public_key(), base::ToBytes(base::AsBytes(text)), signer ? &signer->key : nullptr},
                  [&](absl::StatusOr<chat::SendResult> sent) { result = std::move(sent); });
    loop_.RunFor(absl::Minutes(3));
    return result;
  }
  Polled Poll(MailboxOwner& who) {
    Polled polled;
    StartPoll(who, polled);
    loop_.RunFor(absl::Minutes(6));
    return polled;
  }
  // Polls until nothing moves any more, then dies. What it had shown.
  std::vector<std::string> CrashInPoll(MailboxOwner& who) {
    Polled polled;
    StartPoll(who, polled);
    loop_.RunFor(absl::Seconds(5));
    Restart();
    operations_.open_now = 0;
    return polled.texts;
  }
  void StartPoll(MailboxOwner& who, Polled& polled, bool today_only = false, bool waits = false) {
    client_->Poll(
        {&who.key, &who.inbox, loop_.WallNow(), imported_, today_only, waits},
        [&](const chat::Message& message) {
          if (polled.texts.size() == shown_max_) return absl::UnavailableError("the output is closed");
          polled.texts.push_back(base::ToString(message.text));
          polled.messages.push_back(message);
          return absl::OkStatus();
        },
        [&](absl::StatusOr<chat::PollResult> result) { polled.result = std::move(result); });
  }

  SeededRng rng_{7};
  ManualLoop loop_;
  FakePlaces places_{loop_, "local", 9, rng_};
  FakeOperations operations_{places_, rng_};
  chat::ChatClient::Options options_;
  bool imported_ = false;
  size_t shown_max_ = SIZE_MAX;  // what the output takes
  std::unique_ptr<chat::ChatClient> client_;
  MailboxOwner alice_{rng_}, bob_{rng_};
};

}  // namespace support
