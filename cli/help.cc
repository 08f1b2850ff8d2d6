// SPDX-License-Identifier: Apache-2.0
#include "cli/help.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/suggestion.h"
#include "overlay/network.h"

namespace cli {
namespace {

struct Page {
  Command command;
  const char* name;
  const char* text;
};

constexpr char kOverview[] = R"(bulbil: anonymous chat in the terminal. Messages wait, sealed, in a ring of strangers' machines.

usage: bulbil [GLOBAL] [COMMAND]

Run      node      full node: stores and relays (the default command)
         relay     ring and circuits only; stores nothing, holds no personal keys
         demo      a small network in one process: see it work
         up        keeps a local network running on ports 10001 and up
Talk     send      NAME|ADDRESS [-m TEXT | < stdin | --file FILE]
         poll      [--watch] [--wait 30s]
         chat      [NAME] [--line]                     on the whole screen
         invite    a one-time code for somebody you know
         accept    CODE
People   keys      new|list|show|export|import|passwd|rm
         contacts  add|list|show|verify|rename|receipts|disappear|block|unblock|rm|requests
         groups    create|add|remove|list|show|accept|leave     up to 32 people; each has to accept first
         files     list|save|rm    what contacts have sent
         backup    FILE, restore FILE
Look     status    this node in one screen; top: again every second
         ring      show|lookup POINT
         dht       put < FILE, get KEY
         health    exit code only; doctor: checks, with what mends them
         version   help [COMMAND]

Try it:            bulbil demo
Start a network:   bulbil
                   bulbil --port 10002        (another terminal; and 10003, ...)
)";

constexpr char kGlobal[] = R"(
global options
  --home DIR          everything of one person under DIR (BULBIL_HOME)
  --config FILE       configuration (BULBIL_CONFIG)
  --json              machine-readable output; errors too, on stderr
  -v, --verbose       more log: -v debug, -vv trace, -vvv every call
  -q, --quiet         only warnings and errors
  --color WHEN        auto, always or never (NO_COLOR)
  --timeout DURATION  how long to wait for an answer, as 30s
  --no-input          never ask; fail instead
  -h, --help          this page
  --version           version and protocol
)";

constexpr char kRun[] = R"(
options
  --port PORT            listen on localhost:PORT (10001; 0: any free port)
  --bootstrap HOST:PORT  join through this node; may be repeated; "none" creates a ring.
                         Without it: 10001 creates a ring, every other port joins localhost:10001
  --listen IP:PORT       listen there instead
  --advertise HOST:PORT  what others are told, if it differs
  --network NAME         the network to be part of (local); NAME+vN: N points each;
                         NAME+wN: each place costs N tries of work, 0.5 ms each
  --join-timeout TIME    give up joining after this long (30s)
  --unsafe-log           whole addresses and ids in the log; warns
)";

constexpr char kNodeOption[] = "  --node PORT|SOCKET     ask this local node (BULBIL_NODE); else the one that runs\n";
constexpr char kPassphrase[] = R"(  --passphrase-fd N      read the passphrase from this file descriptor
  --passphrase-file FILE read it from the first line of FILE (BULBIL_PASSPHRASE_FILE)
)";

