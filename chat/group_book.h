// SPDX-License-Identifier: Apache-2.0
// chat/group_book.h — the groups of an identity: who is in them, what is written, what the others write.
//
// The creator alone changes who is in a group: so there is one order of changes, numbered by epochs, and nothing to agree on. It
// announces each to every member; members tell each other their chains (group_chain.h). Both go over the pairwise sessions, so
// who speaks is proved, and nobody else reads it. Rules, by which every member acts alone:
//   - whoever was told of a member tells it its chain: as it is now, so nothing written before can be read;
//   - when a member is gone from the list, everybody else's next message lies in a fresh chain, which is told to those who
//   stayed;
//   - what the one who went wrote and was not read yet is not shown;
//   - a list says by which epoch each member was put in: who is in by a later one than we knew was out meanwhile, and is another
//   member; so are we, if it is ourselves. Of what a member says, a farewell counts if it went by a list since then; a chain, if
//   it was told by a list since both its teller and we are in. Anything earlier is of a membership that is over, however late it
//   is read, and changes nothing;
//   - a member whose chain is not known after a day, or in which nothing was found for a week, is told our chain again, and
//   asked; its creator tells the list with it: so who had no room for an invitation hears it later;
//   - whoever goes by an old list hears so when it tells its chain: of the creator that it is in the group no more, of one who
//   went that it did. A farewell may expire unread: what was to be known by it becomes known then.
//   - a member may go by itself, the creator too: then nobody changes the list any more, and the group goes on.
// An invitation takes effect when a person accepts it; what is written meanwhile waits. A text is sealed once, in one box for
// all; nobody acknowledges it: "stored" is all that its writer learns. Boxes are put again until they expire, or
// kGroupParcelsKept newer ones are there. Not in backups but for the lists: whoever restores one has a fresh chain, and asks for
// the others'. What hostile ones can do: a creator can put anybody in, and tell two members two lists; a member can write two
// boxes for one place, so that two readers see two texts; neither can write as somebody else, nor for one who was not told. A
// core, part of the contact book (contact_book.h), whose rules of saving before sending it follows.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "chat/group_controls.h"
#include "chat/group_feed.h"
#include "chat/inbox.h"
#include "chat/outbox.h"

namespace chat {

inline constexpr size_t kGroupsMax = 64;
inline constexpr size_t kInvitationsMax = 16;      // groups that wait to be accepted; more are not heard
inline constexpr size_t kInvitationsOfOneMax = 3;  // of one creator: nobody takes all the places
inline constexpr size_t kEarlyMax = 128;  // chains of groups, or members, not announced yet; one of whoever has most gives way
inline constexpr size_t kLeftMax = 64;    // groups we went from, and their epochs; the oldest are forgotten
inline constexpr size_t kGroupParcelsKept = 2048;                  // own boxes of one group; 4 MB
inline constexpr absl::Duration kGroupAskAgain = absl::Hours(24);  // whose chain is not known
inline constexpr uint32_t kEpochStepMax = 1024;  // that a member may be ahead of a creator who restored a backup
inline constexpr uint32_t kEpochMax = 1u << 31;

struct Group {
  enum class State : uint8_t { kInvited = 1, kMember = 2, kEnded = 3 };  // ended: removed by its creator; only its name is left
  GroupId id;
  State state = State::kMember;
  std::string
      name;  // given by the creator, made safe to print, and marked where another group has it; members' names are safe too
  keys::PublicKey creator;
  uint32_t epoch = 1;
  std::vector<GroupMember> members;  // with ourselves, while in it
  uint8_t life = 0;                  // of what is written here (message_life.h)

