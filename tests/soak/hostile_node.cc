// SPDX-License-Identifier: Apache-2.0
// The whole program with four of its functions replaced, for `./dev soak hostile`. CMakeLists.txt compiles the originals under other
// names; everything else is the program as it ships.
//   SignTable     of a hostile node: signs fingers and neighbours bent towards friends (tests/sim/anonymity_lies.h)
//   OnTarget      of a hostile node: lets no circuit go on of which neither the hop before nor the one behind is a friend
//   Distrust, Hear  of every node: also write down who was found to lie, for the program shows that to nobody
// BULBIL_HOSTILE: a folder; set, the node is hostile. There the friends tell each other what they see of the ring: a file each, named
// by node key, of the peers in its true table. BULBIL_REACH: how far they bend, 1 is what the checks bear. BULBIL_STORIES: a file;
// once it exists, the node signs the truth and the lie by turns, both for the same time. BULBIL_FOUND: a file.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "absl/time/clock.h"
#include "keys/identity.h"
#include "overlay/contradiction.h"
#include "tests/sim/anonymity_lies.h"

// Each class as its source was compiled, and the member under its own name beside it.
#define Hear Hear(base::ByteView encoded, bool is_known, absl::Time wall_now); absl::Status HearOfTheProgram
#include "overlay/convictions.h"
#undef Hear
#define OnTarget OnTarget(const absl::StatusOr<overlay::Descriptor>& target); RelayCircuitActions OnTargetOfTheProgram
#include "circuits/relay_circuit.h"
#undef OnTarget
#define Distrust Distrust(const keys::PublicKey& node_key, absl::Time now); bool DistrustOfTheProgram
#include "circuits/peer_book.h"
#undef Distrust

namespace overlay {
void SignTableOfTheProgram(const Network& network, const keys::SigningKey& node_key, RoutingTable& table, absl::Time wall_now,
                           absl::Time last);
}

namespace soak {
namespace {

using keys::PublicKey;
using overlay::Peer;
using overlay::RoutingTable;

constexpr absl::Duration kReadEvery = absl::Seconds(5);

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void WriteFound(const PublicKey& node_key) {
  std::ofstream(Environment("BULBIL_FOUND"), std::ios::app) << base::ToHex(node_key.view()) << "\n";
}

class Gang {
 public:
  explicit Gang(std::string folder) : folder_(std::move(folder)), reach_(std::atof(Environment("BULBIL_REACH").c_str())) {}

  bool Has(const PublicKey& node_key) const { return friends_.contains(base::ToHex(node_key.view())); }

  void Read(const overlay::Network& network) {
    if (absl::Now() - read_ < kReadEvery) return;
    read_ = absl::Now();
    friends_.clear();
    seen_.clear();
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().extension() == ".new") continue;
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(file)), {});
      friends_.insert(entry.path().filename());
      base::ByteReader reader(base::AsBytes(bytes));
      while (reader.ok() && !reader.Done()) {
        const absl::StatusOr<Peer> peer = overlay::DecodePeer(network, reader.Long());
        if (peer.ok()) seen_[peer->point] = *peer;
      }
    }
  }

  // Shows the others what this one sees.
  void Tell(const RoutingTable& truth) const {
    base::ByteWriter writer;
    for (const Peer& peer : truth.Members()) writer.Long(overlay::EncodePeer(peer));
    const std::string path = folder_ + "/" + base::ToHex(truth.owner.node_key.view());
    std::ofstream(path + ".new", std::ios::binary) << base::ToString(writer.Take());
    std::filesystem::rename(path + ".new", path);
  }

  RoutingTable Bend(const RoutingTable& truth) const {
    support::DrawnRing ring;
    std::map<overlay::NodeId, Peer> all = seen_;
    for (const Peer& peer : truth.Members()) all[peer.point] = peer;
    for (const auto& [point, peer] : all) ring.peers.push_back(peer);
    if (truth.CoversRing()) return truth;
    return sim::Bent({.is_friend = [this](const PublicKey& node_key) { return Has(node_key); },
                      .nodes = static_cast<double>(ring.peers.size()),
                      .reach = reach_},
                     ring, ring.SuccessorOf(truth.owner.point), truth);
  }

 private:
  const std::string folder_;
  const double reach_;
  absl::Time read_ = absl::InfinitePast();
  absl::flat_hash_set<std::string> friends_;
  std::map<overlay::NodeId, Peer> seen_;
};

// Null in an honest process. One node's, so of one thread.
Gang* TheGang() {
  static const auto* const gang = new std::unique_ptr<Gang>(
      Environment("BULBIL_HOSTILE").empty() ? nullptr : std::make_unique<Gang>(Environment("BULBIL_HOSTILE")));
  return gang->get();
}

}  // namespace
}  // namespace soak

namespace overlay {

void SignTable(const Network& network, const keys::SigningKey& node_key, RoutingTable& table, absl::Time wall_now, absl::Time last) {
  if (soak::Gang* gang = soak::TheGang()) {
    static const std::string stories = soak::Environment("BULBIL_STORIES");
    const bool two_stories = !stories.empty() && std::filesystem::exists(stories);
    static const absl::Time begun = wall_now - absl::Seconds(1);
    static bool lies = false;
    gang->Tell(table);
    gang->Read(network);
    lies = !two_stories || !lies;
    if (lies) table = gang->Bend(table);
    if (two_stories) last = begun;
  }
  SignTableOfTheProgram(network, node_key, table, wall_now, last);
}

absl::Status Convictions::Hear(base::ByteView encoded, bool is_known, absl::Time wall_now) {
  const absl::Status heard = HearOfTheProgram(encoded, is_known, wall_now);
  if (const auto said = ReadAccusation(network_, encoded); heard.ok() && said) soak::WriteFound(said->accused);
  return heard;
}

}  // namespace overlay

namespace circuits {

RelayCircuitActions RelayCircuit::OnTarget(const absl::StatusOr<overlay::Descriptor>& target) {
  const soak::Gang* gang = soak::TheGang();
  if (gang == nullptr || !target.ok() || gang->Has(options_.previous_key) || gang->Has(target->node_key)) {
    return OnTargetOfTheProgram(target);
  }
  return OnTargetOfTheProgram(absl::UnavailableError("neither end is a friend"));
}

bool PeerBook::Distrust(const keys::PublicKey& node_key, absl::Time now) {
  const bool is_news = DistrustOfTheProgram(node_key, now);
  if (is_news) soak::WriteFound(node_key);
  return is_news;
}

}  // namespace circuits
