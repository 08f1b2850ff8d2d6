// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "absl/status/statusor.h"
#include "base/redacted.h"
#include "base/status_macros.h"
#include "cli/context.h"
#include "cli/demo.h"
#include "cli/doctor.h"
#include "cli/errors.h"
#include "cli/file_commands.h"
#include "cli/grammar.h"
#include "cli/group_commands.h"
#include "cli/help.h"
#include "cli/keys_commands.h"
#include "cli/logging.h"
#include "cli/look_commands.h"
#include "cli/node.h"
#include "cli/people_commands.h"
#include "cli/run_options.h"
#include "cli/talk_commands.h"
#include "cli/terminal.h"
#include "cli/top.h"

namespace cli {
namespace {

// A client command holds nothing that an end in the middle could spoil: files are replaced whole, the book is synced.
void EndAtOnce(int signal_number) { _exit(128 + signal_number); }

absl::Status AllowUnsafeLog(const Invocation& invocation, const Environment& environment) {
  if (!invocation.global.unsafe_log) return absl::OkStatus();
  if (invocation.command == Command::kRelay && !environment("JOURNAL_STREAM").empty()) {
    return Fail({.exit = Exit::kUsage, .what = "--unsafe-log is refused for a relay that runs as a service: its log is kept"});
  }
  base::SetUnsafeLog(true);
  spdlog::warn("log: whole addresses and ids are written to the log; do not show it to anybody");
  return absl::OkStatus();
}

// The exit code of what runs nodes is their own; everything else ends in a status.
absl::StatusOr<int> RunNodes(const Invocation& invocation, const Context& context) {
  if (invocation.command == Command::kDemo) {
    ASSIGN_OR_RETURN(const DemoOptions options, ResolveDemo(invocation));
    return RunDemo(options);
  }
  if (invocation.command == Command::kUp) {
    ASSIGN_OR_RETURN(const UpOptions options, ResolveUp(invocation, context));
    return RunUp(options);
  }
  ASSIGN_OR_RETURN(const NodeOptions options, ResolveNode(invocation, context));
  return RunNode(options);
}

absl::Status RunClient(const Invocation& invocation, const Context& context) {
  switch (invocation.command) {
    case Command::kSend:
      return SendNote(invocation, context);
    case Command::kPoll:
      return PollNotes(invocation, context);
    case Command::kChat:
      return Chat(invocation, context);
    case Command::kInvite:
      return MakeInvite(invocation, context);
    case Command::kAccept:
      return AcceptInvite(invocation, context);
    case Command::kContactsAdd:
      return AddContact(invocation, context);
    case Command::kContactsList:
      return ListContacts(invocation, context);
    case Command::kContactsShow:
      return ShowContact(invocation, context);
    case Command::kContactsVerify:
      return VerifyContact(invocation, context);
    case Command::kContactsRename:
      return RenameContact(invocation, context);
    case Command::kContactsReceipts:
      return SetReceipts(invocation, context);
    case Command::kContactsDisappear:
      return SetDisappearing(invocation, context);
    case Command::kContactsBlock:
      return BlockContact(invocation, context);
    case Command::kContactsUnblock:
      return UnblockContact(invocation, context);
    case Command::kContactsRemove:
      return RemoveContact(invocation, context);
    case Command::kContactsRequests:
      return ListRequests(invocation, context);
    case Command::kGroupsCreate:
      return CreateGroup(invocation, context);
    case Command::kGroupsAdd:
      return AddToGroup(invocation, context);
    case Command::kGroupsRemove:
      return RemoveFromGroup(invocation, context);
    case Command::kGroupsList:
      return ListGroups(invocation, context);
    case Command::kGroupsShow:
      return ShowGroup(invocation, context);
    case Command::kGroupsAccept:
      return AcceptGroup(invocation, context);
    case Command::kGroupsLeave:
      return LeaveGroup(invocation, context);
    case Command::kFilesList:
      return ListFiles(invocation, context);
    case Command::kFilesSave:
      return SaveFile(invocation, context);
    case Command::kFilesRemove:
      return RemoveFile(invocation, context);
    case Command::kBackup:
      return BackUp(invocation, context);
    case Command::kRestore:
      return Restore(invocation, context);
    case Command::kKeysNew:
      return KeysNew(invocation.keys, context);
    case Command::kKeysList:
      return KeysList(invocation.keys, context);
    case Command::kKeysShow:
      return KeysShow(invocation.keys, context);
    case Command::kKeysExport:
      return KeysExport(invocation.keys, context);
    case Command::kKeysImport:
      return KeysImport(invocation.keys, context);
    case Command::kKeysPasswd:
      return KeysPasswd(invocation.keys, context);
    case Command::kKeysRemove:
      return KeysRemove(invocation.keys, context);
    case Command::kStatus:
      return ShowStatus(context);
    case Command::kTop:
      return Top(invocation.look, context);
    case Command::kRingShow:
      return ShowRing(context);
    case Command::kRingLookup:
      return LookUpPoint(invocation.look, context);
    case Command::kDhtPut:
      return DhtPut(context);
    case Command::kDhtGet:
      return DhtGet(invocation.look, context);
    case Command::kHealth:
      return CheckHealth(context);
    case Command::kDoctor:
      return Doctor(invocation, context);
    default:
      return absl::InternalError("a command without an action");
  }
}

absl::StatusOr<int> RunInContext(const Invocation& invocation, const Environment& environment) {
  ASSIGN_OR_RETURN(const Context context, MakeContext(invocation.global, environment));
  ASSIGN_OR_RETURN(const LogOptions log, ResolveLog(context, RunsNodes(invocation.command), IsTerminal(STDERR_FILENO)));
  StartLogging(log);
  RETURN_IF_ERROR(AllowUnsafeLog(invocation, environment));
  if (RunsNodes(invocation.command)) return RunNodes(invocation, context);
  signal(SIGINT, EndAtOnce);
  signal(SIGTERM, EndAtOnce);
  RETURN_IF_ERROR(RunClient(invocation, context));
  return static_cast<int>(Exit::kDone);
}

absl::StatusOr<int> Run(const std::vector<std::string>& arguments, const Environment& environment) {
  ASSIGN_OR_RETURN(const Invocation invocation, ParseCommandLine(arguments));
  if (invocation.command == Command::kVersion) {
    RETURN_IF_ERROR(WriteStdout(VersionText(invocation.global.json)));
    return static_cast<int>(Exit::kDone);
  }
  if (invocation.command == Command::kHelp) {
    ASSIGN_OR_RETURN(const std::string help, HelpText(invocation.topic));
    RETURN_IF_ERROR(WriteStdout(help));
    return static_cast<int>(Exit::kDone);
  }
  return RunInContext(invocation, environment);
}

}  // namespace

int RunProgram(const std::vector<std::string>& arguments, const Environment& environment) {
  const absl::StatusOr<int> exit = Run(arguments, environment);
  return exit.ok() ? *exit : Report(exit.status(), AsksForJson(arguments));
}

}  // namespace cli
