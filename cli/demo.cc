// SPDX-License-Identifier: Apache-2.0
#include "cli/demo.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/rng.h"
#include "base/status_macros.h"
#include "base/terminal_text.h"
#include "chat/chat_client.h"
#include "chat/memory_inbox_store.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/light_client.h"
#include "cli/node_group.h"
#include "cli/stop_signals.h"
#include "cli/terminal.h"
#include "keys/address.h"
#include "keys/system_rng.h"
#include "overlay/grpc_event_loop.h"
#include "overlay/network.h"

namespace cli {
namespace {

constexpr char kFirstText[] = "hello, bob.", kSecondText[] = "are you still there?";
constexpr absl::Duration kRingMax = absl::Seconds(30);

absl::Status Broken(std::string what) {
  return Fail({.exit = Exit::kInternal, .what = std::move(what), .fix = {"please report this, with what -vvv prints"}});
}

// A folder that is gone when the story ends, however it ends.
class TemporaryFolder {
 public:
  static absl::StatusOr<TemporaryFolder> Make() {
    std::string path = std::filesystem::temp_directory_path() / ("bulbil-demo-" + std::string(6, 'X'));  // mkdtemp's six letters
    if (mkdtemp(path.data()) == nullptr) {
      return Fail({.exit = Exit::kLocal,
                   .what = "no folder for the demo can be made in " + path,
                   .fix = {"set TMPDIR to a folder of yours"}});
    }
    return TemporaryFolder(std::move(path));
  }
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  ~TemporaryFolder() {
    if (!path_.empty()) Remove(path_);
  }
  // Also under nodes that still run: what they add meanwhile is taken by another try.
  static void Remove(const std::string& path) {
    constexpr int kTries = 8;
    std::error_code error;
    for (int i = 0; i < kTries; ++i) {
      std::filesystem::remove_all(path, error);
      if (!error) return;
    }
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// One person of the story, for the length of one command: a client process of its own would do the same.
class Someone {
 public:
  Someone(const overlay::Network& network, const std::vector<overlay::RpcTarget>& bootstrap, base::Rng& rng)
      : light_(network, bootstrap, loop_, rng), chat_({.network = network.name}, light_.operations(), loop_, rng) {}

  absl::StatusOr<chat::SendResult> Send(const keys::PublicKey& to, const std::string& text) {
    absl::StatusOr<chat::SendResult> result = absl::InternalError("the loop ended early");
    loop_.Post([&] {
      chat_.Send({.recipient = to, .text = base::ToBytes(base::AsBytes(text))}, [&](absl::StatusOr<chat::SendResult> sent) {
        result = std::move(sent);
        loop_.Stop();
      });
    });
    loop_.Run();
    return result;
  }

  absl::StatusOr<chat::PollResult> Poll(const keys::SigningKey& identity, chat::Inbox& inbox, std::vector<std::string>& texts) {
    absl::StatusOr<chat::PollResult> result = absl::InternalError("the loop ended early");
    loop_.Post([&] {
      chat_.Poll(
          {.identity = &identity, .inbox = &inbox, .created = loop_.WallNow()},
          [&](const chat::Message& message) {
            texts.push_back(base::SanitizeForTerminal(message.text).text);
            return absl::OkStatus();
          },
          [&](absl::StatusOr<chat::PollResult> polled) {
            result = std::move(polled);
            loop_.Stop();
          });
    });
    loop_.Run();
    return result;
  }

 private:
  overlay::GrpcEventLoop loop_{{}};
  LightClient light_;
  chat::ChatClient chat_;
};

class Story {
 public:
  Story(const DemoOptions& options, std::string folder)
      : options_(options),
        folder_(std::move(folder)),
        alice_(keys::SigningKey::Generate(rng_)),
        bob_(keys::SigningKey::Generate(rng_)),
        inbox_(inbox_store_, bob_, rng_) {}

  absl::Status Tell() {
    Say(absl::StrFormat("%d nodes in this process. Nothing leaves 127.0.0.1.\nData in %s, deleted at the end.\n\n",
                        options_.nodes, folder_));
    RETURN_IF_ERROR(Ring());
    ShowKeys();
    RETURN_IF_ERROR(FirstMessage());
    RETURN_IF_ERROR(Failure());
    Epilogue();
    return absl::OkStatus();
  }

 private:
  // Acts, each with its line and the time it took.
  absl::Status Ring() {
    Begin();
    for (int i = 0; i < options_.nodes; ++i) {
      LocalNodeOptions node;
      node.directory = absl::StrCat(folder_, "/n", i + 1);
      node.workers = 1;
      if (mkdir(node.directory.c_str(), 0700) != 0) return Broken("a node's folder could not be made");
      RETURN_IF_ERROR(nodes_.Add(node));
    }
    if (!nodes_.WaitForOneRing(kRingMax)) return Broken("the nodes did not form one ring");
    Line("1/5", "ring", absl::StrCat(options_.nodes, " nodes joined, every one knows the next ones"));
    return absl::OkStatus();
  }

  void ShowKeys() {
    Begin();
    Line("2/5", "keys", absl::StrCat("alice ", Short(alice_), "    bob ", Short(bob_)));
  }

  absl::Status FirstMessage() {
    Begin();
    ASSIGN_OR_RETURN(const chat::SendResult sent,
                     Someone(network_, nodes_.Bootstrap(), rng_).Send(bob_.public_key(), kFirstText));
    Line("3/5", "send",
         absl::StrFormat("alice to bob: %d bytes, 1 envelope of %d, over 3 relays", sizeof kFirstText - 1, chat::kSealedSize));
    for (const chat::PlaceOutcome& place : sent.envelopes[0].places) ShowPlace(place);
    for (const chat::PlaceOutcome& place : sent.envelopes[0].places) KeepPath(place.path, place.storage_node);
    first_ = PlaceThatHolds(sent);

    Begin();
    std::vector<std::string> texts;
    ASSIGN_OR_RETURN(const chat::PollResult polled, Someone(network_, nodes_.Bootstrap(), rng_).Poll(bob_, inbox_, texts));
    Line("4/5", "poll",
         absl::StrFormat("bob asks %d mailboxes, each over its own circuit; %d answered", polled.parts_asked,
                         polled.parts_answered));
    ShowReading(polled);
    for (const chat::PartOutcome& part : polled.parts) KeepPath(part.path, part.storage_node);
    if (texts != std::vector<std::string>{kFirstText}) return Broken("bob did not read what alice wrote");
    Detail(absl::StrCat("bob reads: \"", texts[0], "\""));
    return absl::OkStatus();
  }

  absl::Status Failure() {
    Begin();
    ASSIGN_OR_RETURN(const chat::SendResult sent,
                     Someone(network_, nodes_.Bootstrap(), rng_).Send(bob_.public_key(), kSecondText));
    std::vector<std::string> killed;
    for (const keys::PublicKey& holder : PlaceThatHolds(sent).holders) {
      const size_t index = nodes_.Find(holder);
      if (static_cast<int>(killed.size()) == options_.kill || index == nodes_.size() || nodes_.alive_count() <= kDemoNodesMin)
        break;
      nodes_.Kill(index);
      killed.push_back(NameOf(holder));
    }
    std::vector<std::string> texts;
    RETURN_IF_ERROR(PollUntilRead(texts));
    Line("5/5", "failure",
         absl::StrCat("alice wrote again; ", killed.empty() ? "nobody" : absl::StrJoin(killed, " and "),
                      ", which held it, stopped at once"));
    Detail(absl::StrCat("bob polls, and reads: \"", texts[0], "\""));
    killed_ = killed;
    return absl::OkStatus();
  }

  // The ring takes a moment to notice a death; a person would poll again too.
  absl::Status PollUntilRead(std::vector<std::string>& texts) {
    const absl::Time end = absl::Now() + kRingMax;
    absl::Status last;
    while (texts.empty() && absl::Now() < end) {
      last = Someone(network_, nodes_.Bootstrap(), rng_).Poll(bob_, inbox_, texts).status();
    }
    if (texts != std::vector<std::string>{kSecondText}) {
      return last.ok() ? Broken("the message was lost with the node that held it") : last;
    }
    return absl::OkStatus();
  }

  void Epilogue() {
    Say(absl::StrCat(
        "\n", NameOf(first_.path[0]), " saw alice's address but not what she asked; ", NameOf(first_.path[2]),
        " saw whom she asked but not who asks.\nPaths are shown because every node here is yours; a real node hides them.\n\n",
        "Next:  bulbil keys new          make your own identity\n",
        "       bulbil up --nodes 8      keep a local network running to play with\n",
        "       bulbil help              everything else\n"));
    if (options_.json) {
      (void)WriteStdout(JsonObject()
                            .Add("schema", 1)
                            .Add("type", "demo")
                            .Add("nodes", options_.nodes)
                            .Add("killed", killed_)
                            .Add("paths", paths_)
                            .Add("first", kFirstText)
                            .Add("second", kSecondText)
                            .Add("read", true)
                            .Line());
    }
  }

  // One of the two places will do for "stored"; the story is about the one that holds more.
  static const chat::PlaceOutcome& PlaceThatHolds(const chat::SendResult& sent) {
    const auto& places = sent.envelopes[0].places;
    return places[1].holders.size() > places[0].holders.size() ? places[1] : places[0];
  }

  // How it is told.
  void Begin() { begun_ = absl::Now(); }
  void Line(const char* number, const char* title, const std::string& what) {
    Say(absl::StrFormat(" %s %-8s %-58s %4.1f s\n", number, title, what, absl::ToDoubleSeconds(absl::Now() - begun_)));
  }
  void Detail(const std::string& what) { Say(absl::StrCat("              ", what, "\n")); }
  void Say(const std::string& text) {
    if (!options_.json) (void)WriteStdout(text);
  }
  static std::string Short(const keys::SigningKey& identity) {
    const std::string address = keys::FormatAddress(identity.public_key());
    return absl::StrCat(address.substr(0, 9), "…", address.substr(address.size() - 6));
  }
  std::string NameOf(const keys::PublicKey& node_key) const {
    const size_t index = nodes_.Find(node_key);
    return index == nodes_.size() ? "?" : absl::StrCat("n", index + 1);
  }
  std::string Way(const std::vector<keys::PublicKey>& path) const {
    return absl::StrJoin(path, " ─▶ ", [this](std::string* out, const keys::PublicKey& key) { out->append(NameOf(key)); });
  }
  void ShowPlace(const chat::PlaceOutcome& place) {
    if (place.holders.empty()) return;
    std::vector<std::string> copies;
    for (const keys::PublicKey& holder : place.holders) {
      if (holder != place.storage_node) copies.push_back(NameOf(holder));
    }
    Detail(absl::StrCat("alice ─▶ ", Way(place.path), " ─▶ mailbox ", place.point.ToHex().substr(0, 4), " (",
                        NameOf(place.storage_node), "; copies ", absl::StrJoin(copies, " "), ")"));
  }
  void KeepPath(const std::vector<keys::PublicKey>& path, const keys::PublicKey& storage_node) {
    std::vector<std::string> names;
    for (const keys::PublicKey& hop : path) names.push_back(NameOf(hop));
    names.push_back(NameOf(storage_node));
    paths_.push_back(absl::StrJoin(names, " "));
  }
  // The part that had the note: the one at a place where alice left it.
  void ShowReading(const chat::PollResult& polled) {
    for (const chat::PartOutcome& part : polled.parts) {
      if (part.envelopes == 0) continue;
      Detail(absl::StrCat("bob ─▶ ", Way(part.path), " ─▶ ", NameOf(part.storage_node), ": ", part.envelopes, " envelope"));
    }
  }

  const DemoOptions options_;
  const std::string folder_;
  const overlay::Network network_ = overlay::Network::Local();
  keys::SystemRng rng_;
  keys::SigningKey alice_, bob_;
  chat::MemoryInboxStore inbox_store_;
  chat::Inbox inbox_;
  NodeGroup nodes_;
  chat::PlaceOutcome first_;
  std::vector<std::string> killed_, paths_;
  absl::Time begun_;
};

absl::Status Demo(const DemoOptions& options) {
  ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Make());
  const StopSignals stop([path = folder.path()](int signal_number) {
    TemporaryFolder::Remove(path);
    _exit(128 + signal_number);
  });
  return Story(options, folder.path()).Tell();
}

}  // namespace

int RunDemo(const DemoOptions& options) {
  BlockStopSignals();
  return Report(Demo(options), options.json);
}

}  // namespace cli
