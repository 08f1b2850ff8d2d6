// SPDX-License-Identifier: Apache-2.0
#include "cli/contact_send.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/people_screens.h"
#include "cli/talk_errors.h"
#include "cli/talk_session.h"
#include "cli/terminal.h"
#include "cli/values.h"

namespace cli {
namespace {

std::string ShortId(const chat::MessageId& id) { return base::ToHex(base::ByteView(id).first(2)); }

absl::Status RunRound(TalkSession& session, OpenBook& open) {
  absl::Status outcome = absl::InternalError("the round never ended");
  RETURN_IF_ERROR(session.Run([&] {
    session.exchange().Run(
        {.book = &open.book(), .inbox = &open.inbox(), .read = false},
        [](const chat::ContactBook::Change&) { return absl::OkStatus(); },
        [&](const absl::StatusOr<chat::ExchangeResult>& result) {
          outcome = result.status();
          session.End();
        });
  }));
  return outcome;
}

absl::Status Waits(const chat::Outgoing& message, const chat::Conversation& conversation, const std::string& name,
                   const absl::Status& outcome) {
  const absl::Status explained = outcome.ok() ? outcome : ExplainTalk(outcome);
  CommandError error{.exit = outcome.ok() ? Exit::kTime : ErrorOf(explained).exit};
  error.what = absl::StrCat("message ", ShortId(message.id), " to ", name, " is kept here and not stored yet");
  if (!outcome.ok()) {
    error.why = {ErrorOf(explained).what};
  } else if (!conversation.has_session()) {
    error.why = {absl::StrCat(name, " has published no keys yet: they come with the first poll of ", name)};
  } else {
    error.why = {"too few storing nodes took it"};
  }
  error.fix = {"the next send or poll tries again:  bulbil poll"};
  return Fail(std::move(error));
}

}  // namespace

absl::Status SendToContact(const Invocation& invocation, const Context& context, OpenBook& open, const chat::Contact& contact,
                           base::Bytes text) {
  const absl::Time start = absl::Now();
  const auto id = open.book().Send(contact.key, std::move(text), start);
  if (absl::IsFailedPrecondition(id.status())) {
    return Fail({.exit = Exit::kIdentity,
                 .what = absl::StrCat("the key of ", contact.name, " has changed since you know it; nothing was sent"),
                 .fix = {absl::StrCat("ask ", contact.name, " over another channel, then:  bulbil contacts verify ", contact.name,
                                      " --accept-new")}});
  }
  if (!id.ok()) return Fail({.exit = Exit::kRefused, .what = std::string(id.status().message())});
  RETURN_IF_ERROR(open.Save());
  ASSIGN_OR_RETURN(const std::unique_ptr<TalkSession> session, TalkSession::Open(invocation, context));
  const absl::Status outcome = RunRound(*session, open);
  const chat::Conversation& conversation = *open.book().FindConversation(contact.key);
  const chat::Outgoing& message = *conversation.outbox().Find(*id);
  if (message.state == chat::DeliveryState::kQueued) return Waits(message, conversation, contact.name, outcome);
  const absl::Time end = absl::Now();
  if (context.flags.json) {
    return WriteStdout(JsonObject()
                           .Add("schema", 1)
                           .Add("type", "sent")
                           .Add("id", base::ToHex(message.id))
                           .Add("contact", contact.name)
                           .Add("state", "stored")
                           .Add("copies", int{message.copies})
                           .Add("boxes", int{message.parts})
                           .Add("seconds", absl::ToDoubleSeconds(end - start))
                           .Line());
  }
  if (context.flags.quiet) return absl::OkStatus();
  return WriteStdout(absl::StrCat("✓ stored on ", message.copies, " replicas in ", ShownDuration(end - start), " · expires in ",
                                  ShownDuration(message.expiry - end), " · message ", ShortId(message.id), "\n"));
}

}  // namespace cli
