// SPDX-License-Identifier: Apache-2.0
#include "cli/grammar.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iterator>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "cli/errors.h"
#include "cli/suggestion.h"

namespace cli {
namespace {

struct Name {
  Command command;
  const char* text;
};
constexpr Name kNames[] = {
    {Command::kNode, "node"},
    {Command::kRelay, "relay"},
    {Command::kDemo, "demo"},
    {Command::kUp, "up"},
    {Command::kSend, "send"},
    {Command::kPoll, "poll"},
    {Command::kChat, "chat"},
    {Command::kInvite, "invite"},
    {Command::kAccept, "accept"},
    {Command::kContactsAdd, "contacts add"},
    {Command::kContactsList, "contacts list"},
    {Command::kContactsShow, "contacts show"},
    {Command::kContactsVerify, "contacts verify"},
    {Command::kContactsRename, "contacts rename"},
    {Command::kContactsReceipts, "contacts receipts"},
    {Command::kContactsDisappear, "contacts disappear"},
    {Command::kContactsBlock, "contacts block"},
    {Command::kContactsUnblock, "contacts unblock"},
    {Command::kContactsRemove, "contacts rm"},
    {Command::kContactsRequests, "contacts requests"},
    {Command::kGroupsCreate, "groups create"},
    {Command::kGroupsAdd, "groups add"},
    {Command::kGroupsRemove, "groups remove"},
    {Command::kGroupsList, "groups list"},
    {Command::kGroupsShow, "groups show"},
    {Command::kGroupsAccept, "groups accept"},
    {Command::kGroupsLeave, "groups leave"},
    {Command::kFilesList, "files list"},
    {Command::kFilesSave, "files save"},
    {Command::kFilesRemove, "files rm"},
    {Command::kBackup, "backup"},
    {Command::kRestore, "restore"},
    {Command::kKeysNew, "keys new"},
    {Command::kKeysList, "keys list"},
    {Command::kKeysShow, "keys show"},
    {Command::kKeysExport, "keys export"},
    {Command::kKeysImport, "keys import"},
    {Command::kKeysPasswd, "keys passwd"},
    {Command::kKeysRemove, "keys rm"},
    {Command::kStatus, "status"},
    {Command::kTop, "top"},
    {Command::kRingShow, "ring show"},
    {Command::kRingLookup, "ring lookup"},
    {Command::kDhtPut, "dht put"},
    {Command::kDhtGet, "dht get"},
    {Command::kHealth, "health"},
    {Command::kDoctor, "doctor"},
    {Command::kVersion, "version"},
    {Command::kHelp, "help"},
};

// Options of the root that mean something to some commands only.
struct RootOption {
  const char* name;
  std::vector<Command> commands;  // that take it
};
// And all that work on an identity's book of people.
std::vector<Command> AndOfTheBook(std::vector<Command> commands) {
  constexpr Command kOfTheBook[] = {Command::kInvite,           Command::kAccept,           Command::kContactsAdd,
                                    Command::kContactsList,     Command::kContactsShow,     Command::kContactsVerify,
                                    Command::kContactsRename,   Command::kContactsReceipts, Command::kContactsDisappear,
                                    Command::kContactsBlock,    Command::kContactsUnblock,  Command::kContactsRemove,
                                    Command::kContactsRequests, Command::kGroupsCreate,     Command::kGroupsAdd,
                                    Command::kGroupsRemove,     Command::kGroupsList,       Command::kGroupsShow,
                                    Command::kGroupsAccept,     Command::kGroupsLeave,      Command::kFilesList,
                                    Command::kFilesSave,        Command::kFilesRemove,      Command::kBackup,
                                    Command::kRestore};
  commands.insert(commands.end(), std::begin(kOfTheBook), std::end(kOfTheBook));
  return commands;
}
const std::vector<RootOption>& RootOptions() {
  static const std::vector<RootOption> options = {
      {"--port", {Command::kNode, Command::kRelay, Command::kUp}},
      {"--listen", {Command::kNode, Command::kRelay}},
      {"--advertise", {Command::kNode, Command::kRelay}},
      {"--join-timeout", {Command::kNode, Command::kRelay}},
      {"--profile", {Command::kNode, Command::kUp, Command::kChat}},
      {"--unsafe-log", {Command::kNode, Command::kRelay, Command::kUp}},
      {"--bootstrap", {Command::kNode, Command::kRelay, Command::kSend, Command::kPoll, Command::kChat, Command::kDoctor}},
      {"--network",
       AndOfTheBook({Command::kNode, Command::kRelay, Command::kSend, Command::kPoll, Command::kChat, Command::kDoctor})},
      {"--node",
       {Command::kSend, Command::kPoll, Command::kChat, Command::kStatus, Command::kTop, Command::kRingShow, Command::kRingLookup,
        Command::kDhtPut, Command::kDhtGet, Command::kHealth, Command::kDoctor}},
      {"--as",
       AndOfTheBook({Command::kSend, Command::kPoll, Command::kChat, Command::kKeysShow, Command::kKeysExport,
                     Command::kKeysImport, Command::kKeysNew, Command::kKeysList, Command::kKeysPasswd, Command::kKeysRemove})},
  };
  return options;
}

bool Takes(Command command, const std::string& option) {
  for (const RootOption& root : RootOptions()) {
    if (option == root.name) return std::find(root.commands.begin(), root.commands.end(), command) != root.commands.end();
  }
  return true;
}

// The App tree bound to one Invocation.
class Grammar {
 public:
  explicit Grammar(Invocation& out) : out_(out) {
    app_.set_help_flag();
    app_.allow_extras();
    app_.require_subcommand(0, 1);
    app_.add_flag("-h,--help", help_);
    app_.add_flag("--version", version_);
    AddGlobal();
    AddRun();
    AddNodes();
    AddTalk();
    AddChat();
    AddPeople();
    AddKeys();
    AddLook();
  }
  Grammar(const Grammar&) = delete;
  Grammar& operator=(const Grammar&) = delete;