  const GroupMember* Find(const keys::PublicKey& key) const;
};

struct GroupNotice {
  enum class Kind : uint8_t {
    kInvited = 20,  // by `peer`
    kJoined = 21,
    kLeft = 22,       // or was removed
    kEnded = 23,      // `peer`, its creator, has removed us
    kLost = 24,       // `count` messages of `peer`
    kRestarted = 25,  // `peer` lost its keys and writes with fresh ones
    kStale = 26,      // ours is an older list than `peer` knows: restored from a backup
    kUnheard = 27,    // `count` invitations of `peer`: no room while others wait; it tells them again. `group` is zero
  };
  Kind kind = Kind::kLost;
  GroupId group;
  keys::PublicKey peer;
  uint32_t count = 1;
};

class GroupBook {
 public:
  struct Options {
    std::string network = "local";
    int write_quorum = 2;
    keys::PublicKey self;
    keys::WipedArray<32> id_secret{};  // of this identity: what the ids of texts that came follow from, on this disk
  };
  GroupBook(Options options, base::Rng& rng) : options_(std::move(options)), rng_(rng) {}

  // ---- what a person does. InvalidArgument: a name of none or too many bytes; nobody, or one twice. AlreadyExists: the name is
  // taken. ResourceExhausted: beyond kGroupsMax or kGroupMembersMax. NotFound: no such group or member. FailedPrecondition: not
  // its creator, not a member of it, or not invited.
  absl::StatusOr<GroupId> Create(const std::string& name, const std::vector<GroupMember>& others, const std::string& own_name,
                                 absl::Time wall_now);
  absl::Status Add(const GroupId& id, const std::vector<GroupMember>& others, absl::Time wall_now);
  absl::Status Remove(const GroupId& id, const keys::PublicKey& member, absl::Time wall_now);
  absl::Status Accept(const GroupId& id, absl::Time wall_now);
  // Also an invitation that is not wanted, and what is left of a group that ended.
  absl::Status Leave(const GroupId& id);
  // OutOfRange beyond kTextMax; else as Outbox::Enqueue.
  absl::StatusOr<MessageId> Send(const GroupId& id, base::Bytes text, absl::Time wall_now);
  // `code` of message_life.h: what is written here from now on is deleted so long after, by us and by all who read it. CHECKs
  // that there is the group.
  void SetLife(const GroupId& id, uint8_t code);
  // As ContactBook::Disappear.
  bool Disappear(absl::Time wall_now);
  // Out of a backup: to be a member again, with a fresh chain. FailedPrecondition: not a member, there already, or not its
  // creator's group.
  absl::Status Restore(Group group, absl::Time wall_now);

  const Group* Find(const GroupId& id) const;
  const Group* FindName(const std::string& name) const;
  std::vector<const Group*> All() const;  // by name
  const Outbox* FindOutbox(const GroupId& id) const;
  // Members of all groups that go on, but ourselves; of invitations only who invites: the others are strangers until a person
  // accepts.
  std::set<keys::PublicKey> Peers() const;
  // Somebody in a group that waits to be accepted.
  bool IsInvitedWith(const keys::PublicKey& key) const;

  // Once after Peers has changed.
  bool TakePeersChanged() { return std::exchange(peers_changed_, false); }

  // ---- what comes and goes over the pairwise sessions
  void OnControl(const keys::PublicKey& from, base::ByteView bytes, absl::Time wall_now);
  // What was told to `peer` expired unread: it is told again.
  void OnControlExpired(const keys::PublicKey& peer);
  // Shows what has come, tells what is to be told, seals what waits. Call before Puts and TakeControls.
  void Advance(absl::Time wall_now);
  struct Told {
    keys::PublicKey to;
    base::Bytes bytes;
  };
  std::vector<Told> TakeControls() { return std::exchange(controls_, {}); }
  // Who does not share a group with us any more: what was to be told of it and has not come there is withdrawn. In a session that
  // the two may have later, a chain of before would be read once more.
  std::vector<std::pair<keys::PublicKey, GroupId>> TakeParted() { return std::exchange(parted_, {}); }

  // ---- boxes
  struct Put {
    GroupId group;
    uint32_t seq = 0;
    dht::Record record;
  };
  std::vector<Put> Puts(absl::Time wall_now, size_t at_most);
  void OnPut(const GroupId& group, uint32_t seq, uint8_t copies, absl::Time wall_now);
  absl::Time NextDue() const;
  struct Read {
    GroupId group;
    keys::PublicKey member, chain;
    Probe probe;
  };
  // The chains to be read now, of one group or of all, by their writing keys.
  std::vector<keys::PublicKey> Chains(const std::optional<GroupId>& only, absl::Time wall_now) const;
  // Every chain once, or one of them.
  std::vector<Read> BeginRound(const std::optional<keys::PublicKey>& only, absl::Time wall_now);
  std::vector<Read> OnRead(const Read& read, const std::optional<base::Bytes>& body, absl::Time wall_now);

