// SPDX-License-Identifier: Apache-2.0
#include "cli/group_commands.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "base/terminal_text.h"
#include "cli/book_command.h"
#include "cli/book_errors.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/people_screens.h"
#include "cli/terminal.h"
#include "cli/values.h"
#include "keys/address.h"

namespace cli {
namespace {

std::string Shown(const std::string& name) { return base::SanitizeForTerminal(base::AsBytes(name)).text; }

absl::StatusOr<std::vector<keys::PublicKey>> MembersOf(const OpenBook& open, const std::vector<std::string>& names) {
  std::vector<keys::PublicKey> keys;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const chat::Contact contact, open.Find(name));
    keys.push_back(contact.key);
  }
  return keys;
}

absl::Status NeedsMembers(const PeopleFlags& flags, const char* what, const char* example) {
  RETURN_IF_ERROR(Needs(flags.first, what, example));
  return Needs(flags.members.empty() ? "" : flags.members.front(), "a MEMBER, one of your contacts,", example);
}

std::string MemberLine(const OpenBook& open, const chat::Group& group, const chat::GroupMember& member) {
  const bool is_self = member.key == open.identity().key.public_key();
  return absl::StrCat("  ", is_self ? "you" : Shown(open.NameOf(member.key, group.id)),
                      member.key == group.creator ? " (made it)" : "", "   ", keys::FormatAddress(member.key), "\n");
}

std::string MemberJson(const OpenBook& open, const chat::Group& group, const chat::GroupMember& member) {
  return JsonObject()
      .Add("schema", 1)
      .Add("type", "member")
      .Add("group", group.name)
      .Add("name", open.NameOf(member.key, group.id))
      .Add("address", keys::FormatAddress(member.key))
      .Add("creator", member.key == group.creator)
      .Add("self", member.key == open.identity().key.public_key())
      .Line();
}

// A group as it stands in the book now.
absl::Status DoneWith(const Context& context, OpenBook& open, const chat::GroupId& id, const std::string& text) {
  return Done(context, text, GroupJson(*open.book().groups().Find(id), open.identity().key.public_key()));
}

}  // namespace

absl::Status CreateGroup(const Invocation& invocation, const Context& context) {
  const PeopleFlags& flags = invocation.people;
  RETURN_IF_ERROR(NeedsMembers(flags, "the group's NAME", "bulbil groups create friends bob carol"));
  RETURN_IF_ERROR(CheckTypedName(flags.first));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const auto members, MembersOf(*open, flags.members));
  const auto made = open->book().CreateGroup(flags.first, members, open->identity().info.name, absl::Now());
  if (!made.ok()) return ExplainGroup(made.status());
  RETURN_IF_ERROR(open->Save());
  return DoneWith(context, *open, *made,
                  absl::StrCat("Made ", flags.first,
                               ". Invitations go out with the next send or poll; whoever accepts reads what is written\n",
                               "from then on. Members see each other's addresses, and the names that you use for them:\n",
                               "  bulbil send --group ", ShellQuoted(flags.first), "\n"));
}

absl::Status AddToGroup(const Invocation& invocation, const Context& context) {
  const PeopleFlags& flags = invocation.people;
  RETURN_IF_ERROR(NeedsMembers(flags, "the GROUP", "bulbil groups add friends dave"));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const chat::Group group, open->FindGroup(flags.first));
  ASSIGN_OR_RETURN(const auto members, MembersOf(*open, flags.members));
  RETURN_IF_ERROR(ExplainGroup(open->book().AddToGroup(group.id, members, absl::Now())));
  RETURN_IF_ERROR(open->Save());
  return DoneWith(context, *open, group.id,
                  "Added. All members are told with the next send or poll; who is new reads from when they accept.\n");
}