  absl::Status Parse(std::vector<std::string> arguments) {
    arguments_ = arguments;
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    try {
      app_.parse(arguments);
    } catch (const CLI::ParseError& error) {
      return Explain(error.what());
    }
    return Settle();
  }

  std::vector<std::string> OptionsOf(Command command) const {
    std::vector<std::string> names;
    Collect(app_, command, names);
    for (const auto& [app, its_command] : commands_) {
      if (its_command == command && app != &app_) Collect(*app, command, names);
    }
    return names;
  }

 private:
  void AddGlobal() {
    GlobalFlags& flags = out_.global;
    Value(app_, "--home", flags.home);
    Value(app_, "--config", flags.config);
    Value(app_, "--node", flags.node);
    Value(app_, "--as", flags.identity);
    Value(app_, "--color", flags.color);
    Value(app_, "--timeout", flags.timeout);
    app_.add_flag("-v,--verbose", flags.verbosity);
    app_.add_flag("-q,--quiet", flags.quiet);
    app_.add_flag("--json", flags.json);
    app_.add_flag("--no-input", flags.no_input);
    app_.add_flag("--unsafe-log", flags.unsafe_log);
  }
  void AddRun() {
    RunFlags& flags = out_.run;
    Value(app_, "--port", flags.port);
    Value(app_, "--listen", flags.listen);
    Value(app_, "--advertise", flags.advertise);
    Value(app_, "--network", flags.network);
    Value(app_, "--join-timeout", flags.join_timeout);
    Value(app_, "--profile", flags.profile);
    app_.add_option("--bootstrap", flags.bootstrap)->expected(1)->take_all();
  }
  void AddNodes() {
    Add(app_, "node", Command::kNode);
    Add(app_, "relay", Command::kRelay);
    CLI::App& demo = Add(app_, "demo", Command::kDemo);
    Value(demo, "--nodes", out_.demo.nodes);
    Value(demo, "--kill", out_.demo.kill);
    Value(Add(app_, "up", Command::kUp), "--nodes", out_.demo.nodes);
  }
  void AddTalk() {
    TalkFlags& flags = out_.talk;
    CLI::App& send = Add(app_, "send", Command::kSend);
    send.add_option("ADDRESS", flags.to);
    Value(send, "-m,--message", message_);
    send.add_flag("--sign", flags.sign);
    send.add_flag("--anon", flags.anonymous);
    send.add_flag("--reply", flags.reply);
    send.add_flag("--now", flags.now);
    Value(send, "--wait", flags.wait);
    Value(send, "--file", flags.file);
    Value(send, "--group", flags.group);
    AddPassphrase(send, flags.passphrase_fd, flags.passphrase_file);
    for (const char* name : {"poll", "recv", "receive"}) {
      CLI::App& poll = Add(app_, name, Command::kPoll);
      Value(poll, "--wait", flags.wait);
      poll.add_flag("--watch", flags.watch);
      Value(poll, "--exec", flags.exec);
      AddPassphrase(poll, flags.passphrase_fd, flags.passphrase_file);
    }
  }
  void AddChat() {
    TalkFlags& flags = out_.talk;
    CLI::App& chat = Add(app_, "chat", Command::kChat);
    chat.add_option("NAME", flags.to);
    chat.add_flag("--line", flags.line);
    chat.add_flag("--ascii", flags.ascii);
    AddPassphrase(chat, flags.passphrase_fd, flags.passphrase_file);
  }
  void AddPeople() {
    PeopleFlags& flags = out_.people;
    CLI::App& invite = Person(app_, "invite", Command::kInvite);
    invite.add_flag("--qr", flags.qr);
    Value(invite, "--expires", flags.expires);
    Value(invite, "--name", flags.name);
    CLI::App& accept = Person(app_, "accept", Command::kAccept, "CODE");
    Value(accept, "--name", flags.name);
    for (const char* group : {"contacts", "contact"}) {
      CLI::App& contacts = Group(group);
      Person(contacts, "add", Command::kContactsAdd, "NAME", "ADDRESS");
      Person(contacts, "list", Command::kContactsList);
      Person(contacts, "show", Command::kContactsShow, "NAME");
      CLI::App& verify = Person(contacts, "verify", Command::kContactsVerify, "NAME");
      verify.add_flag("--accept-new", flags.accept_new);
      verify.add_flag("-y,--yes", flags.yes);
      Person(contacts, "rename", Command::kContactsRename, "NAME", "NEW");
      Person(contacts, "receipts", Command::kContactsReceipts, "NAME", "ON");
      Person(contacts, "disappear", Command::kContactsDisappear, "NAME", "TIME");
      Person(contacts, "block", Command::kContactsBlock, "NAME");
      Person(contacts, "unblock", Command::kContactsUnblock, "NAME");
      Person(contacts, "rm", Command::kContactsRemove, "NAME").add_flag("-y,--yes", flags.yes);
      Person(contacts, "requests", Command::kContactsRequests);
    }
    for (const char* group : {"groups", "group"}) {
      CLI::App& groups = Group(group);
      Person(groups, "create", Command::kGroupsCreate, "NAME").add_option("MEMBER", flags.members);
      Person(groups, "add", Command::kGroupsAdd, "GROUP").add_option("MEMBER", flags.members);
      Person(groups, "remove", Command::kGroupsRemove, "GROUP", "MEMBER");
      Person(groups, "list", Command::kGroupsList);
      Person(groups, "show", Command::kGroupsShow, "GROUP");
      Person(groups, "accept", Command::kGroupsAccept, "GROUP");
      Person(groups, "leave", Command::kGroupsLeave, "GROUP").add_flag("-y,--yes", flags.yes);
    }
    CLI::App& files = Group("files");
    Person(files, "list", Command::kFilesList);
    Value(Person(files, "save", Command::kFilesSave, "ID"), "--to", flags.to);
    Person(files, "rm", Command::kFilesRemove, "ID");
    Person(app_, "backup", Command::kBackup, "FILE").add_flag("--no-passphrase", flags.no_passphrase);
    CLI::App& restore = Person(app_, "restore", Command::kRestore, "FILE");
    Value(restore, "--name", flags.name);
  }
  // A command about people: up to two words, and a passphrase.
  CLI::App& Person(CLI::App& parent, const char* name, Command command, const char* first = nullptr,
                   const char* second = nullptr) {
    CLI::App& app = Add(parent, name, command);
    if (first != nullptr) app.add_option(first, out_.people.first);
    if (second != nullptr) app.add_option(second, out_.people.second);
    AddPassphrase(app, out_.people.passphrase_fd, out_.people.passphrase_file);
    return app;
  }
  void AddKeys() {
    CLI::App& keys = Group("keys");
    for (CLI::App* app : {&Add(keys, "new", Command::kKeysNew), &Add(app_, "keygen", Command::kKeysNew)}) AddNew(*app);
    Add(keys, "list", Command::kKeysList);
    for (CLI::App* app : {&Add(keys, "show", Command::kKeysShow), &Add(app_, "id", Command::kKeysShow)}) AddShow(*app);
    CLI::App& exporting = Add(keys, "export", Command::kKeysExport);
    exporting.add_option("NAME", out_.keys.argument);
    exporting.add_flag("--secret", out_.keys.secret);
    AddPassphrase(exporting, out_.keys.passphrase_fd, out_.keys.passphrase_file);
    CLI::App& importing = Add(keys, "import", Command::kKeysImport);
    importing.add_option("SECRET", out_.keys.argument);
    AddNew(importing);
    CLI::App& passwd = Add(keys, "passwd", Command::kKeysPasswd);
    passwd.add_option("NAME", out_.keys.argument);
    passwd.add_flag("--no-passphrase", out_.keys.no_passphrase);
    AddPassphrase(passwd, out_.keys.passphrase_fd, out_.keys.passphrase_file);
    Value(passwd, "--new-passphrase-fd", out_.keys.new_passphrase_fd);
    Value(passwd, "--new-passphrase-file", out_.keys.new_passphrase_file);
    CLI::App& remove = Add(keys, "rm", Command::kKeysRemove);
    remove.add_option("NAME", out_.keys.argument);
    remove.add_flag("-y,--yes", out_.keys.yes);
    remove.add_flag("--book", out_.keys.book);
  }
  void AddLook() {
    Add(app_, "status", Command::kStatus);
    Value(Add(app_, "top", Command::kTop), "--looks", out_.look.looks);
    CLI::App& ring = Group("ring");
    Add(ring, "show", Command::kRingShow);
    Add(ring, "lookup", Command::kRingLookup).add_option("POINT", out_.look.argument);
    CLI::App& dht = Group("dht");
    Add(dht, "put", Command::kDhtPut);
    Add(dht, "get", Command::kDhtGet).add_option("KEY", out_.look.argument);
    Add(app_, "health", Command::kHealth);
    Add(app_, "doctor", Command::kDoctor);
    Add(app_, "version", Command::kVersion);
    Add(app_, "help", Command::kHelp).add_option("COMMAND", out_.topic);
  }
  void AddNew(CLI::App& app) {
    Value(app, "--name", out_.keys.name);
    app.add_flag("--no-passphrase", out_.keys.no_passphrase);
    AddPassphrase(app, out_.keys.passphrase_fd, out_.keys.passphrase_file);
  }
  void AddShow(CLI::App& app) {
    app.add_option("NAME", out_.keys.argument);
    app.add_flag("--qr", out_.keys.qr);
    app.add_flag("--qr-invert", out_.keys.qr_invert);
    Value(app, "--qr-margin", out_.keys.qr_margin);
  }

