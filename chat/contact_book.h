// SPDX-License-Identifier: Apache-2.0
// chat/contact_book.h — all that one identity knows of others: contacts, requests of strangers, invites, its own prekeys, and a
// conversation with each. The core that the commands, the simulator and the tests drive.
//
// Loaded from entries, changed by calls, saved by TakeChange. The order that makes every crash harmless:
//   Advance -> TakeChange -> on disk -> show what it holds -> Tasks -> carried out -> OnPutDone, OnReadDone -> again
// A ratchet key is on disk as used before the box that it sealed leaves; a message is on disk before it is acknowledged.
// A core: no clock, no disk; one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "chat/conversation.h"
#include "chat/group_book.h"
#include "chat/inbox.h"
#include "chat/invite.h"
#include "chat/mailbox_messages.h"
#include "chat/prekeys.h"

namespace chat {

inline constexpr size_t kContactsMax = 1024;
inline constexpr size_t kRequestsMax = 64;  // strangers that wait; beyond it those of the least effort are dropped, and counted
inline constexpr uint32_t kFirstEffort = 1024;  // asked of strangers when so many wait: half a second on one core
inline constexpr size_t kInvitesMax = 64;
inline constexpr size_t kInvitesPerUpkeep = 4;                   // 12 readings: contacts wait for their turns meanwhile
inline constexpr size_t kContactNameMax = 64;                    // bytes
inline constexpr size_t kPublishPerRound = 9;                    // bundles put by one poll: three days at three places
inline constexpr absl::Duration kPublishAgain = absl::Hours(6);  // those of today and tomorrow: stores lose things

struct Contact {
  keys::PublicKey key;
  std::string name;  // empty: a request of a stranger
  bool verified = false;
  bool acknowledge = false;
  uint8_t life = 0;  // of what is written to it (message_life.h)
  // Somebody who answered a note of ours: we are an identity to them that was made for that note. `key` is then that identity's,
  // which no contact has twice, and `answerer` theirs. Not in backups.
  struct Reply {
    keys::WipedArray<32> own_seed;
    keys::PublicKey answerer;
  };
  std::optional<Reply> reply;
  uint32_t effort = 0;    // of a request: the work that it came with
  bool doorless = false;  // wrote a note that we answered: an identity made for it, whose door nobody reads. Not in backups.
  const keys::PublicKey& address() const { return reply ? reply->answerer : key; }
  std::optional<keys::PublicKey> changed_key;  // the name was given another key: nothing is sent until a person has looked
};

struct BookTask {
  uint64_t id = 0;
  overlay::NodeId point;
  MailboxRequest request;
  std::optional<dht::RecordName> put;  // none: a reading
  absl::Time expiry;                   // of the record put
  bool in_focus = false;               // a reading of the conversation that is open
};

struct BookNotice {
  enum class Kind : uint8_t {
    kReplaced = 1,
    kLost = 2,
    kAnswered = 3,     // ConversationNotice
    kRequest = 4,      // a stranger asks
    kInviteTaken = 5,  // an invite became a contact
    kUnreadable = 6,   // a handshake came for a prekey that was erased; its sender will try again
    kTooManyRequests = 7,
    kNoRoom = 8,  // ConversationNotice
    kGroupInvited = 20,
    kGroupJoined = 21,
    kGroupLeft = 22,
    kGroupEnded = 23,
    kGroupLost = 24,
    kGroupRestarted = 25,
    kGroupStale = 26,
    kGroupUnheard = 27,  // GroupNotice; without a group
  };
  Kind kind = Kind::kLost;
  keys::PublicKey peer;
  uint32_t count = 1;
  std::optional<GroupId> group;
};

class ContactBook {
 public:
  struct Options {
    std::string network = "local";
    int write_quorum = 2;
  };

  // Both outlive the book.
  ContactBook(Options options, const keys::SigningKey& self, base::Rng& rng);

  // Everything as Inbox::LoadBook gave it. DataLoss.
  absl::Status Load(const std::vector<BookEntry>& entries, absl::Time wall_now);