const Page kPages[] = {
    {Command::kNode, "node", R"(usage: bulbil [node] [--port PORT] [--bootstrap HOST:PORT|none]...

A full node: member of the ring, stores records for others, relays their circuits. It serves until SIGTERM or Ctrl-C.

  bulbil                                    first node: creates a ring on localhost:10001
  bulbil --port 10002                       second node: joins it
  bulbil --port 10003 -vvv                  third node, showing every call

With five nodes or more it makes an operation of your own at the ticks of a clock, real or cover, so that who watches its link
cannot tell whether you talk.

  --profile NAME         low (an operation every 60 s on average, 30.9 MiB a day), normal (10 s, 185.6 MiB; the default), fast
                         (0.5 s, 3.6 GiB), or off: what you do is done at once, and seen
)"},
    {Command::kRelay, "relay", R"(usage: bulbil relay --port PORT [--bootstrap HOST:PORT]...

A node that forwards cells only: it stores no record, holds no identity and refuses client commands.

  bulbil relay --port 10004
)"},
    {Command::kDemo, "demo", R"(usage: bulbil demo [--nodes N] [--kill K]

A whole network in this process: ring, keys, a message, its reading, the failure of the node that held it.

options
  --nodes N              nodes in the network (8)
  --kill K               nodes that fail in the last act (1)
)"},
    {Command::kUp, "up", R"(usage: bulbil up [--nodes N] [--port PORT]

Keeps a local network running until Ctrl-C, to play with from another terminal.

options
  --nodes N              nodes in the network (8)
  --port PORT            port of the first; the others follow (10001)
  --profile NAME         a clock for each of them: low, normal or fast (off: nothing leaves this machine)
  --unsafe-log           whole addresses and ids in the log; warns
)"},
    {Command::kSend, "send", R"(usage: bulbil send NAME|ADDRESS|--group GROUP [-m TEXT | < stdin | --file FILE] [--sign]

To a contact: a message of your conversation, up to 65,536 bytes, or a file of up to 8 MiB. It is kept here until it is stored,
and the keys that sealed it are gone once it was read; what is left of a file goes out with the next send, poll or chat. To an
ADDRESS, or with --anon or --sign: a note of up to 16,384 bytes, which says who you are only with --sign.

  echo "hello" | bulbil send bob
  bulbil send bulb1... < letter.txt
  bulbil send '#a91b03' < answer.txt      to whoever wrote that note, if it can be answered
  echo "hello" | bulbil send bulb1...
  echo "hello" | bulbil send --group friends

options
  -m, --message TEXT     the text; others on this machine can see it in the process list: better stdin
  --file FILE            this file, with its name; to a contact only. Its progress is on stderr
  --group GROUP          to all members of that group (bulbil help groups)
  --sign                 put your address and signature inside the seal; cannot be denied later
  --anon                 no sender at all (the default)
  --reply                no sender, but a way to answer for two weeks: a conversation of its own, as an identity made for this note;
                         your polls look for the answer. Who answers does so under their own address
  --wait TIME            to a contact: try for so long until it is stored, then exit 6
  --now                  at once, beside the clock of the node (bulbil help node), and say what that shows. Without it what is
                         sent waits for its ticks, where there is a node with a clock
  --as NAME              sign as this identity (BULBIL_IDENTITY)
)"},
    {Command::kPoll, "poll", R"(usage: bulbil poll [--wait TIME | --watch]      (also: recv, receive)

Fetches new messages of an identity and shows each once: notes, what contacts wrote, and requests of strangers. Sends what waits.
All of it at once, beside the clock: who watches this machine's link sees that something was read then. `chat` keeps to the clock.

options
  --as NAME              read as this identity (BULBIL_IDENTITY)
  --wait TIME            until the first message or for TIME, then exit 6; asks often at first, less the longer it waits
  --watch                go on reading until Ctrl-C
  --exec COMMAND         run it in a shell for every message, whose JSON it reads from stdin, instead of printing. If it fails
                         the poll ends with 5, and the next one begins with that message
)"},
    {Command::kChat, "chat", R"(usage: bulbil chat [NAME] [--line] [--ascii] [--profile off|low|normal|fast]

Contacts, what was said, and what you write, on the whole screen; F1 shows the keys. Marks of your messages: · waits here,
↑ on its way, ✓ stored, ✓✓ it is on the other side's disk (if it has turned receipts on), ✗ expired.

  bulbil chat bob
  echo "@bob the train is at nine" | bulbil chat --line

options
  --line                 no control of the screen: one line for everything, "@bob text" to write. So it is by itself where the
                         input or the output is no terminal, or TERM=dumb
  --ascii                draw with ASCII alone
  --profile NAME         without a node: the clock at whose ticks this process reads and sends (normal; bulbil help node).
                         Through a node it is the node's clock. The contact that is open is read most often
  --as NAME              as this identity (BULBIL_IDENTITY)
)"},
    {Command::kInvite, "invite", R"(usage: bulbil invite [--name NAME] [--qr] [--expires 24h]

A one-time code: whoever accepts it first becomes a contact, without your address being written to by strangers. Give it
to one person, over a way that others do not see.

options
  --name NAME            the name under which that person will stand in your contacts
  --qr                   as a QR code too
  --expires TIME         how long it can be accepted (24h; at most 14d)
)"},
    {Command::kAccept, "accept", R"(usage: bulbil accept CODE|'#TAG' --name NAME

Takes up somebody's invite, lets in a stranger who wrote to you (bulbil contacts requests), or gives whoever wrote a note that can
be answered a name.

options
  --name NAME            what you call that person
)"},
    {Command::kContactsAdd, "contacts add", R"(usage: bulbil contacts add NAME ADDRESS

Gives an address a name of yours. Nothing is sent until you write.

options
)"},
    {Command::kContactsList, "contacts list", R"(usage: bulbil contacts list

All contacts: verified or not, with a session or not, messages that wait.

options
)"},
    {Command::kContactsShow, "contacts show", R"(usage: bulbil contacts show NAME

A contact's address, and what became of your last messages.

options
)"},
    {Command::kContactsVerify, "contacts verify", R"(usage: bulbil contacts verify NAME [--accept-new]

Shows eight words and a number that both of you see alike. Compare them over another channel, then say yes.

options
  --accept-new           the contact has a new key: take it in place of the old one
  -y, --yes              they were compared: do not ask
)"},
    {Command::kGroupsCreate, "groups create", R"(usage: bulbil groups create NAME MEMBER...

A group of contacts, 32 people at most with you. Only you change who is in it. The members need not know each other; they see each
other's addresses, and the names that you use for them. They are invited with your next send, poll or chat; each reads what is
written from when they accept: bulbil groups accept friends. Until then what you send reaches nobody.

  bulbil groups create friends bob carol
  echo "hello, all" | bulbil send --group friends

options
)"},
    {Command::kGroupsAdd, "groups add", R"(usage: bulbil groups add GROUP MEMBER...

Invites more contacts into a group of yours. They read what is written from then on, nothing from before.

options
)"},
    {Command::kGroupsRemove, "groups remove", R"(usage: bulbil groups remove GROUP MEMBER

Takes somebody out of a group of yours. Everybody who stays writes with fresh keys as soon as they hear of it: what is written from
then on the one who went cannot read.

options
)"},
    {Command::kGroupsList, "groups list", R"(usage: bulbil groups list

Your groups, and invitations that wait.

options
)"},
    {Command::kGroupsShow, "groups show", R"(usage: bulbil groups show GROUP

Who is in a group, and what became of your last messages to it. ~NAME is what the creator calls somebody who is no contact of yours.

options
)"},
    {Command::kGroupsAccept, "groups accept", R"(usage: bulbil groups accept GROUP

Takes part in a group that somebody has invited you to. Its members, all of them, learn your address, and that you read.

options
)"},
    {Command::kGroupsLeave, "groups leave", R"(usage: bulbil groups leave GROUP [--yes]

Leaves a group, or declines an invitation: its keys, and what was said in it, are deleted here, and the others are told. Without its
creator a group goes on as it is. The others hear of it with your next send, poll or chat, and write to you until then.

options
  -y, --yes              do not ask
)"},
    {Command::kFilesList, "files list", R"(usage: bulbil files list

Files that contacts have sent, and how much of each is here. They lie sealed in the book, at most 64 MiB of one contact and 256 MiB
of all: what is beyond it is refused, which is told, until you remove some.

options
)"},
    {Command::kFilesSave, "files save", R"(usage: bulbil files save ID [--to DIR]

Writes a file that came into a folder, 0600, under its name made safe, and never over another one. Its path goes to stdout.

options
  --to DIR               the folder (the working directory)
)"},
    {Command::kFilesRemove, "files rm", R"(usage: bulbil files rm ID

Forgets a file that came: it is gone from the book, and its room is free.

options
)"},
    {Command::kContactsRename, "contacts rename", R"(usage: bulbil contacts rename NAME NEW

options
)"},
    {Command::kContactsReceipts, "contacts receipts", R"(usage: bulbil contacts receipts NAME on|off

Whether this contact is told that messages have arrived (off).

options
)"},
    {Command::kContactsDisappear, "contacts disappear", R"(usage: bulbil contacts disappear NAME TIME|off

What you write to this contact, or group, from now on is deleted at both ends: here so long after you wrote it, there so long after
it was first shown. What others write follows their own settings. TIME: 30s, 5m, 30m, 1h, 6h, 12h, 24h, 3d, 7d, 14d or 28d.

options
)"},
    {Command::kContactsBlock, "contacts block", R"(usage: bulbil contacts block NAME

Reads and shows nothing of this contact or stranger any more, and sends nothing there. The other side is not told. NAME may be a
contact, the '#TAG' of a request, or '~NAME' of a member of a group, whose texts there are hidden then.

options
)"},
    {Command::kContactsUnblock, "contacts unblock", R"(usage: bulbil contacts unblock NAME

Takes a block back. What was written to you meanwhile, in the last 14 days, shows at the next poll, what was said in groups does not;
a stranger is a request again.

options
)"},
    {Command::kContactsRemove, "contacts rm", R"(usage: bulbil contacts rm NAME [--yes]

Forgets a contact, the keys of the conversation, and what waits to be sent.

options
  -y, --yes              do not ask
)"},
    {Command::kContactsRequests, "contacts requests", R"(usage: bulbil contacts requests

Strangers who wrote to you. Nothing of theirs is shown before you accept:  bulbil accept '#TAG' --name NAME

options
)"},
    {Command::kBackup, "backup", R"(usage: bulbil backup FILE

Identity and contacts in one sealed file; no messages, no session keys.

options
  --no-passphrase        protect it by file permissions only
)"},
    {Command::kRestore, "restore", R"(usage: bulbil restore FILE [--name NAME]

Takes identity and contacts of a backup. Refuses an identity that is here already, and one whose book is here still (keys rm): put
that aside first. The next poll makes new sessions with all contacts, who are told.

options
  --name NAME            what the identity is called here (me)
)"},
    {Command::kKeysNew, "keys new", R"(usage: bulbil keys new [--name NAME] [--no-passphrase]      (also: keygen)

Makes an identity. Its address goes to stdout, all else to stderr.

  bulbil keys new --no-input --no-passphrase --name ci > address

options
  --name NAME            letters, digits, - and _ (me)
  --no-passphrase        protect the key by file permissions only
)"},
    {Command::kKeysList, "keys list", R"(usage: bulbil keys list

All identities of this home.
)"},
    {Command::kKeysShow, "keys show", R"(usage: bulbil keys show [NAME] [--qr]      (also: id)

The address of an identity: give it to people who should be able to write to you.

options
  --qr                   as a QR code for a dark terminal
  --qr-invert            the same for a light terminal
  --qr-margin N          quiet zone in modules (2; strict scanners want 4)
)"},
    {Command::kKeysExport, "keys export", R"(usage: bulbil keys export [NAME] [--secret]

The address, or with --secret the secret key itself: whoever has that is you.

options
  --secret               print BULB-SECRET-KEY-1...
)"},
    {Command::kKeysImport, "keys import", R"(usage: bulbil keys import [--name NAME] < SECRET

Takes a secret key (BULB-SECRET-KEY-1...) from stdin, never from the command line.

options
  --name NAME            letters, digits, - and _ (me)
  --no-passphrase        protect the key by file permissions only
)"},
    {Command::kKeysPasswd, "keys passwd", R"(usage: bulbil keys passwd [NAME]

Another passphrase for an identity's key, a first one, or none. Its address, contacts and messages stay as they are. Copies and
backups that were made before keep the old one.

options
  --new-passphrase-fd N  read the new passphrase from this file descriptor
  --new-passphrase-file FILE
                         read it from the first line of FILE
  --no-passphrase        protect the key by file permissions only
)"},
    {Command::kKeysRemove, "keys rm", R"(usage: bulbil keys rm NAME [--yes] [--book]

Deletes an identity from this machine. Without a copy of its secret key its messages are lost. Its contacts and messages stay, sealed
under that key, for when it comes back (keys import).

options
  --book                 delete its contacts and messages, too
  -y, --yes              do not ask
)"},
    {Command::kStatus, "status", R"(usage: bulbil status [--node PORT]

The local node in one screen. Exits 4 if none runs.

options
)"},
    {Command::kTop, "top", R"(usage: bulbil top [--looks N] [--node PORT]

The local node's status again every second, with what it relays, its load and its memory. Where the output is no terminal, and with
--json, one line a second.

options
  --looks N              end after so many (without end)
)"},
    {Command::kRingShow, "ring show", R"(usage: bulbil ring show [--node PORT]

The members of the ring that the local node knows.

options
)"},
    {Command::kRingLookup, "ring lookup", R"(usage: bulbil ring lookup POINT [--node PORT]

Which node owns a point of the ring: 64 hex digits.

options
)"},
    {Command::kDhtPut, "dht put", R"(usage: bulbil dht put < FILE

Stores the bytes of stdin, up to 64 KiB, and prints their key. Nothing hides who asks: a debugging aid.

options
)"},
    {Command::kDhtGet, "dht get", R"(usage: bulbil dht get KEY > FILE

Fetches the bytes stored under a key of 64 hex digits.

options
)"},
    {Command::kHealth, "health", R"(usage: bulbil health [--node PORT]

Exits 0 if the local node serves, else 4.

options
)"},
    {Command::kDoctor, "doctor", R"(usage: bulbil doctor [--node PORT]

Looks at this home, its keys, limits and ports, and at the local node: ring, clock beside its neighbours', store, a circuit. Without a
node it looks at the network as send and poll would. Each line is ok, warn or fail, with the command that mends it. Exits 0 if
nothing failed, else as the first failure says: 3, 4 or 5.

options
)"},
    {Command::kVersion, "version", R"(usage: bulbil version

Version of the program and of the protocol.
)"},
    {Command::kHelp, "help", R"(usage: bulbil help [COMMAND]
)"},
};