  static void Value(CLI::App& app, const char* names, std::string& target) { app.add_option(names, target)->take_last(); }
  static void AddPassphrase(CLI::App& app, std::string& fd, std::string& file) {
    Value(app, "--passphrase-fd", fd);
    Value(app, "--passphrase-file", file);
  }
  CLI::App& Add(CLI::App& parent, const char* name, Command command) {
    CLI::App& app = *parent.add_subcommand(name);
    app.allow_extras(false);  // they fall through to the root, which collects them in order
    app.set_help_flag();
    app.fallthrough();
    commands_[&app] = command;
    return app;
  }
  CLI::App& Group(const char* name) {
    CLI::App& app = *app_.add_subcommand(name);
    app.allow_extras(false);
    app.set_help_flag();
    app.fallthrough();
    app.require_subcommand(0, 1);
    return app;
  }

  static void Collect(const CLI::App& app, Command command, std::vector<std::string>& names) {
    for (const CLI::Option* option : app.get_options()) {
      if (!option->get_lnames().empty() && !Takes(command, "--" + option->get_lnames().front())) continue;
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
      for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    }
  }

  // The deepest group or command that was named.
  const CLI::App* Named() const {
    const CLI::App* app = &app_;
    while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
    return app;
  }
  static std::string PathOf(const CLI::App* app) {
    std::string path;
    for (; app->get_parent() != nullptr; app = app->get_parent()) path = app->get_name() + (path.empty() ? "" : " ") + path;
    return path;
  }
  static std::string HelpFix(const std::string& path) {
    return path.empty() ? std::string("bulbil help") : absl::StrCat("bulbil help ", path);
  }

