// SPDX-License-Identifier: Apache-2.0
// overlay/ring_driver.h — the ring cores of a process on the event loop: calls over RPC, answers to others, what it publishes.
//
// Serves State, Rectify, NextHop and Leaving (a Rectify is taken only from the node it names), Describe, Table, and
// grpc.health.v1 Check and Watch: SERVING exactly while a member (service "" or "bulbil.v1.Ring"; "bulbil.v1.Ring/i" asks for
// virtual node i).
// Keeps the own descriptor signed (renewed at half its life; onion keys rotate, the previous one stays usable), the routing table
// signed (anew when it changed, but not within kTableSpacing, or at half its life; its times only ever go up, see contradiction.h,
// and none is signed for a time that is not known to be on disk: until it is, others get the one before, or none, while this process
// itself goes by its lists as they are; who asks for a small one that is behind waits for the next),
// and in the directory the descriptors of everybody in the table, because relays and clients ask this node for them, and a relay
// looks nothing up for a client (protocol.md 6).
// A network of v virtual nodes has one core for each. The first one leads: it creates, joins, founds and loses the ring for the
// process, as if it were the only one. The others join one after another once it has a successor of another process, through that
// successor, and are dropped when it is detached. What they ask of each other stays in this process.
// Who is convicted, or did not work for its place, is not asked, as if it did not answer, and not answered, being unknown
// (directory.h): so it is nobody's neighbour.
// The processes of successor and predecessor are watched while a member (health_watch_driver.h).
// All calls and callbacks on the loop's thread; a callback is never made from inside the call that asked.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/event_loop.h"
#include "keys/onion_key_file.h"
#include "overlay/directory.h"
#include "overlay/health_watch_driver.h"
#include "overlay/ring.h"
#include "overlay/routing_table.h"
#include "overlay/rpc.h"

namespace overlay {

inline constexpr size_t kHealthWatchersMax = 256;                       // beyond it Watch is refused; Check still answers
inline constexpr size_t kDescribeParallel = 4;                          // a full table is fetched in seconds, quietly
inline constexpr absl::Duration kDescribeEvery = absl::Seconds(60);     // a node started anew has a new onion key
inline constexpr absl::Duration kDescribeAgain = absl::Seconds(5);      // to one that failed to describe itself
inline constexpr absl::Duration kMeetPause = absl::Seconds(1);          // between rounds over the bootstrap addresses, while outside
inline constexpr absl::Duration kMeetPauseMember = absl::Seconds(30);   // and as a member, looking for another ring
inline constexpr absl::Duration kTableSpacing = absl::Seconds(1);       // so that times, whole seconds, do not outrun the clock
inline constexpr absl::Duration kTablesAhead = absl::Seconds(10);       // of the clock: what is kept on disk at once, so that disks rest
inline constexpr absl::Duration kTablesAgain = absl::Seconds(1);        // after a save that failed
inline constexpr absl::Duration kTablesUnknown = absl::Seconds(12);     // kTablesAhead and 2 s, of silence: if it is not known what was signed before
inline constexpr size_t kSmallTable = 8;       // members in a table; below it who asks waits up to kTableSpacing for those that just joined
inline constexpr size_t kTableAskersMax = 64;  // who wait so; others are shown the table of before
inline constexpr absl::Duration kLeaveGrace = absl::Seconds(1);         // for the neighbours to hear of it

class RingDriver {
 public:
  struct Options {
    Network network;
    Role role = Role::kStoring;
    std::string address;     // advertised: "IP:port"
    base::Bytes admission{};
    keys::OnionKeys onion_keys{};                                         // kept from an earlier run; may be none, or too old
    std::function<void(const keys::OnionKeys&)> keep_onion_keys = nullptr;  // told of new ones, from the constructor on
    // No table of an earlier run was issued later than this. Nothing: that is not known.
    std::optional<absl::Time> tables_until = absl::UnixEpoch();
    // Has to keep that time over a restart and then, on the loop, to call back: OK only if it is surely kept. No table is issued
    // later than what was. One at a time, from the constructor on; a failure is tried again. Null: the key does not outlive this.
    std::function<void(absl::Time, std::function<void(absl::Status)>)> keep_tables_until = nullptr;
  };