constexpr std::pair<const char*, const char*> kAliases[] = {{"keygen", "keys new"}, {"id", "keys show"},     {"recv", "poll"},
                                                            {"receive", "poll"},    {"contact", "contacts"}, {"group", "groups"}};

// Options that several commands share, after the page's own.
std::string SharedOptions(Command command) {
  switch (command) {
    case Command::kNode:
    case Command::kRelay:
      return kRun;
    case Command::kInvite:
    case Command::kAccept:
    case Command::kContactsAdd:
    case Command::kContactsList:
    case Command::kContactsShow:
    case Command::kContactsVerify:
    case Command::kContactsRename:
    case Command::kContactsReceipts:
    case Command::kContactsDisappear:
    case Command::kContactsBlock:
    case Command::kContactsUnblock:
    case Command::kContactsRemove:
    case Command::kContactsRequests:
    case Command::kGroupsCreate:
    case Command::kGroupsAdd:
    case Command::kGroupsRemove:
    case Command::kGroupsList:
    case Command::kGroupsShow:
    case Command::kGroupsAccept:
    case Command::kGroupsLeave:
    case Command::kFilesList:
    case Command::kFilesSave:
    case Command::kFilesRemove:
    case Command::kBackup:
    case Command::kRestore:
      return absl::StrCat(kPassphrase,
                          "  --as NAME              the identity (BULBIL_IDENTITY)\n"
                          "  --network NAME         the network (local)\n");
    case Command::kSend:
    case Command::kPoll:
    case Command::kChat:
    case Command::kDoctor:
      return absl::StrCat(command == Command::kDoctor ? "" : kPassphrase,
                          "  --bootstrap HOST:PORT  use no local node: join through this one as a client; may be repeated\n"
                          "  --network NAME         the network to be part of (local)\n",
                          kNodeOption);
    case Command::kStatus:
    case Command::kTop:
    case Command::kRingShow:
    case Command::kRingLookup:
    case Command::kDhtPut:
    case Command::kDhtGet:
    case Command::kHealth:
      return kNodeOption;
    case Command::kKeysNew:
    case Command::kKeysImport:
    case Command::kKeysExport:
    case Command::kKeysPasswd:
      return absl::StrCat(kPassphrase, "  --as NAME              the identity (BULBIL_IDENTITY)\n");
    case Command::kKeysList:
    case Command::kKeysShow:
    case Command::kKeysRemove:
      return "  --as NAME              the identity (BULBIL_IDENTITY)\n";
    default:
      return "";
  }
}

