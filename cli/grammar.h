// SPDX-License-Identifier: Apache-2.0
// cli/grammar.h — the command line as typed: which command, which flags. Values are checked later, where they are used, because
// they may also come from the environment or the configuration.
//
//   bulbil [GLOBAL] [COMMAND]        no command = node
// Global flags stand before or after the command. Run flags (--port, --bootstrap, ...) live on the root, so that `bulbil --port
// 5` and `bulbil node --port 5` are one; beside a command that has no use for them they are refused. Every mistake is kUsage in
// our own words, with the nearest known word; CLI11's texts never reach the user.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cli {

enum class Command {
  kNode,
  kRelay,
  kDemo,
  kUp,
  kSend,
  kPoll,
  kChat,
  kInvite,
  kAccept,
  kContactsAdd,
  kContactsList,
  kContactsShow,
  kContactsVerify,
  kContactsRename,
  kContactsReceipts,
  kContactsDisappear,
  kContactsBlock,
  kContactsUnblock,
  kContactsRemove,
  kContactsRequests,
  kGroupsCreate,
  kGroupsAdd,
  kGroupsRemove,
  kGroupsList,
  kGroupsShow,
  kGroupsAccept,
  kGroupsLeave,
  kFilesList,
  kFilesSave,
  kFilesRemove,
  kBackup,
  kRestore,
  kKeysNew,
  kKeysList,
  kKeysShow,
  kKeysExport,
  kKeysImport,
  kKeysPasswd,
  kKeysRemove,
  kStatus,
  kTop,
  kRingShow,
  kRingLookup,
  kDhtPut,
  kDhtGet,
  kHealth,
  kDoctor,
  kVersion,
  kHelp,
};

// "node", "keys new": a command as it is typed.
std::string NameOf(Command command);
// True for node, relay, demo and up: what runs nodes in this process.
bool RunsNodes(Command command);

struct GlobalFlags {
  std::string home, config, node, identity, color, timeout;  // empty: not given
  int verbosity = 0;                                         // number of v's
  bool json = false, quiet = false, no_input = false, unsafe_log = false;
};
struct RunFlags {
  std::string port, listen, advertise, network, join_timeout, profile;
  std::vector<std::string> bootstrap;
};
struct KeysFlags {
  std::string name, passphrase_fd, passphrase_file, qr_margin;
  std::string new_passphrase_fd, new_passphrase_file;  // of passwd
  bool no_passphrase = false, qr = false, qr_invert = false, secret = false, yes = false, book = false;
  std::string argument;  // NAME, or what was wrongly typed where a secret key belongs on stdin
};
struct TalkFlags {
  std::string to;
  std::optional<std::string> message;
  std::string wait;
  bool sign = false, anonymous = false, reply = false, watch = false, now = false;
  bool line = false, ascii = false;  // of chat
  std::string exec;                  // of poll
  std::string file, group;           // of send
  std::string passphrase_fd, passphrase_file;
};
struct PeopleFlags {
  std::string first, second;  // NAME, ADDRESS, CODE or FILE, as the command says
  std::string name, expires, to;
  std::vector<std::string> members;  // of groups create, add
  bool qr = false, accept_new = false, yes = false, no_passphrase = false;
  std::string passphrase_fd, passphrase_file;
};
struct LookFlags {
  std::string argument;  // POINT of ring lookup, KEY of dht get
  std::string looks;     // top
};
struct DemoFlags {
  std::string nodes, kill;
};

struct Invocation {
  Command command = Command::kNode;
  GlobalFlags global;
  RunFlags run;
  KeysFlags keys;
  TalkFlags talk;
  PeopleFlags people;
  LookFlags look;
  DemoFlags demo;
  std::vector<std::string> topic;  // of help
};

// `arguments` without the program's name.
absl::StatusOr<Invocation> ParseCommandLine(const std::vector<std::string>& arguments);

// The long and short names of all options a command takes, its own, the global and the run flags that go with it: for suggestions
// and for the test that the help leaves none out.
std::vector<std::string> OptionsOf(Command command);

// True if the arguments ask for JSON: for errors found before they could be parsed.
bool AsksForJson(const std::vector<std::string>& arguments);

}  // namespace cli