  // "--port: 1 required TEXT missing": the only kind of error that is left to CLI11.
  absl::Status Explain(const std::string& text) const {
    const std::string option = text.substr(0, text.find(':'));
    return Fail({.exit = Exit::kUsage,
                 .what = option.rfind('-', 0) == 0 ? absl::StrCat("option ", option, " needs a value")
                                                   : absl::StrCat("cannot understand the command line near \"", option, "\""),
                 .fix = {HelpFix(PathOf(Named()))}});
  }

  absl::Status Settle() {
    const CLI::App* named = Named();
    if (!message_.empty() || Given(*named, "--message")) out_.talk.message = message_;
    if (version_) return Only(Command::kVersion);
    if (help_) {
      if (named != &app_) out_.topic = {PathOf(named)};
      return Only(Command::kHelp);
    }
    RETURN_IF_ERROR(RefuseExtras(*named));
    const auto command = commands_.find(named);
    if (named != &app_ && command == commands_.end()) return Incomplete(*named);
    out_.command = named == &app_ ? Command::kNode : command->second;
    return RefuseForeign();
  }
  absl::Status Only(Command command) {
    out_.command = command;
    return absl::OkStatus();
  }
  static bool Given(const CLI::App& app, const std::string& name) {
    const CLI::Option* option = app.get_option_no_throw(name);
    return option != nullptr && option->count() > 0;
  }

