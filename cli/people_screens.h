// SPDX-License-Identifier: Apache-2.0
// cli/people_screens.h — how contacts, requests, notices and the states of messages read on a screen and in JSON.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "chat/contact_book.h"

namespace cli {

inline constexpr size_t kShownNameMax = 24;  // characters

// "bob ✔", "carol ?", "dave !" and what waits. `conversation` may be null.
std::string ContactLine(const chat::Contact& contact, const chat::Conversation* conversation);
// What accepting a changed key costs, a line; empty: nothing.
std::string LostWithOldKey(const chat::Conversation* conversation);
std::string ContactJson(const chat::Contact& contact, const chat::Conversation* conversation);
std::string GroupLine(const chat::Group& group, const keys::PublicKey& self, const std::string& creator);
std::string GroupJson(const chat::Group& group, const keys::PublicKey& self);
std::string RequestLine(const keys::PublicKey& key, const std::string& tag);
std::string RequestJson(const keys::PublicKey& key, const std::string& tag);

// "queued", "a file, 12 of 60 boxes stored", "stored on 3", "delivered", "expired", "refused"; and the mark before it: · ✓ ✓✓ ✗.
std::string StateText(const chat::StateChange& change);
const char* StateMark(chat::DeliveryState state);
// The last messages to a contact, a line each, without their text.
std::string OutgoingText(const chat::Outbox& outbox, absl::Time now, absl::TimeZone zone);

// "1h", "off" to a code of chat/message_life.h. kUsage with what there is.
absl::StatusOr<uint8_t> ParseMessageLife(const std::string& text);
// What the setting means, for a person.
std::string MessageLifeText(const std::string& name, uint8_t code);

// One line for stderr, or an object for stdout with --json. `who`: the name, or the tag of a stranger.
// `group`: of a notice about one, as OpenBook::NameOf has it.
std::string NoticeText(const chat::BookNotice& notice, const std::string& who, const std::string& group = "");
std::string NoticeJson(const chat::BookNotice& notice, const std::string& who, const std::string& group = "");
// `who`: a contact, or a group in its brackets.
std::string StateJson(const chat::ContactBook::Change::State& state, const std::string& who, bool is_group);

}  // namespace cli