std::string GroupPage(const std::string& group) {
  std::string text;
  for (const Page& page : kPages) {
    if (std::string(page.name).rfind(group + " ", 0) != 0) continue;
    const std::string_view whole(page.text);
    absl::StrAppend(&text, std::string(whole.substr(0, whole.find('\n') + 1)));
  }
  if (!text.empty()) absl::StrAppend(&text, "\nMore of each:  bulbil help ", group, " COMMAND\n", kGlobal);
  return text;
}

std::string Canonical(const std::string& topic) {
  for (const auto& [alias, name] : kAliases) {
    if (topic == alias) return name;
  }
  return topic;
}

absl::Status UnknownTopic(const std::string& topic) {
  std::vector<std::string> names = {"keys", "ring", "dht", "contacts", "groups"};
  for (const Page& page : kPages) names.push_back(page.name);
  const std::string near = Nearest(topic, names);
  return Fail({.exit = Exit::kUsage,
               .what = absl::StrCat("there is no command \"", topic, "\"",
                                    near.empty() ? "." : absl::StrCat(". Did you mean \"", near, "\"?")),
               .fix = {"bulbil help"}});
}

}  // namespace

std::string HelpText(Command command) {
  const auto page = std::find_if(std::begin(kPages), std::end(kPages), [&](const Page& p) { return p.command == command; });
  return page == std::end(kPages) ? kOverview : absl::StrCat(page->text, SharedOptions(command), kGlobal);
}

absl::StatusOr<std::string> HelpText(const std::vector<std::string>& topic) {
  if (topic.empty()) return absl::StrCat(kOverview, kGlobal);
  const std::string name = Canonical(absl::StrJoin(topic, " "));
  for (const Page& page : kPages) {
    if (name == page.name) return HelpText(page.command);
  }
  std::string group = GroupPage(name);
  if (group.empty()) return UnknownTopic(name);
  return group;
}

std::string ProgramVersion() { return BULBIL_VERSION; }

std::string VersionText(bool json) {
  if (json) {
    return JsonObject()
        .Add("schema", 1)
        .Add("type", "version")
        .Add("version", ProgramVersion())
        .Add("protocol", overlay::kProtocolVersion)
        .Add("compiler", __VERSION__)
        .Line();
  }
  return absl::StrCat("bulbil ", ProgramVersion(), " (protocol ", overlay::kProtocolVersion, ")\nbuilt with g++ ", __VERSION__,
                      "\n");
}

}  // namespace cli