  absl::Status RefuseExtras(const CLI::App& named) const {
    for (const std::string& word : app_.remaining(/*recurse=*/true)) {
      if (word == "--") continue;
      return word.size() > 1 && word.front() == '-' ? UnknownOption(named, word) : UnknownWord(named, word);
    }
    return absl::OkStatus();
  }
  absl::Status UnknownOption(const CLI::App& named, const std::string& word) const {
    const std::string path = PathOf(&named);
    const auto command = commands_.find(&named);
    const std::string typed = word.substr(0, word.find('='));
    const std::string near = Nearest(typed, OptionsOf(command == commands_.end() ? Command::kNode : command->second));
    return Fail({.exit = Exit::kUsage,
                 .what = absl::StrCat("unknown option \"", typed, "\"", path.empty() ? "" : absl::StrCat(" of \"", path, "\""),
                                      near.empty() ? "." : absl::StrCat(". Did you mean \"", near, "\"?")),
                 .fix = {HelpFix(path)}});
  }
  absl::Status UnknownWord(const CLI::App& deepest, const std::string& word) const {
    const CLI::App& named = StandsBeforeCommand(word) ? app_ : deepest;
    const std::string path = PathOf(&named);
    const auto words = WordsBelow(named);
    if (words.empty()) {
      return Fail({.exit = Exit::kUsage,
                   .what = absl::StrCat("\"", word, "\" is one word too many for \"", path, "\""),
                   .fix = {HelpFix(path)}});
    }
    const std::string near = Nearest(word, words);
    return Fail({.exit = Exit::kUsage,
                 .what = absl::StrCat("unknown command \"", path.empty() ? word : absl::StrCat(path, " ", word), "\"",
                                      near.empty() ? "." : absl::StrCat(". Did you mean \"", near, "\"?")),
                 .fix = {HelpFix(path)}});
  }
  bool StandsBeforeCommand(const std::string& word) const {
    if (app_.get_subcommands().empty()) return true;
    const auto place = [this](const std::string& text) { return std::find(arguments_.begin(), arguments_.end(), text); };
    return place(word) < place(app_.get_subcommands().front()->get_name());
  }
  static std::vector<std::string> WordsBelow(const CLI::App& app) {
    std::vector<std::string> words;
    for (const CLI::App* below : app.get_subcommands([](const CLI::App*) { return true; })) words.push_back(below->get_name());
    return words;
  }
  absl::Status Incomplete(const CLI::App& group) const {
    const std::string name = group.get_name();
    const std::vector<std::string> words = WordsBelow(group);
    return Fail({.exit = Exit::kUsage,
                 .what = absl::StrCat("\"", name, "\" needs one of: ", absl::StrJoin(words, ", ")),
                 .fix = {absl::StrCat("bulbil ", name, " ", words.front()), absl::StrCat("or: ", HelpFix(name))}});
  }
  absl::Status RefuseForeign() const {
    for (const RootOption& root : RootOptions()) {
      if (!Given(app_, root.name) || Takes(out_.command, root.name)) continue;
      std::vector<std::string> takers;
      for (const Command command : root.commands) takers.push_back(NameOf(command));
      return Fail({.exit = Exit::kUsage,
                   .what = absl::StrCat("option ", root.name, " means nothing to \"", NameOf(out_.command), "\""),
                   .why = {absl::StrCat("it belongs to: ", absl::StrJoin(takers, ", "))},
                   .fix = {std::string(root.name) == "--port"
                               ? absl::StrCat("to ask a certain node:  bulbil ", NameOf(out_.command), " --node ", out_.run.port)
                               : HelpFix(NameOf(out_.command))}});
    }
    return absl::OkStatus();
  }

  Invocation& out_;
  std::vector<std::string> arguments_;
  CLI::App app_{"", "bulbil"};
  std::map<const CLI::App*, Command> commands_;
  std::string message_;
  bool help_ = false, version_ = false;
};

}  // namespace

std::string NameOf(Command command) {
  for (const Name& name : kNames) {
    if (name.command == command) return name.text;
  }
  return "";
}

bool RunsNodes(Command command) {
  return command == Command::kNode || command == Command::kRelay || command == Command::kDemo || command == Command::kUp;
}

absl::StatusOr<Invocation> ParseCommandLine(const std::vector<std::string>& arguments) {
  Invocation invocation;
  RETURN_IF_ERROR(Grammar(invocation).Parse(arguments));
  return invocation;
}

std::vector<std::string> OptionsOf(Command command) {
  Invocation unused;
  return Grammar(unused).OptionsOf(command);
}

bool AsksForJson(const std::vector<std::string>& arguments) {
  return std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
}

}  // namespace cli