  // ---- what a person does. Names are unique, 1 to kContactNameMax bytes; InvalidArgument otherwise.
  // AlreadyExists if the address stands under another name. A name that stands for another key: FailedPrecondition, and the
  // contact is marked (changed_key); its own key given again takes the mark back. PermissionDenied: there already, and blocked. ResourceExhausted beyond kContactsMax. A
  // waiting request of that key is accepted, also one that was blocked.
  absl::Status Add(const std::string& name, const keys::PublicKey& key);
  absl::Status AcceptKey(const keys::PublicKey& key, const std::string& name) { return Add(name, key); }
  absl::Status Rename(const std::string& from, const std::string& to);
  absl::Status Remove(keys::PublicKey key);  // by value: callers have it from the contact that goes
  absl::Status Block(const keys::PublicKey& key);
  // What was written meanwhile is read, as long as it lies there (14 days). A stranger asks again. NotFound; FailedPrecondition:
  // not blocked.
  absl::Status Unblock(const keys::PublicKey& key);
  bool IsBlocked(const keys::PublicKey& key) const;
  void SetVerified(const keys::PublicKey& key, bool verified);
  void SetAcknowledge(const keys::PublicKey& key, bool acknowledge);
  // `code` of message_life.h: what is written from now on to that contact, or group, is deleted at both ends after that time.
  void SetLife(const keys::PublicKey& key, uint8_t code);
  // The changed key takes the place of the old one, unverified. AlreadyExists: it stands under another name by now.
  absl::Status AcceptChangedKey(const std::string& name);
  // FailedPrecondition if the key changed; PermissionDenied if blocked; NotFound; else as Conversation::Send.
  absl::StatusOr<MessageId> Send(const keys::PublicKey& key, base::Bytes text, absl::Time wall_now);
  // The same for a file; `name` without the folders it lies in.
  absl::StatusOr<MessageId> SendFile(const keys::PublicKey& key, std::string name, base::Bytes bytes, absl::Time wall_now);
  // Files that came from somebody: one, or all.
  void RemoveFile(const keys::PublicKey& key, const MessageId& id);
  void RemoveFiles(const keys::PublicKey& key);
  // ResourceExhausted beyond kInvitesMax.
  absl::StatusOr<InviteCode> CreateInvite(const std::string& name, absl::Duration life, absl::Time wall_now);
  // Where an answer to a note to `recipient` is looked for, for two weeks. ResourceExhausted beyond kInvitesMax. On disk before
  // it is sent.
  absl::StatusOr<NoteReply> CreateReply(const keys::PublicKey& recipient, absl::Time wall_now);
  // That note did not leave: nothing is looked for.
  void WithdrawReply(const NoteReply& reply);
  // Takes up somebody's invite. DeadlineExceeded: too old; AlreadyExists: a session is there. Unauthenticated: nobody can have
  // made it; nothing has changed.
  absl::Status TakeUp(const InviteCode& code, const std::string& name, absl::Time wall_now);
  // Answers a note (CreateReply). Errors of TakeUp; AlreadyExists too: it names somebody who is known.
  absl::Status AnswerNote(const InviteCode& code, const std::string& name, absl::Time wall_now);
  // ---- groups: as GroupBook has it. The members of a new group, and those added, are contacts whose own address is known, and
  // who are not blocked: FailedPrecondition, which names who is not. AlreadyExists: who is one. `own_name`: what the creator is
  // called in the list.
  const GroupBook& groups() const { return groups_; }
  absl::StatusOr<GroupId> CreateGroup(const std::string& name, const std::vector<keys::PublicKey>& others,
                                      const std::string& own_name, absl::Time wall_now);
  absl::Status AddToGroup(const GroupId& id, const std::vector<keys::PublicKey>& others, absl::Time wall_now);
  absl::Status RemoveFromGroup(const GroupId& id, const keys::PublicKey& member, absl::Time wall_now) {
    return groups_.Remove(id, member, wall_now);
  }
  absl::Status AcceptGroup(const GroupId& id, absl::Time wall_now) { return groups_.Accept(id, wall_now); }
  absl::Status LeaveGroup(const GroupId& id) { return groups_.Leave(id); }
  absl::Status RestoreGroup(Group group, absl::Time wall_now) { return groups_.Restore(std::move(group), wall_now); }
  absl::StatusOr<MessageId> SendToGroup(const GroupId& id, base::Bytes text, absl::Time wall_now);
  // Whom `typed` means in a group's list: a contact's name here, else the creator's for them. NotFound.
  absl::StatusOr<keys::PublicKey> FindMember(const Group& group, const std::string& typed) const;