  // Registers its methods. Everything referred to must outlive the driver; no server may call it once it is gone.
  RingDriver(Options options, const keys::SigningKey& node_key, base::EventLoop& loop, RpcServer& server, RpcClient& client,
             Directory& directory, base::Rng& rng);
  ~RingDriver();
  RingDriver(const RingDriver&) = delete;

  void Create();
  // Meets the bootstrap addresses (host names allowed) again and again and joins through whoever answers. `done` once: OK when a
  // member (the first virtual node; the others follow). FailedPrecondition, Unauthenticated: everybody there is of another network or
  // version, or an impostor (text for the user). DeadlineExceeded: nobody let us in within `timeout`; the ring is left then.
  void Join(std::vector<RpcTarget> bootstrap, absl::Duration timeout, std::function<void(absl::Status)> done);
  // For a process that was a member a moment ago, at another place: as Join through any of these, but detached from the start (ring.h),
  // so that it tries for ever and founds a ring anew only as a detached node may. `done` once it is a member.
  void Return(std::vector<RpcTarget> ways, std::function<void()> done);
  // `done` when the neighbours heard, at most kLeaveGrace later. Questions are answered until the end, as no member.
  void Leave(std::function<void()> done);
  void Lookup(const NodeId& point, std::function<void(absl::StatusOr<LookupResult>)> done);

  // Hooks, set before Create or Join. `done` of on_join_prepared: not OK makes the ring look for its place again.
  std::function<void(const Neighbourhood&)> on_neighbourhood;
  std::function<void(const Neighbourhood& future, std::function<void(absl::Status)> done)> on_join_prepared;
  std::function<void(RingState)> on_state;

  const Network& network() const { return options_.network; }
  // Of the process: what its first virtual node says.
  const Peer& self() const { return first().self(); }
  RingState state() const { return first().state(); }
  bool IsMember() const { return first().IsMember(); }
  bool IsAlone() const { return first().IsMember() && first().successors().empty(); }
  const std::vector<Peer>& successors() const { return first().successors(); }
  const std::optional<Peer>& predecessor() const { return first().predecessor(); }
  std::pair<double, bool> SizeEstimate() const { return first().SizeEstimate(); }
  // Each of them; index < virtual_nodes().
  size_t virtual_nodes() const { return nodes_.size(); }
  const Ring& virtual_node(size_t index) const { return *nodes_[index].ring; }
  // What this process goes by, as the ring is now; good until the next call for that index. Signed if that may be; else `encoded`
  // and `head` are empty: a non-member's, which names nobody but us, and a member's that changed within kTableSpacing or for which
  // no time is kept.
  const RoutingTable& table(size_t index = 0) const;
  // What others are shown: the last one that was signed, though it may be behind. Good as long. Null: nothing is signed.
  const RoutingTable* signed_table(size_t index = 0) const;
  // None of them was issued later.
  absl::Time tables_issued() const;
  const Descriptor& descriptor() const { return descriptor_; }
  std::span<const keys::X25519KeyPair> onion_keys() const { return onion_keys_.pairs; }  // the current one first, then the previous

 private:
  // What the driver does for the core.
  struct VirtualNode {
    std::unique_ptr<Ring> ring;
    uint32_t life = 0;  // one more with every new ring: answers to the one before count for nothing
    RoutingTable table;                  // the last one signed; not signed: none since it is a member
    RoutingTable current;                // what it goes by instead, if it may not sign that
    bool goes_unsigned = false;
    absl::Time table_issued;  // of the last one signed; before the first: no earlier one was later
    absl::Time table_signed = absl::InfinitePast();  // the same on the steady clock
    std::optional<Peer> traced_successor, traced_predecessor;
  };
  // Which ring asked; and a call of it.
  struct Asker {
    size_t index;
    uint32_t life;
  };
  std::unique_ptr<Ring> MakeRing(size_t index) const;
  const Ring& first() const { return *nodes_[0].ring; }
  void Apply(size_t index, RingActions actions);
  void OnTick();
  // True if successor or predecessor is another one than the last time.
  bool TracePointers(VirtualNode& node);
  void WatchNeighbours();
  void OnDoubt(const keys::PublicKey& process);
  void Post(size_t index, overlay::Call call);
  void PostHere(Asker asker, overlay::Call call);
  void Ask(Asker asker, overlay::Call call, absl::Time deadline, bool introduced);
  void ShowSelf(Asker asker, overlay::Call call, absl::Time deadline);
  void OnReply(Asker asker, const overlay::Call& call, absl::StatusOr<RingReply> reply);
  void OnStateChanged(size_t index, RingState state);
  void OnJoinPrepared(size_t index, const Neighbourhood& future);
  void PrepareNext();
  void Later(std::function<void()> task);

