// SPDX-License-Identifier: Apache-2.0
// cli/talk_screens.h — what `send` and `poll` print. Text of messages passes base::SanitizeForTerminal, in JSON too.
#pragma once

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "chat/inbox.h"
#include "chat/poller.h"
#include "chat/sender.h"

namespace cli {

// Distinct nodes that hold something of the note, places taken, envelopes: what a result adds up to.
struct SentTotals {
  size_t envelopes = 0, places = 0, copies = 0;
  size_t copies_least = 0;  // of the envelope that has the fewest, at its better place
};
SentTotals TotalsOf(const chat::SendResult& result);

// One line; says "stored", never "delivered": nobody knows that yet.
std::string SentText(const chat::SendResult& result, absl::Duration took, absl::Time now);
std::string SentJson(const chat::SendResult& result, absl::Duration took);

// A head line, the text indented by four, an empty line. `zone` for times as people read them.
// What the sender is called here; no name: unknown, or nobody.
struct Sender {
  std::string name;
  bool verified = false;
  std::optional<keys::PublicKey> address;  // if it is not the key that the message stands under (Contact::reply)
  std::string group;                       // [NAME] of the group that it was written to
};
std::string MessageText(const chat::Message& message, absl::Time now, absl::TimeZone zone, const Sender& sender = {});
// "verified": of a note, that its signature is right; of what was written in a conversation or a group, that a person has
// compared the sender's words.
std::string MessageJson(const chat::Message& message, const std::string& mailbox, const Sender& sender = {});

std::string SummaryText(const chat::PollResult& result, const std::string& mailbox);
std::string SummaryJson(const chat::PollResult& result, const std::string& mailbox);

}  // namespace cli