absl::Status RemoveFromGroup(const Invocation& invocation, const Context& context) {
  const PeopleFlags& flags = invocation.people;
  RETURN_IF_ERROR(Needs(flags.second, "GROUP or MEMBER", "bulbil groups remove friends dave"));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const chat::Group group, open->FindGroup(flags.first));
  const auto member = open->book().FindMember(group, flags.second);
  if (!member.ok()) {
    return Fail({.exit = Exit::kIdentity,
                 .what = absl::StrCat("\"", Cut(flags.second), "\" is not in ", Shown(group.name)),
                 .fix = {absl::StrCat("bulbil groups show ", ShellQuoted(Shown(group.name)))}});
  }
  if (*member == open->identity().key.public_key()) {
    return Fail({.exit = Exit::kIdentity,
                 .what = "this is you: who made a group can only leave it",
                 .fix = {absl::StrCat("bulbil groups leave ", ShellQuoted(Shown(group.name)))}});
  }
  RETURN_IF_ERROR(ExplainGroup(open->book().RemoveFromGroup(group.id, *member, absl::Now())));
  RETURN_IF_ERROR(open->Save());
  return DoneWith(context, *open, group.id,
                  "Removed. Your next message has fresh keys; the others follow as soon as they have read it.\n");
}

absl::Status ListGroups(const Invocation& invocation, const Context& context) {
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  const keys::PublicKey& self = open->identity().key.public_key();
  std::string text;
  for (const chat::Group* group : open->book().groups().All()) {
    absl::StrAppend(
        &text, context.flags.json ? GroupJson(*group, self) : GroupLine(*group, self, open->NameOf(group->creator, group->id)));
  }
  if (text.empty() && !context.flags.json) text = "no groups\n  fix: bulbil groups create NAME MEMBER...\n";
  return WriteStdout(text);
}

absl::Status ShowGroup(const Invocation& invocation, const Context& context) {
  RETURN_IF_ERROR(Needs(invocation.people.first, "the GROUP", "bulbil groups show friends"));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const chat::Group group, open->FindGroup(invocation.people.first));
  const keys::PublicKey& self = open->identity().key.public_key();
  std::string text = context.flags.json ? GroupJson(group, self) : GroupLine(group, self, open->NameOf(group.creator, group.id));
  for (const chat::GroupMember& member : group.members) {
    absl::StrAppend(&text, context.flags.json ? MemberJson(*open, group, member) : MemberLine(*open, group, member));
  }
  if (!context.flags.json) {
    absl::StrAppend(&text, OutgoingText(*open->OutboxOf(group.id), absl::Now(), absl::LocalTimeZone()));
  }
  return WriteStdout(text);
}

absl::Status AcceptGroup(const Invocation& invocation, const Context& context) {
  RETURN_IF_ERROR(Needs(invocation.people.first, "the GROUP", "bulbil groups accept friends"));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const chat::Group group, open->FindGroup(invocation.people.first));
  RETURN_IF_ERROR(ExplainGroup(open->book().AcceptGroup(group.id, absl::Now())));
  RETURN_IF_ERROR(open->Save());
  return DoneWith(context, *open, group.id,
                  absl::StrCat("You are in ", Shown(group.name), ". The others learn your keys with your next send or poll.\n"));
}

absl::Status LeaveGroup(const Invocation& invocation, const Context& context) {
  RETURN_IF_ERROR(Needs(invocation.people.first, "the GROUP", "bulbil groups leave friends"));
  ASSIGN_OR_RETURN(const auto open, OpenFor(invocation, context));
  ASSIGN_OR_RETURN(const chat::Group group, open->FindGroup(invocation.people.first));
  RETURN_IF_ERROR(Confirm(absl::StrCat("Leave ", Shown(group.name), ", and forget all that was said there? [y/N] "),
                          invocation.people.yes, context));
  RETURN_IF_ERROR(open->EraseHistory(group.id));
  RETURN_IF_ERROR(ExplainGroup(open->book().LeaveGroup(group.id)));
  RETURN_IF_ERROR(open->Save());
  RETURN_IF_ERROR(open->Sweep().status());
  return Done(context,
              absl::StrCat("You are not in ", Shown(group.name), " any more. The others are told with your next send or poll:\n",
                           "  bulbil poll\n"),
              JsonObject().Add("schema", 1).Add("type", "group").Add("name", group.name).Add("state", "left").Line());
}

}  // namespace cli