  // The virtual nodes behind the first.
  void FollowFirst();
  void DropOthers();

  // What it answers.
  void Serve(RpcServer& server);
  RoutingTable ListsOf(size_t index) const;
  void RefreshTable(size_t index) const;
  absl::Time NextIssue(size_t index) const;
  bool MaySignTable(absl::Time next) const;
  void KeepTablesUntil(absl::Time next) const;
  void SignTableOf(size_t index, absl::Time next) const;
  void OnRingRequest(const Caller& caller, std::string_view method, const std::string& request, const RpcResponder& respond);
  void OnDescribe(const Caller& caller, const std::string& request, const RpcResponder& respond);
  void OnTable(const std::string& request, const RpcResponder& respond);
  bool NamesTooFew(size_t index) const;
  void OnHealthWatch(size_t index, std::shared_ptr<RpcStream> stream);
  std::string HealthNow(size_t index) const;
  // Tells those watchers of this virtual node and forgets who has gone; all of them if no index is given.
  void TellWatchers(std::optional<size_t> index);

  // What it publishes, and knows of others.
  void Renew();
  void RenewOnionKeys();
  void RefreshDirectory();
  bool NeedsDescriptor(const Peer& peer) const;
  void Describe(const Peer& peer);

  // Joining.
  struct Joining {
    absl::Time deadline;
    std::function<void(absl::Status)> done;
  };
  void MeetBootstrap();
  void OnMet(const absl::StatusOr<Descriptor>& met, size_t of);
  void CheckJoinDeadline();
  void FinishJoin(absl::Status status);

  Options options_;
  const keys::SigningKey& node_key_;
  base::EventLoop& loop_;
  RpcClient& client_;
  Directory& directory_;
  base::Rng& rng_;
  keys::OnionKeys onion_keys_;
  Descriptor descriptor_;
  mutable std::vector<VirtualNode> nodes_;  // by index, v of them; mutable for the tables, which are signed when asked for

  HealthWatchDriver health_watches_;
  base::Timer tick_, renew_timer_, directory_timer_, meet_timer_, deadline_timer_;
  std::vector<RpcTarget> bootstrap_;
  size_t meeting_ = 0;         // answers of this round still to come
  size_t refused_ = 0;         // of this round: another network, or an impostor
  absl::Status refusal_;
  absl::Time met_at_ = absl::InfinitePast();
  std::optional<Joining> joining_;
  struct Preparation {
    Asker asker;
    Neighbourhood future;
  };
  std::vector<Preparation> preparations_;  // the first is under way; one of each virtual node at most
  uint64_t preparation_ = 0;               // number of the one under way: answers to earlier ones count for nothing
  LookupId last_lookup_ = 0;
  absl::flat_hash_map<LookupId, std::function<void(absl::StatusOr<LookupResult>)>> lookups_;
  struct Described {
    absl::Time asked;
    bool answered = false;
  };
  absl::flat_hash_map<keys::PublicKey, Described> described_;  // of those in the table
  size_t describing_ = 0;
  struct HealthWatcher {
    size_t index;
    std::shared_ptr<RpcStream> stream;
  };
  std::vector<HealthWatcher> health_watchers_;
  size_t open_calls_ = 0;
  // What is known to be kept of keep_tables_until, and when a table may be signed and a save be tried: steady times.
  mutable absl::Time tables_saved_, tables_from_, next_save_ = absl::InfinitePast();
  mutable bool saving_tables_ = false;
  size_t table_askers_ = 0;
  std::function<void()> leave_done_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // what callbacks in flight hold weakly
};

}  // namespace overlay
