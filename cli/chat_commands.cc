// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_commands.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/book_errors.h"
#include "cli/errors.h"
#include "cli/file_commands.h"
#include "cli/people_screens.h"
#include "cli/qr.h"
#include "cli/values.h"
#include "keys/address.h"

namespace cli {
namespace {

// One command on its way through the book.
struct Call {
  OpenBook& open;
  const std::string& network;
  const std::vector<std::string>& words;
  const std::optional<keys::PublicKey>& about;

  std::string Word(size_t index) const { return index < words.size() ? words[index] : ""; }
};

absl::Status Usage(const char* example) { return Fail({.exit = Exit::kUsage, .what = absl::StrCat("as in: ", example)}); }

// The contact whose thread is open.
absl::StatusOr<chat::Contact> Partner(const Call& call) {
  const auto& contacts = call.open.book().contacts();
  const auto contact = call.about ? contacts.find(*call.about) : contacts.end();
  if (contact == contacts.end()) return Fail({.exit = Exit::kUsage, .what = "open a contact first: Alt-1..9 or Ctrl-G"});
  return contact->second;
}

absl::StatusOr<ChatReply> Add(const Call& call) {
  if (call.words.size() != 3) return Usage("/add bob bulb1...");
  RETURN_IF_ERROR(CheckTypedName(call.Word(1)));
  const auto key = keys::ParseAddress(call.Word(2));
  if (!key.ok()) return ExplainAddress(key.status(), call.Word(2));
  RETURN_IF_ERROR(ExplainBook(call.open.book().Add(call.Word(1), *key), call.Word(1)));
  return ChatReply{absl::StrCat("added ", call.Word(1), ", not verified yet: /verify, and compare the words")};
}

absl::StatusOr<ChatReply> Accept(const Call& call) {
  if (call.words.size() != 3) return Usage("/accept CODE bob   or: /accept #a91b03 bob");
  const std::string& name = call.words[2];
  RETURN_IF_ERROR(CheckTypedName(name));
  if (call.words[1][0] == '#') {
    RETURN_IF_ERROR(call.open.CheckTag(call.words[1]));
    const auto stranger = call.open.Find(call.words[1]);
    if (!stranger.ok()) {
      RETURN_IF_ERROR(call.open.Answer(call.words[1], name).status());
      return ChatReply{absl::StrCat("added ", name, ": write your answer there")};
    }
    RETURN_IF_ERROR(ExplainBook(call.open.book().AcceptKey(stranger->key, name), name));
    return ChatReply{absl::StrCat("accepted ", name)};
  }
  const auto code = chat::ParseInvite(call.words[1]);
  if (!code.ok()) return Fail({.exit = Exit::kIdentity, .what = "this is not a valid invite code"});
  RETURN_IF_ERROR(ExplainBook(call.open.book().TakeUp(*code, name, absl::Now()), name));
  return ChatReply{absl::StrCat("added ", name)};
}

absl::StatusOr<ChatReply> Invite(const Call& call) {
  if (call.words.size() > 2) return Usage("/invite bob");
  if (call.words.size() == 2) RETURN_IF_ERROR(CheckTypedName(call.words[1]));
  const auto code = call.open.book().CreateInvite(call.Word(1), chat::kInviteLifeDefault, absl::Now());
  if (!code.ok()) return ExplainBook(code.status(), call.Word(1));
  return ChatReply{absl::StrCat("One person can accept this code within ", ShownDuration(chat::kInviteLifeDefault),
                                ". Give it over a way that others do not see:\n\n", chat::FormatInvite(*code)),
                   /*page=*/true};
}

absl::StatusOr<ChatReply> Verify(const Call& call) {
  ASSIGN_OR_RETURN(const chat::Contact contact, Partner(call));
  if (contact.reply) return NothingToVerify(contact.name);
  if (call.Word(1) == "yes") {
    if (contact.changed_key) RETURN_IF_ERROR(ExplainBook(call.open.book().AcceptChangedKey(contact.name), contact.name));
    call.open.book().SetVerified(contact.changed_key.value_or(contact.key), true);
    return ChatReply{absl::StrCat(contact.name, " is verified")};
  }
  const keys::PublicKey& own = call.open.identity().key.public_key();
  const keys::PublicKey key = contact.changed_key.value_or(contact.key);
  return ChatReply{absl::StrCat(contact.changed_key ? "THE KEY HAS CHANGED. These are the words of the new one.\n" : "",
                                contact.changed_key ? LostWithOldKey(call.open.book().FindConversation(contact.key)) : "",
                                contact.changed_key ? "\n" : "", "  ",
                                chat::SafetyWords(call.network, own, key), "\n  ", chat::SafetyNumber(call.network, own, key),
                                "\n\nIf ", contact.name, " sees the same over another channel:  /verify yes"),
                   /*page=*/true};
}

absl::StatusOr<ChatReply> Block(const Call& call) {
  chat::Contact contact;
  if (call.words.size() > 1) {
    ASSIGN_OR_RETURN(contact, call.open.Find(call.words[1]));
  } else {
    ASSIGN_OR_RETURN(contact, Partner(call));
  }
  RETURN_IF_ERROR(ExplainBook(call.open.book().Block(contact.key), contact.name));
  return ChatReply{absl::StrCat("blocked ", call.open.NameOf(contact.key), "; the other side is not told")};
}

absl::StatusOr<ChatReply> Unblock(const Call& call) {
  if (call.words.size() != 2) return Usage("/unblock bob");
  ASSIGN_OR_RETURN(const chat::Contact contact, call.open.Find(call.words[1]));
  const std::string name = call.open.NameOf(contact.key);
  if (!call.open.book().IsBlocked(contact.key))
    return Fail({.exit = Exit::kUsage, .what = absl::StrCat(name, " is not blocked")});
  RETURN_IF_ERROR(ExplainBook(call.open.book().Unblock(contact.key), name));
  return ChatReply{absl::StrCat("unblocked ", name, "; what was written meanwhile is read")};
}

absl::StatusOr<ChatReply> Receipts(const Call& call) {
  ASSIGN_OR_RETURN(const chat::Contact contact, Partner(call));
  if (call.Word(1) != "on" && call.Word(1) != "off") return Usage("/receipts on");
  call.open.book().SetAcknowledge(contact.key, call.Word(1) == "on");
  return ChatReply{absl::StrCat(contact.name, call.Word(1) == "on" ? " is told" : " is not told", " what has arrived here")};
}

absl::StatusOr<ChatReply> Disappear(const Call& call) {
  const bool is_group = call.about && call.open.book().groups().Find(*call.about) != nullptr;
  if (!is_group) RETURN_IF_ERROR(Partner(call).status());
  ASSIGN_OR_RETURN(const uint8_t code, ParseMessageLife(call.Word(1)));
  call.open.book().SetLife(*call.about, code);
  return ChatReply{MessageLifeText(call.open.NameOf(*call.about), code)};
}

absl::StatusOr<ChatReply> Burn(const Call& call) {
  if (call.words.size() != 1) return Usage("/burn   (of the contact or group that is open)");
  const bool is_group = call.about && call.open.book().groups().Find(*call.about) != nullptr;
  if (!is_group) RETURN_IF_ERROR(Partner(call).status());
  RETURN_IF_ERROR(call.open.EraseHistory(*call.about));
  return ChatReply{.text = "what was said is gone from this machine; what waits to be sent still goes", .cleared = true};
}

absl::StatusOr<ChatReply> Requests(const Call& call) {
  std::string text;
  for (const auto& [key, contact] : call.open.book().contacts()) {
    const chat::Conversation* conversation = call.open.book().FindConversation(key);
    if (!contact.name.empty() || conversation == nullptr || !conversation->asks()) continue;
    absl::StrAppend(&text, TagOf(key), "  ", keys::FormatAddress(key), "\n  /accept ", TagOf(key), " NAME    /block ", TagOf(key),
                    "\n");
  }
  return ChatReply{text.empty() ? "nobody waits" : text, /*page=*/!text.empty()};
}

// A path, or a name, may have spaces.
std::string Words(const Call& call, size_t from) {
  return absl::StrJoin(call.words.begin() + static_cast<ptrdiff_t>(std::min(from, call.words.size())), call.words.end(), " ");
}

absl::StatusOr<ChatReply> Groups(const Call& call) {
  std::string text;
  for (const chat::Group* group : call.open.book().groups().All()) {
    absl::StrAppend(&text, GroupLine(*group, call.open.identity().key.public_key(), call.open.NameOf(group->creator, group->id)));
  }
  return ChatReply{text.empty() ? "no groups; bulbil groups create NAME MEMBER...  makes one" : text, /*page=*/!text.empty()};
}

absl::StatusOr<ChatReply> Join(const Call& call) {
  if (call.words.size() < 2) return Usage("/join friends");
  ASSIGN_OR_RETURN(const chat::Group group, call.open.FindGroup(Words(call, 1)));
  RETURN_IF_ERROR(ExplainGroup(call.open.book().AcceptGroup(group.id, absl::Now())));
  return ChatReply{absl::StrCat("you are in ", group.name)};
}

absl::StatusOr<ChatReply> Leave(const Call& call) {
  if (call.words.size() < 2) return Usage("/leave friends   (forgets what was said there, too)");
  ASSIGN_OR_RETURN(const chat::Group group, call.open.FindGroup(Words(call, 1)));
  RETURN_IF_ERROR(call.open.EraseHistory(group.id));
  RETURN_IF_ERROR(ExplainGroup(call.open.book().LeaveGroup(group.id)));
  return ChatReply{.text = absl::StrCat("you are not in ", group.name, " any more; the others are told"),
                   .cleared = call.about == group.id};
}

absl::StatusOr<ChatReply> Qr(const Call& call) {
  const std::string address = keys::FormatAddress(call.open.identity().key.public_key());
  return ChatReply{absl::StrCat(DrawQr(address, {.margin = 1}), address), /*page=*/true};
}

absl::StatusOr<ChatReply> SendFile(const Call& call) {
  if (call.words.size() < 2) return Usage("/file PATH");
  ASSIGN_OR_RETURN(const chat::Contact contact, Partner(call));
  ASSIGN_OR_RETURN(FileToSend file, ReadFileToSend(Words(call, 1)));
  RETURN_IF_ERROR(
      ExplainBook(call.open.book().SendFile(contact.key, file.name, std::move(file.bytes), absl::Now()).status(), contact.name));
  return ChatReply{absl::StrCat("sending ", file.name, " to ", contact.name)};
}

absl::StatusOr<ChatReply> Save(const Call& call) {
  if (call.words.size() < 2) return Usage("/save 5b1e90c2");
  ASSIGN_OR_RETURN(const std::string path, SaveFileOf(call.open, call.words[1], call.words.size() > 2 ? Words(call, 2) : "."));
  return ChatReply{absl::StrCat("saved as ", path)};
}

absl::StatusOr<ChatReply> Away(const Call&) { return ChatReply{"nobody is told whether you are here: there is no presence"}; }

struct Named {
  const char* name;
  absl::StatusOr<ChatReply> (*run)(const Call&);
};
constexpr Named kCommands[] = {
    {"/add", Add},           {"/accept", Accept},       {"/invite", Invite}, {"/verify", Verify},     {"/block", Block},
    {"/receipts", Receipts}, {"/disappear", Disappear}, {"/burn", Burn},     {"/requests", Requests}, {"/qr", Qr},
    {"/away", Away},         {"/file", SendFile},       {"/save", Save},     {"/groups", Groups},     {"/join", Join},
    {"/leave", Leave},       {"/unblock", Unblock}};

}  // namespace

absl::StatusOr<ChatReply> RunChatCommand(OpenBook& open, const std::string& network, const std::vector<std::string>& words,
                                         const std::optional<keys::PublicKey>& about) {
  for (const Named& command : kCommands) {
    if (words.front() == command.name) return command.run({open, network, words, about});
  }
  return Fail({.exit = Exit::kUsage, .what = absl::StrCat("there is no ", Cut(words.front())), .fix = {"/help"}});
}

std::string ErrorLine(const absl::Status& status) {
  const CommandError error = ErrorOf(status);
  return absl::StrCat(error.what, error.fix.empty() ? "" : absl::StrCat("  (", error.fix.front(), ")"));
}

}  // namespace cli
