// SPDX-License-Identifier: Apache-2.0
#include "cli/people_screens.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/terminal_text.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/values.h"
#include "keys/address.h"

namespace cli {
namespace {

std::string Shown(const std::string& name) { return base::SanitizeForTerminal(base::AsBytes(name)).text; }

const char* TrustMark(const chat::Contact& contact) {
  if (contact.changed_key) return "!";
  return contact.verified ? "✔" : "?";
}

const char* TrustWord(const chat::Contact& contact) {
  if (contact.changed_key) return "key changed";
  return contact.verified ? "verified" : "not verified";
}

bool IsBlocked(const chat::Conversation* conversation) {
  return conversation != nullptr && conversation->standing() == chat::Standing::kBlocked;
}

const char* SessionWord(const chat::Conversation* conversation) {
  if (IsBlocked(conversation)) return "blocked";
  if (conversation == nullptr || !conversation->has_session()) return "no session yet";
  return conversation->confirmed() ? "session" : "asked, not answered yet";
}

size_t Waiting(const chat::Conversation* conversation) {
  if (conversation == nullptr) return 0;
  const auto& messages = conversation->outbox().messages();
  return static_cast<size_t>(std::count_if(messages.begin(), messages.end(), [](const auto& one) {
    return one.second.state == chat::DeliveryState::kQueued && !one.second.is_control;
  }));
}

const char* StateWord(chat::DeliveryState state) {
  switch (state) {
    case chat::DeliveryState::kQueued:
      return "queued";
    case chat::DeliveryState::kStored:
      return "stored";
    case chat::DeliveryState::kDelivered:
      return "delivered";
    case chat::DeliveryState::kRefused:
      return "refused";
    case chat::DeliveryState::kExpired:
      break;
  }
  return "expired";
}

const char* NoticeWord(chat::BookNotice::Kind kind) {
  using Kind = chat::BookNotice::Kind;
  switch (kind) {
    case Kind::kReplaced:
      return "session_replaced";
    case Kind::kLost:
      return "messages_lost";
    case Kind::kAnswered:
      return "request_answered";
    case Kind::kRequest:
      return "request";
    case Kind::kInviteTaken:
      return "invite_taken";
    case Kind::kUnreadable:
      return "request_unreadable";
    case Kind::kNoRoom:
      return "file_refused";
    case Kind::kGroupInvited:
      return "group_invitation";
    case Kind::kGroupJoined:
      return "group_joined";
    case Kind::kGroupLeft:
      return "group_left";
    case Kind::kGroupEnded:
      return "group_removed";
    case Kind::kGroupLost:
      return "group_messages_lost";
    case Kind::kGroupRestarted:
      return "group_keys_replaced";
    case Kind::kGroupStale:
      return "group_list_old";
    case Kind::kGroupUnheard:
      return "group_invitation_no_room";
    case Kind::kTooManyRequests:
      break;
  }
  return "requests_dropped";
}

}  // namespace

std::string ContactLine(const chat::Contact& contact, const chat::Conversation* conversation) {
  const size_t waiting = Waiting(conversation);
  return absl::StrCat(Shown(contact.name), " ", TrustMark(contact), "   ",
                      contact.reply ? "answers a note of yours" : TrustWord(contact), ", ", SessionWord(conversation),
                      contact.acknowledge ? ", receipts on" : "",
                      contact.life > 0 ? absl::StrCat(", disappearing after ", ShownDuration(chat::LifeOf(contact.life))) : "",
                      waiting > 0 ? absl::StrCat(", ", waiting, " queued") : "", "\n");
}

std::string LostWithOldKey(const chat::Conversation* conversation) {
  const size_t waiting = Waiting(conversation);
  if (waiting == 0) return "";
  return absl::StrCat(waiting, waiting == 1 ? " message that waits goes" : " messages that wait go",
                      " with the old key: write again\n");
}

std::string ContactJson(const chat::Contact& contact, const chat::Conversation* conversation) {
  return JsonObject()
      .Add("schema", 1)
      .Add("type", "contact")
      .Add("name", contact.name)
      .Add("address", keys::FormatAddress(contact.address()))
      .Add("answers_a_note", contact.reply.has_value())
      .Add("verified", contact.verified)
      .Add("key_changed", contact.changed_key.has_value())
      .Add("blocked", IsBlocked(conversation))
      .Add("session", conversation != nullptr && conversation->confirmed())
      .Add("receipts", contact.acknowledge)
      .Add("disappear_seconds", absl::ToInt64Seconds(chat::LifeOf(contact.life)))
      .Add("queued", Waiting(conversation))
      .Line();
}

std::string GroupLine(const chat::Group& group, const keys::PublicKey& self, const std::string& creator) {
  const std::string name = Shown(group.name);
  switch (group.state) {
    case chat::Group::State::kInvited:
      return absl::StrCat(name, "   ", Shown(creator), " invites you, ", group.members.size(),
                          " people with you\n  accept: bulbil groups accept ", ShellQuoted(name),
                          "     decline: bulbil groups leave ", ShellQuoted(name), "\n");
    case chat::Group::State::kMember:
      return absl::StrCat(name, "   ", group.members.size(), " people, made by ", group.creator == self ? "you" : Shown(creator),
                          group.life > 0 ? absl::StrCat(", disappearing after ", ShownDuration(chat::LifeOf(group.life))) : "",
                          "\n");
    case chat::Group::State::kEnded:
      break;
  }
  return absl::StrCat(name, "   you were taken out of it\n");
}

std::string GroupJson(const chat::Group& group, const keys::PublicKey& self) {
  using State = chat::Group::State;
  return JsonObject()
      .Add("schema", 1)
      .Add("type", "group")
      .Add("name", group.name)
      .Add("state", group.state == State::kInvited  ? "invited"
                    : group.state == State::kMember ? "member"
                                                    : "removed")
      .Add("creator", keys::FormatAddress(group.creator))
      .Add("own", group.creator == self)
      .Add("members", group.members.size())
      .Add("disappear_seconds", absl::ToInt64Seconds(chat::LifeOf(group.life)))
      .Line();
}

std::string RequestLine(const keys::PublicKey& key, const std::string& tag) {
  return absl::StrCat(tag, "   ", keys::FormatAddress(key), "\n  let in: bulbil accept '", tag,
                      "' --name NAME     block: bulbil contacts block '", tag, "'\n");
}

std::string RequestJson(const keys::PublicKey& key, const std::string& tag) {
  return JsonObject().Add("schema", 1).Add("type", "request").Add("tag", tag).Add("address", keys::FormatAddress(key)).Line();
}

const char* StateMark(chat::DeliveryState state) {
  switch (state) {
    case chat::DeliveryState::kQueued:
      return "·";
    case chat::DeliveryState::kStored:
      return "✓";
    case chat::DeliveryState::kDelivered:
      return "✓✓";
    case chat::DeliveryState::kRefused:
    case chat::DeliveryState::kExpired:
      break;
  }
  return "✗";
}

std::string StateText(const chat::StateChange& change) {
  if (change.state == chat::DeliveryState::kQueued && change.pieces > 0) {
    return absl::StrCat("a file, ", change.stored, " of ", change.pieces, " boxes stored");
  }
  if (change.state != chat::DeliveryState::kStored) return StateWord(change.state);
  return absl::StrCat("stored on ", change.copies);
}

std::string OutgoingText(const chat::Outbox& outbox, absl::Time now, absl::TimeZone zone) {
  constexpr size_t kLines = 10;
  std::string text;
  const auto& messages = outbox.messages();
  const size_t skip = messages.size() > kLines ? messages.size() - kLines : 0;
  size_t at = 0;
  for (const auto& [number, message] : messages) {
    if (at++ < skip || message.is_control) continue;
    absl::StrAppend(&text, "  ", StateMark(message.state), " ", base::ToHex(base::ByteView(message.id).first(2)), "  ",
                    absl::FormatTime("%Y-%m-%d %H:%M", message.queued_at, zone), "  ", StateText(chat::StateOf(message)),
                    !message.Final() && message.expiry != absl::InfiniteFuture() && message.expiry > now
                        ? absl::StrCat(", until ", absl::FormatTime("%Y-%m-%d", message.expiry, zone))
                        : "",
                    "\n");
  }
  return text;
}

absl::StatusOr<uint8_t> ParseMessageLife(const std::string& text) {
  const auto life = text == "off" ? std::optional(absl::ZeroDuration()) : ParseDuration(text);
  const auto code = life ? chat::LifeCode(*life) : std::nullopt;
  if (code) return *code;
  return Fail({.exit = Exit::kUsage,
               .what = absl::StrCat("messages cannot disappear after \"", Cut(text), "\""),
               .why = {"there is: off, 30s, 5m, 30m, 1h, 6h, 12h, 24h, 3d, 7d, 14d, 28d"}});
}

std::string MessageLifeText(const std::string& name, uint8_t code) {
  if (code == 0) return absl::StrCat("what you write to ", name, " from now on is kept");
  return absl::StrCat("what you write to ", name, " from now on is deleted ", ShownDuration(chat::LifeOf(code)),
                      " after it was written here, and so long after it was read there");
}

std::string NoticeText(const chat::BookNotice& notice, const std::string& who, const std::string& group) {
  using Kind = chat::BookNotice::Kind;
  const std::string name = Shown(who), in = Shown(group);
  switch (notice.kind) {
    case Kind::kReplaced:
      return absl::StrCat("! ", name,
                          " has a new session with you: restored from a backup, or another device. Compare words if in doubt:\n",
                          "    bulbil contacts verify ", ShellQuoted(name), "\n");
    case Kind::kLost:
      return absl::StrCat("! ", notice.count, notice.count == 1 ? " message" : " messages", " of ", name,
                          " expired before you read it\n");
    case Kind::kAnswered:
      return absl::StrCat("  ", name, " accepted you\n");
    case Kind::kRequest:
      return absl::StrCat("  a stranger writes: ", name, "   see: bulbil contacts requests\n");
    case Kind::kInviteTaken:
      return absl::StrCat("  ", name, " accepted your invite\n");
    case Kind::kNoRoom:
      return absl::StrCat("! ", notice.count == 1 ? "a file" : absl::StrCat(notice.count, " files"), " of ", name,
                          notice.count == 1 ? " was" : " were", " refused: no room. See: bulbil files list\n");
    case Kind::kGroupInvited:
      return absl::StrCat("  ", name, " invites you to ", in, "   see: bulbil groups list\n");
    case Kind::kGroupJoined:
      return absl::StrCat("  ", name, " was invited to ", in, ", and can read what is written from now on\n");
    case Kind::kGroupLeft:
      return absl::StrCat("  ", name, " is not in ", in, " any more; what you had not read of them is not shown\n");
    case Kind::kGroupEnded:
      return absl::StrCat("! ", name, " has taken you out of ", in, "\n");
    case Kind::kGroupLost:
      return absl::StrCat("! ", notice.count, notice.count == 1 ? " message" : " messages", " of ", name, " in ", in,
                          " expired before you read it\n");
    case Kind::kGroupRestarted:
      return absl::StrCat("! ", name, " writes to ", in, " with fresh keys: restored from a backup\n");
    case Kind::kGroupStale:
      return absl::StrCat("! ", name, " knows of changes of ", in,
                          " that your backup does not. Look who is in it:  bulbil groups show ", ShellQuoted(in), "\n");
    case Kind::kGroupUnheard:
      return absl::StrCat(
          "! ", notice.count == 1 ? "an invitation" : absl::StrCat(notice.count, " invitations"), " of ", name,
          " found no room: too many wait. Accept or leave one; a day later it comes again:  bulbil groups list\n");
    case Kind::kUnreadable:
      return "! somebody's request could not be opened: its key was used up. The sender tries again by itself\n";
    case Kind::kTooManyRequests:
      break;
  }
  return absl::StrCat("! too many requests wait: ", notice.count, " of the least work ", notice.count == 1 ? "was" : "were",
                      " dropped. See: bulbil contacts requests\n");
}

std::string NoticeJson(const chat::BookNotice& notice, const std::string& who, const std::string& group) {
  JsonObject json;
  json.Add("schema", 1)
      .Add("type", "notice")
      .Add("notice", NoticeWord(notice.kind))
      .Add("contact", who)
      .Add("count", notice.count);
  if (notice.group) json.Add("group", group);
  return json.Line();
}

std::string StateJson(const chat::ContactBook::Change::State& state, const std::string& who, bool is_group) {
  return JsonObject()
      .Add("schema", 1)
      .Add("type", "state")
      .Add(is_group ? "group" : "contact", who)
      .Add("id", base::ToHex(state.change.id))
      .Add("state", StateWord(state.change.state))
      .Add("copies", int{state.change.copies})
      .Line();
}

}  // namespace cli