  // After a restore: every contact gets a new session.
  void RebuildSessions();

  const std::map<keys::PublicKey, Contact>& contacts() const { return contacts_; }
  const Contact* FindName(const std::string& name) const;
  const Conversation* FindConversation(const keys::PublicKey& key) const;
  const std::map<keys::PublicKey, Conversation>& conversations() const { return conversations_; }
  size_t invite_count() const { return invites_.size(); }
  // Own messages that no change has taken along yet.
  const std::vector<Message>& written() const { return written_; }

  // ---- what the network does
  // A handshake out of the door: kWaitingHandshakeSize (contact_entries.h). `name`: of its waiting entry, gone with the next
  // change. Of strangers kRequestsMax wait, those of the greatest effort; who is dropped uses no one-time prekey up.
  void OnHandshake(base::ByteView name, base::ByteView handshake, absl::Time wall_now);
  // What strangers are asked for (bundle.h): nothing while there is room; else a power of two, at least twice the least effort of
  // those that wait, so that whoever pays it has a place.
  uint32_t AskedEffort() const;
  void Advance(absl::Time wall_now);
  // Own texts whose life is over leave the outbox: a part of Advance, for whoever deletes them elsewhere too (Inbox::Sweep).
  // False: there was none.
  bool Disappear(absl::Time wall_now);
  // Once more, with the next change: nobody was told.
  void Notify(const std::vector<BookNotice>& notices) { notices_.insert(notices_.end(), notices.begin(), notices.end()); }
  // Reads every chain once, invites too, and renews what is published.
  void BeginRound(absl::Time wall_now);
  // The round of it that no contact has a part in: invites, some each time, and what is published.
  void BeginUpkeep(absl::Time wall_now, size_t invites_at_most = kInvitesPerUpkeep);
  // Reads the chain of one contact, or one of a group (GroupBook::Chains). `brief`: only where something new lies if nothing is
  // missing.
  void BeginReading(const keys::PublicKey& peer, bool brief, absl::Time wall_now);
  // The conversation, or the group, that a person looks at.
  void SetFocus(const std::optional<keys::PublicKey>& peer) { focus_ = peer; }
  // Something that was begun to be read was not given out yet.
  bool HasReadings() const { return !waiting_.empty(); }
  // What can be done now, at most `at_most`. Each comes back once, to OnPutDone or OnReadDone.
  std::vector<BookTask> Tasks(absl::Time wall_now, size_t at_most);
  void OnPutDone(uint64_t id, uint8_t copies, absl::Time wall_now);
  // No value: nobody answered for sure. No body: nothing lies there.
  void OnReadDone(uint64_t id, const absl::StatusOr<std::optional<base::Bytes>>& body, absl::Time wall_now);
  // When something queued is due again.
  absl::Time NextDue() const;

  struct Change {
    InboxChange inbox;  // entries, and messages to show
    std::vector<BookNotice> notices;
    struct State {
      keys::PublicKey peer;  // or the group
      StateChange change;
    };
    std::vector<State> states;
    bool empty() const { return inbox.empty() && notices.empty() && states.empty(); }
  };
  Change TakeChange(absl::Time wall_now);

 private:
  struct BundleFetch {
    keys::PublicKey peer;
    uint8_t place = 0;
    int tries = 0;
  };
  struct InviteRead {
    std::array<uint8_t, 16> secret{};
  };
  struct Publication {
    Day day = 0;
    uint8_t place = 0;
    uint64_t version = 0;
  };
  struct ChainPut {
    keys::PublicKey peer;
    uint64_t generation = 0;
    uint32_t seq = 0;
  };
  struct ChainRead {
    keys::PublicKey peer;
    Conversation::Read read;
    bool brief = false;
  };
  struct GroupPut {
    GroupId group;
    uint32_t seq = 0;
  };
  struct GroupRead {
    GroupBook::Read read;
    bool brief = false;
  };
  using Job = std::variant<ChainPut, ChainRead, BundleFetch, InviteRead, Publication, GroupPut, GroupRead>;

