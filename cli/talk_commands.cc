// SPDX-License-Identifier: Apache-2.0
#include "cli/talk_commands.h"

#include <unistd.h>

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "chat/note.h"
#include "cli/cell_text.h"
#include "cli/chat_lines.h"
#include "cli/chat_screen.h"
#include "cli/contact_send.h"
#include "cli/errors.h"
#include "cli/file_commands.h"
#include "cli/identities.h"
#include "cli/open_book.h"
#include "cli/poll_loop.h"
#include "cli/run_options.h"
#include "cli/send_clock.h"
#include "cli/talk_errors.h"
#include "cli/talk_screens.h"
#include "cli/talk_session.h"
#include "cli/terminal.h"
#include "cli/values.h"
#include "keys/address.h"

namespace cli {
namespace {

PassphraseFlags PassphraseOf(const TalkFlags& flags) { return {.fd = flags.passphrase_fd, .file = flags.passphrase_file}; }

absl::Status CheckSendFlags(const TalkFlags& flags) {
  if (int{flags.sign} + int{flags.anonymous} + int{flags.reply} > 1) {
    return Fail({.exit = Exit::kUsage, .what = "--sign, --anon and --reply exclude each other"});
  }
  if (!flags.file.empty() && (flags.message || flags.sign || flags.anonymous || flags.reply)) {
    return Fail({.exit = Exit::kUsage,
                 .what = "a file goes alone, to a contact: without -m, --sign, --anon or --reply",
                 .fix = {"bulbil send bob --file map.png"}});
  }
  if (!flags.group.empty() && (!flags.to.empty() || !flags.file.empty() || flags.sign || flags.anonymous || flags.reply)) {
    return Fail({.exit = Exit::kUsage,
                 .what = "to a group goes a text alone, without a name, --file, --sign, --anon or --reply",
                 .fix = {"bulbil send --group friends < letter.txt"}});
  }
  if (flags.to.empty() && flags.group.empty()) {
    return Fail({.exit = Exit::kUsage, .what = "send to whom?", .fix = {"bulbil send bulb1... < letter.txt"}});
  }
  return absl::OkStatus();
}

// Everything that does not look like an address or a secret key is the name of a contact.
bool IsContactName(const std::string& text) {
  return !absl::StartsWithIgnoreCase(text, "bulb1") && !absl::StartsWithIgnoreCase(text, "bulb-");
}

absl::StatusOr<std::unique_ptr<OpenBook>> BookFor(const Invocation& invocation, const Context& context) {
  ASSIGN_OR_RETURN(const overlay::Network network, ResolveNetwork(invocation, context));
  return OpenBook::Open(context, PassphraseOf(invocation.talk), network.name, network.write_quorum);
}

// The address of a contact, for a note to it.
absl::StatusOr<keys::PublicKey> AddressOfContact(const OpenBook& open, const std::string& name) {
  ASSIGN_OR_RETURN(const chat::Contact contact, open.Find(name));
  if (contact.doorless) {
    return Fail({.exit = Exit::kUsage,
                 .what = absl::StrCat(contact.name, " wrote you a note, and has no mailbox for others"),
                 .fix = {absl::StrCat("write without --sign, --anon and --reply:  bulbil send ", ShellQuoted(contact.name))}});
  }
  return contact.address();
}

// A contact, or whoever wrote the note with that #TAG.
absl::StatusOr<chat::Contact> Partner(OpenBook& open, const std::string& typed) {
  if (absl::StartsWith(typed, "#")) RETURN_IF_ERROR(open.CheckTag(typed));
  absl::StatusOr<chat::Contact> found = open.Find(typed);
  return found.ok() || !absl::StartsWith(typed, "#") ? found : open.Answer(typed, typed);
}

// Kept before the note leaves: an answer that nobody looks for is lost.
absl::StatusOr<chat::NoteReply> ReplyFor(const keys::PublicKey& recipient, OpenBook& open, const Context& context) {
  ASSIGN_OR_RETURN(const absl::Duration patience, TimeoutOf(context));
  RETURN_IF_ERROR(open.Take(patience));
  const auto reply = open.book().CreateReply(recipient, absl::Now());
  if (!reply.ok()) return Fail({.exit = Exit::kRefused, .what = std::string(reply.status().message())});
  RETURN_IF_ERROR(open.Save());
  open.Release();
  return reply;
}

// Where nobody can have the note, nobody answers it. After other failures somebody may: it is looked for all the same.
absl::Status WithdrawReply(const chat::NoteReply& reply, const absl::Status& failure, OpenBook& open) {
  if (!absl::IsFailedPrecondition(failure) && !absl::IsResourceExhausted(failure) && !absl::IsPermissionDenied(failure)) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(open.Resume());
  open.book().WithdrawReply(reply);
  return open.Save();
}

absl::StatusOr<keys::PublicKey> Recipient(const std::string& text) {
  absl::StatusOr<keys::PublicKey> key = keys::ParseAddress(text);
  if (!key.ok()) return ExplainAddress(key.status(), text);
  return key;
}

// -m, else stdin byte for byte; a person at the keyboard is told how to end it.
absl::StatusOr<base::Bytes> NoteText(const TalkFlags& flags, size_t size_max, const Context& context) {
  std::string text = flags.message.value_or("");
  if (!flags.message) {
    if (IsTerminal(STDIN_FILENO)) {
      if (context.flags.no_input) return Fail({.exit = Exit::kUsage, .what = "no text", .fix = {"bulbil send ADDRESS < FILE"}});
      WriteStderr("Type the message; Ctrl-D on an empty line sends it. Your shell will not remember this text.\n");
    }
    ASSIGN_OR_RETURN(text, ReadAll(STDIN_FILENO, size_max));
  }
  if (text.empty()) return Fail({.exit = Exit::kUsage, .what = "the message is empty; nothing was sent"});
  if (text.size() > size_max) {
    return Fail({.exit = Exit::kRefused,
                 .what = absl::StrCat("the message is longer than ", ShownCount(size_max), " bytes; nothing was sent"),
                 .fix = {size_max == chat::kTextMax ? std::string("send it as a file:  bulbil send NAME --file FILE")
                                                    : absl::StrCat("send it in pieces:  split -b ", size_max, " FILE")}});
  }
  return base::ToBytes(base::AsBytes(text));
}

// The signer's key for --sign, if no book has unlocked it; nothing for an anonymous note, which looks at no identity.
absl::StatusOr<std::optional<keys::LoadedKey>> Signer(const TalkFlags& flags, const Context& context, bool has_book) {
  std::optional<keys::LoadedKey> signer;
  if (!flags.sign || has_book) return signer;
  ASSIGN_OR_RETURN(const keys::KeyFileInfo info, ChooseIdentity(context));
  ASSIGN_OR_RETURN(signer, UnlockIdentity(context, info.name, PassphraseOf(flags)));
  return signer;
}

// The mailbox has no room but for work; what it takes is about half a millisecond for each unit of effort.
void SayWhatIsWorkedFor(uint32_t effort, const Context& context) {
  if (context.flags.quiet || context.flags.json) return;
  WriteStderr(absl::StrCat("The mailbox asks for work (effort ", effort, "): busy for about ", 1 + effort / 2000, " s.\n"));
}

// `replies`: the book that looks for answers, if there can be any.
absl::StatusOr<chat::SendResult> SendAndWait(TalkSession& session, const chat::SendRequest& request, OpenBook* replies,
                                             const Context& context) {
  absl::StatusOr<chat::SendResult> result = absl::InternalError("the send never ended");
  RETURN_IF_ERROR(session.Run([&] {
    session.client().Send(
        request,
        [&](absl::StatusOr<chat::SendResult> sent) {
          result = std::move(sent);
          session.End();
        },
        [&](uint32_t effort) { SayWhatIsWorkedFor(effort, context); });
  }));
  if (result.ok()) return result;
  if (replies != nullptr) WithdrawReply(*request.reply, result.status(), *replies).IgnoreError();  // it is given up in two weeks
  return ExplainTalk(result.status());
}

absl::StatusOr<PollPlan> PlanOf(const TalkFlags& flags, const Context& context) {
  PollPlan plan{.watch = flags.watch, .json = context.flags.json, .exec = flags.exec};
  if (flags.wait.empty()) return plan;
  if (flags.watch) return Fail({.exit = Exit::kUsage, .what = "--wait and --watch exclude each other"});
  plan.wait = ParseDuration(flags.wait);
  if (!plan.wait) return BadValue("--wait", flags.wait, "a duration as 30s or 5m");
  return plan;
}

// The text, for which others may have the book meanwhile: a person types, or a pipe is slow.
absl::StatusOr<base::Bytes> TextMeanwhile(OpenBook& open, const TalkFlags& flags, const Context& context) {
  ASSIGN_OR_RETURN(const absl::Duration patience, TimeoutOf(context));
  open.Release();
  ASSIGN_OR_RETURN(base::Bytes text, NoteText(flags, chat::kTextMax, context));
  RETURN_IF_ERROR(open.Take(patience));
  return text;
}

}  // namespace

absl::Status SendNote(const Invocation& invocation, const Context& context) {
  const TalkFlags& flags = invocation.talk;
  RETURN_IF_ERROR(CheckSendFlags(flags));
  if (!flags.group.empty()) {
    ASSIGN_OR_RETURN(const auto open, BookFor(invocation, context));
    RETURN_IF_ERROR(open->FindGroup(flags.group).status());  // before somebody types for nothing
    ASSIGN_OR_RETURN(base::Bytes text, TextMeanwhile(*open, flags, context));
    ASSIGN_OR_RETURN(const chat::Group group, open->FindGroup(flags.group));
    return SendToGroup(invocation, context, *open, group, std::move(text));
  }
  const bool to_contact = IsContactName(flags.to);
  if (to_contact && !flags.sign && !flags.anonymous && !flags.reply) {
    ASSIGN_OR_RETURN(const auto open, BookFor(invocation, context));
    RETURN_IF_ERROR(Partner(*open, flags.to).status());
    if (!flags.file.empty()) {
      ASSIGN_OR_RETURN(const chat::Contact contact, Partner(*open, flags.to));
      ASSIGN_OR_RETURN(FileToSend file, ReadFileToSend(flags.file));
      return SendToContact(invocation, context, *open, contact, std::move(file.bytes), std::move(file.name));
    }
    ASSIGN_OR_RETURN(base::Bytes text, TextMeanwhile(*open, flags, context));
    ASSIGN_OR_RETURN(const chat::Contact contact, Partner(*open, flags.to));
    return SendToContact(invocation, context, *open, contact, std::move(text));
  }
  if (!flags.file.empty())
    return Fail({.exit = Exit::kUsage, .what = "files go to contacts only", .fix = {"bulbil contacts add NAME ADDRESS"}});
  if (!flags.wait.empty()) {
    return Fail({.exit = Exit::kUsage, .what = "--wait is for messages to a contact: a note is sent once, and tells at once"});
  }
  chat::SendRequest request;
  if (!to_contact) {
    ASSIGN_OR_RETURN(request.recipient, Recipient(flags.to));
  }
  std::unique_ptr<OpenBook> open;  // unlocked once: a passphrase may come out of a pipe. Others may have it while we wait
  if (to_contact || flags.reply) {
    ASSIGN_OR_RETURN(open, BookFor(invocation, context));
    if (to_contact) {
      ASSIGN_OR_RETURN(request.recipient, AddressOfContact(*open, flags.to));
    }
    open->Release();
  }
  ASSIGN_OR_RETURN(const std::optional<keys::LoadedKey> signer, Signer(flags, context, open != nullptr));
  if (flags.sign) request.signer = open ? &open->identity().key : &signer->key;
  ASSIGN_OR_RETURN(request.text, NoteText(flags, chat::kNoteTextMax, context));
  const absl::Time start = absl::Now();
  ASSIGN_OR_RETURN(const std::unique_ptr<TalkSession> session,
                   OpenForSending(invocation, context, 2 * (1 + request.text.size() / chat::kFragmentTextMax)));
  if (flags.reply) {  // behind what fails where nothing can be sent at all: an invite is taken for two weeks
    ASSIGN_OR_RETURN(request.reply, ReplyFor(request.recipient, *open, context));
  }
  ASSIGN_OR_RETURN(const chat::SendResult result, SendAndWait(*session, request, flags.reply ? open.get() : nullptr, context));
  const absl::Time end = absl::Now();
  if (context.flags.json) return WriteStdout(SentJson(result, end - start));
  if (!context.flags.quiet) RETURN_IF_ERROR(WriteStdout(SentText(result, end - start, end)));
  SayWhatNowShows("Sent", *session, context);
  return absl::OkStatus();
}

absl::Status PollNotes(const Invocation& invocation, const Context& context) {
  const TalkFlags& flags = invocation.talk;
  ASSIGN_OR_RETURN(PollPlan plan, PlanOf(flags, context));
  ASSIGN_OR_RETURN(const std::unique_ptr<OpenBook> open, BookFor(invocation, context));
  plan.mailbox = open->identity().info.name;
  ASSIGN_OR_RETURN(const std::unique_ptr<TalkSession> session, TalkSession::Open(invocation, context, TalkSession::When::kNow));
  if (plan.watch && !plan.json && !context.flags.quiet) {
    WriteStderr(absl::StrCat("Reading mailbox \"", plan.mailbox, "\" from time to time. Stop with Ctrl-C.\n"));
  }
  const absl::Status polled = PollLoop(plan, *session, *open).Run();
  if (polled.ok()) SayWhatNowShows("Read", *session, context);
  return polled;
}

absl::Status Chat(const Invocation& invocation, const Context& context) {
  const TalkFlags& flags = invocation.talk;
  if (context.flags.json) {
    return Fail({.exit = Exit::kUsage, .what = "chat speaks no JSON", .fix = {"bulbil poll --watch --json"}});
  }
  RETURN_IF_ERROR(ResolveProfile(invocation, context, chat::Profile::kNormal).status());
  ChatPlan plan;
  ASSIGN_OR_RETURN(const overlay::Network network, ResolveNetwork(invocation, context));
  plan.network = network.name;
  plan.ascii = !UseUtf8() || flags.ascii;
  plan.color = context.environment("NO_COLOR").empty() && context.flags.color != "never";
  ASSIGN_OR_RETURN(const std::unique_ptr<OpenBook> open, BookFor(invocation, context));
  if (!flags.to.empty()) {
    ASSIGN_OR_RETURN(plan.who, open->FindThread(flags.to));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<TalkSession> session,
                   TalkSession::Open(invocation, context, TalkSession::When::kOnClock));
  if (!invocation.run.profile.empty() && invocation.run.profile != chat::NameOf(session->profile())) {
    WriteStderr(absl::StrCat("--profile means nothing here: the clock is that of ", session->way(), ", ",
                             chat::NameOf(session->profile()), "\n"));
  }
  const std::string terminal = context.environment("TERM");
  const bool lines =
      flags.line || terminal.empty() || terminal == "dumb" || !IsTerminal(STDIN_FILENO) || !IsTerminal(STDOUT_FILENO);
  ASSIGN_OR_RETURN(absl::Duration patience, TimeoutOf(context));
  if (context.flags.timeout.empty() && session->profile() != chat::Profile::kOff) {
    patience += 20 * chat::RatesOf(session->profile()).tick_mean;
  }
  const absl::Status ran = lines ? RunChatLines(plan, patience, *session, *open) : RunChatScreen(plan, context, *session, *open);
  if (open->released()) return ran;
  const absl::Status saved = open->Save();  // what the end overtook
  return ran.ok() ? saved : ran;
}

}  // namespace cli