  // ---- on disk (contact_entries.h)
  struct Change {
    std::vector<BookEntry> entries;
    std::vector<Message> arrived;
    std::vector<GroupNotice> notices;
    struct State {
      GroupId group;
      StateChange change;
    };
    std::vector<State> states;
  };
  Change TakeChange();
  // DataLoss. The entry's type is one of those of groups; those of kGroupEntry come first. A damaged feed begins empty: its
  // writer is asked.
  absl::Status Load(const BookEntry& entry);

 private:
  struct Peer {
    keys::PublicKey told;    // the chain of ours that it knows
    uint32_t announced = 0;  // by us, the creator: epoch
    absl::Time asked = absl::InfinitePast();
    GroupFeed feed;
  };
  struct Room {
    explicit Room(int write_quorum) : outbox(write_quorum) {}
    Group group;
    std::optional<GroupWriter> writer;  // of a member
    std::map<keys::PublicKey, Peer> peers;
    Outbox outbox;
    bool changed = true;
  };
  struct Early {
    keys::PublicKey from;
    GroupChainTold told;
  };
  struct Left {
    GroupId group;
    uint32_t epoch = 0;  // of the list that we knew
  };

  absl::StatusOr<Room*> Own(const GroupId& id);
  Room& NewRoom(Group group);
  std::string FreeName(const std::string& name, const GroupId& id) const;
  void SetMembers(Room& room, std::vector<GroupMember> members, absl::Time wall_now);
  void Renew(Room& room, uint32_t first, absl::Time wall_now);
  void End(std::map<GroupId, Room>::iterator it, uint32_t epoch);
  void Forget(std::map<GroupId, Room>::iterator it);
  void ForgetOutbox(Room& room);
  void Part(const keys::PublicKey& from, const GroupId& group);
  void OnAnnouncement(const keys::PublicKey& from, GroupAnnouncement announcement, absl::Time wall_now);
  bool HasRoomForInvitationOf(const keys::PublicKey& creator) const;
  void OnChain(const keys::PublicKey& from, const GroupChainTold& told, absl::Time wall_now);
  void OnChainOfNoMember(const keys::PublicKey& from, const GroupChainTold& told);
  uint32_t EpochWeWentAt(const GroupId& id) const;
  void KeepEarly(const keys::PublicKey& from, const GroupChainTold& told);
  void OnFarewell(const keys::PublicKey& from, const GroupFarewell& farewell, absl::Time wall_now);
  void TakeEarly(Room& room, absl::Time wall_now);
  void Hear(Room& room, absl::Time wall_now);
  void Tell(Room& room, absl::Time wall_now);
  void SealForPresent(Room& room, absl::Time wall_now);
  void SealTexts(Room& room, absl::Time wall_now);
  void Say(const keys::PublicKey& to, const GroupControl& control) { controls_.push_back({to, EncodeGroupControl(control)}); }
  void Note(GroupNotice::Kind kind, const GroupId& group, const keys::PublicKey& peer, uint32_t count = 1);
  void ChangeStates(const GroupId& group, const std::vector<StateChange>& changes);
  void SaveRoom(Room& room, Change& change);

  const Options options_;
  base::Rng& rng_;
  std::map<GroupId, Room> rooms_;
  std::deque<Early> early_;
  std::deque<Left> left_;
  bool early_changed_ = false, left_changed_ = false, peers_changed_ = false;
  std::vector<Told> controls_;
  std::vector<std::pair<keys::PublicKey, GroupId>> parted_;
  std::vector<BookEntry> gone_;
  std::vector<Message> arrived_;
  std::vector<GroupNotice> notices_;
  std::vector<Change::State> states_;
};

// The list and the names, as backups have them; no keys.
base::Bytes EncodeGroup(const Group& group);
absl::StatusOr<Group> DecodeGroup(base::ByteView bytes);  // DataLoss

}  // namespace chat