  Conversation& ConversationWith(const keys::PublicKey& key, Standing standing);
  absl::Status CheckName(const std::string& name) const;
  absl::Status CheckUnnamed(const keys::PublicKey& key) const;
  // Whose it was, if it was somebody's. `effort`: of one without an invite.
  std::optional<keys::PublicKey> OpenHandshake(const keys::X25519KeyPair& prekey, const keys::X25519KeyPair* one_time,
                                               base::ByteView psk, base::ByteView handshake, const Invite* invite,
                                               uint32_t effort, absl::Time wall_now);
  struct Requests {
    size_t count = 0;
    const Contact* least = nullptr;  // by effort
  };
  Requests WaitingRequests() const;
  void NoteDropped();
  std::optional<keys::PublicKey> OpenReply(const Invite& invite, base::ByteView handshake, absl::Time wall_now);
  void FetchBundles(absl::Time wall_now);
  void Publish(absl::Time wall_now);
  void AddRead(const keys::PublicKey& peer, std::vector<Conversation::Read> reads, bool brief = false);
  void AddTask(BookTask task, Job job);
  BookTask PutTask(const dht::Record& record, Job job);
  absl::StatusOr<std::vector<GroupMember>> MembersOf(const std::vector<keys::PublicKey>& others) const;
  void ExchangeControls(absl::Time wall_now);
  void MeetMembers(const std::set<keys::PublicKey>& members);
  bool DropStrangers(const std::set<keys::PublicKey>& members);
  void AddGroupReads(std::vector<GroupBook::Read> reads, bool brief);
  void AddGroupPuts(absl::Time wall_now, size_t at_most, std::vector<BookTask>& tasks);
  void SaveGroups(Change& change);
  void OnBundle(BundleFetch fetch, const absl::StatusOr<std::optional<base::Bytes>>& body, absl::Time wall_now);
  void OnInviteBox(const InviteRead& read, const absl::StatusOr<std::optional<base::Bytes>>& body, absl::Time wall_now);
  absl::StatusOr<Conversation*> ForSending(const keys::PublicKey& key);
  MessageId KeepWritten(const keys::PublicKey& key, Message message, absl::Time wall_now);
  uint64_t FileRoomLeft() const;
  void SaveFiles(const keys::PublicKey& peer, const Conversation& conversation, const Conversation::Changes& changes,
                 InboxChange& out) const;
  void SaveConversation(const keys::PublicKey& peer, Conversation& conversation, Change& change, absl::Time wall_now);
  void Touch(const keys::PublicKey& key) { changed_contacts_.insert(key); }

  const Options options_;
  const keys::SigningKey& self_;
  base::Rng& rng_;
  std::map<keys::PublicKey, Contact> contacts_;
  std::map<keys::PublicKey, keys::SigningKey> own_keys_;  // of contacts with one of their own; outlive their conversations
  std::map<keys::PublicKey, Conversation> conversations_;
  std::map<std::array<uint8_t, 16>, Invite> invites_;   // by secret
  std::optional<std::array<uint8_t, 16>> last_invite_;  // whose places were read last
  GroupBook groups_;
  bool members_changed_ = false;
  std::set<keys::PublicKey> forgotten_;  // contacts removed since the last change
  std::optional<keys::PublicKey> focus_;
  Prekeys prekeys_;
  struct Published {
    uint64_t version = 0;
    absl::Time when;
  };
  std::map<std::pair<Day, uint8_t>, Published> published_;
  uint32_t round_ = 0;

  uint64_t last_task_ = 0;
  std::deque<BookTask> waiting_;
  bool reads_lead_ = false;  // of the last Tasks
  std::map<uint64_t, Job> jobs_;
  std::set<keys::PublicKey> fetching_;
  std::set<std::pair<Day, uint8_t>> publishing_;

  std::set<keys::PublicKey> changed_contacts_;
  std::set<std::array<uint8_t, 16>> changed_invites_;
  bool prekeys_changed_ = false, published_changed_ = false;
  std::vector<BookEntry> gone_;
  std::vector<FileErased> gone_files_;
  std::vector<Message> written_;  // own messages, for the history
  std::vector<BookNotice> notices_;
};

// What two people compare over another channel: the same for both, whoever reads it first.
std::string SafetyNumber(std::string_view network, const keys::PublicKey& a, const keys::PublicKey& b);  // 12 groups of 5 digits
// Eight pronounceable words of five letters (proquints, arXiv 0901.4016): 128 bits.
std::string SafetyWords(std::string_view network, const keys::PublicKey& a, const keys::PublicKey& b);

}  // namespace chat
