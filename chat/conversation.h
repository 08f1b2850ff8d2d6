// SPDX-License-Identifier: Apache-2.0
// chat/conversation.h — everything between this identity and one contact: session, outbox, what arrives, and in which order.
//
//   no session --text queued, bundle read--> initiated --a message opens--> confirmed
//        ^                                       |  three days unanswered, or something expired unread
//        +---------------------------------------+  not with somebody without a door (Options::doorless)
//   any state --a handshake of theirs opens--> confirmed, over the new session
// Which handshake counts: each carries an epoch, greater than any its maker knew of this pair and no less than the hour's, and an
// end takes up none that is not greater than the newest it made or took up (of equal ones the smaller identity key's is the
// greater). So the epochs of an end only rise, an old handshake that comes late changes nothing, and both ends come to the
// greatest that was made, in whatever order they arrive. An end that lost its state knows no epoch, and takes the next hour's,
// which is ahead of all that was before. If the other side knows one of that hour already (two losses in one hour, a clock that
// is behind), it cannot tell the old handshake from the new one: it leaves its session and writes first, with a greater epoch.
// What is not acknowledged goes through the new session again; readers know message ids, so nothing is seen twice. Messages are
// shown in the order in which they were sent: behind a gap they wait, at most kHoldBack, then they are shown and what turns up
// later is marked late. A file stands where its last piece stands; it is refused, which is told, where there is no room for it.
// Nothing of a stranger is shown before Accept. A restored identity has contacts and no sessions: it writes first, and says that
// its session was lost. (Its prekeys were lost, too: what others wrote to it before opens no more.)
//
// A core: one object, one thread. Every call may leave changes behind; TakeChanges names them, and they have to be on disk before
// a task that was collected after the call is carried out.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "chat/bundle.h"
#include "chat/file_transfer.h"
#include "chat/outbox.h"
#include "chat/session.h"
#include "keys/identity.h"

namespace chat {

inline constexpr absl::Duration kHoldBack = absl::Hours(1);
inline constexpr absl::Duration kHandshakeRetry = absl::Hours(72);
inline constexpr uint32_t kEpochsPerHour = 4096;  // handshakes of one hour; 32 bits are good until 2089
inline constexpr uint32_t kEpochHoursAhead = 48;  // a later one is nobody's: doors take nothing from so far ahead (protocol.md 8)
inline constexpr absl::Duration kBundleRetry = absl::Minutes(10);
inline constexpr size_t kSeenIdsMax = kUnfinishedMax;  // more cannot be sent again
inline constexpr size_t kArrivedMax = 512;             // of one contact behind a gap: 0.9 MB; beyond it they are shown
inline constexpr size_t kPartialMax = 16;
inline constexpr size_t kPartialPartsMax = 256;  // of texts of which some are missing; 0.4 MB
inline constexpr size_t kReadsPerRound = 8192;   // boxes of one contact that one round takes in: a file of any size
inline constexpr size_t kRefusalsMax = 16;       // files not taken that are remembered, to be told again in a new session
inline constexpr uint32_t kPiecesPerAcknowledgement = 64;

// A member of a group of ours who is no contact: what concerns groups is exchanged, texts wait until the member is one.
enum class Standing : uint8_t { kAsked = 1, kContact = 2, kBlocked = 3, kMember = 4 };
inline constexpr size_t kHeldOfMemberMax = 64;  // boxes of texts; later ones are lost, and counted

struct Incoming {
  MessageId id{};
  base::Bytes text;
  uint32_t sent_hour = 0;
  bool late = false;  // something sent after it was shown before it
  std::optional<FileInfo> file;
  uint8_t life = 0;  // message_life.h
  uint32_t seq = 0;  // in a group: number of its first box
};

// What a person has to be told.
struct ConversationNotice {
  enum class Kind : uint8_t {
    kReplaced = 1,  // the other side lost its session (restored): a new one was made
    kLost = 2,      // `count` messages expired, or could not be opened, before they were read
    kAnswered = 3,  // the other side has our request and accepted it
    kAsks = 4,      // a member of a group, no contact, has written
    kNoRoom = 8,    // a file of theirs was refused
  };
  Kind kind = Kind::kLost;
  uint32_t count = 1;
};

class Conversation {
 public:
  struct Options {
    std::string network = "local";
    int write_quorum = 2;
    bool acknowledge = false;  // tell the other side what has arrived, even if there is nothing to say
    uint8_t life = 0;          // of what is written from now on (message_life.h)
    // The peer is an identity made for one note. It reads no door, and nothing proves that the note's writer has that key: what
    // does not reach it through the note's box goes nowhere.
    bool doorless = false;
  };

  // `self` outlives the conversation.
  Conversation(const Options& options, const keys::SigningKey& self, const keys::PublicKey& peer, Standing standing);

  const keys::PublicKey& peer() const { return peer_; }
  Standing standing() const { return standing_; }
  // Somebody whose texts wait to be let in.
  bool asks() const { return standing_ == Standing::kAsked || (standing_ == Standing::kMember && !arrived_.empty()); }
  // Is written to, and read.
  bool talks() const { return standing_ == Standing::kContact || standing_ == Standing::kMember; }
  bool has_session() const { return session_.has_value(); }
  bool confirmed() const { return session_ && session_->confirmed(); }
  const Outbox& outbox() const { return outbox_; }

  // ResourceExhausted, OutOfRange (more than kTextMax).
  absl::StatusOr<MessageId> Send(base::Bytes text, absl::Time wall_now, base::Rng& rng);
  // ResourceExhausted, OutOfRange (more than kFileBytesMax), InvalidArgument (a name that is none).
  absl::StatusOr<MessageId> SendFile(std::string name, base::Bytes bytes, absl::Time wall_now, base::Rng& rng);
  // What groups tell each other: sent as texts are, shown to nobody. Errors of Send.
  absl::Status SendControl(base::Bytes control, absl::Time wall_now, base::Rng& rng);
  // What was to be told of that group, and is not acknowledged: it is not sealed any more, nor again.
  void WithdrawControls(const keys::PublicKey& group);
  // Those that came; they are on disk with what follows from them, or not at all: ask right before TakeChanges.
  std::vector<base::Bytes> TakeControls() { return std::exchange(controls_, {}); }
  // Once, if one of ours expired unread.
  bool TakeControlExpired() { return std::exchange(control_expired_, false); }
  // Files of the other side, whole or not; how many bytes they may take, and what is left of it for a new one.
  const std::map<MessageId, IncomingFile>& files() const { return files_; }
  uint64_t FileBytes() const;
  void SetFileRoom(uint64_t bytes_left) { file_room_ = bytes_left; }
  // Its pieces go; what still comes of it is passed over.
  void RemoveFile(const MessageId& id);
  void SetStanding(
      Standing standing);  // from kAsked to kContact: accepted, which is told; blocked: nothing more is read or shown
  void SetAcknowledge(bool acknowledge) { options_.acknowledge = acknowledge; }
  void SetLife(uint8_t code) { options_.life = code; }
  void SetDoorless() { options_.doorless = true; }
  // What we knew of this pair is lost, as after a restore: write first, although there is nothing to say.
  void Rebuild();

  // True if the other side's bundle has to be read before anything can go on; OnNoBundle if it was not to be had.
  bool NeedsBundle(absl::Time wall_now) const;
  void OnNoBundle(absl::Time wall_now) { next_bundle_try_ = wall_now + kBundleRetry; }
  // Writes first: through the door of today, with these prekeys.
  absl::Status Initiate(const BundleContents& prekeys, absl::Time wall_now, base::Rng& rng);
  // Writes first: into the box of an invite.
  absl::Status InitiateByInvite(const keys::X25519Public& prekey, base::ByteView psk, const keys::WipedArray<32>& box_seed,
                                base::ByteView seal_key, absl::Time wall_now, base::Rng& rng);
  // A handshake of the peer: `answer` of its head, `sealed` behind it. Unauthenticated: forged, and nothing changed.
  absl::Status OnHandshake(const X3dhAnswer& answer, const keys::X25519KeyPair& prekey, base::ByteView sealed,
                           absl::Time wall_now, base::Rng& rng);

  // Seals what waits, retires what expired. Call before Puts, and once more when a round of reading is over.
  void Advance(absl::Time wall_now, base::Rng& rng);
  void Disappear(absl::Time wall_now) { ChangeStates(outbox_.Disappear(wall_now)); }

  struct Put {
    uint64_t generation = 0;  // of the session
    uint32_t seq = 0;
    dht::Record record;
    Parcel::Kind kind = Parcel::Kind::kBox;
  };
  std::vector<Put> Puts(absl::Time wall_now, size_t at_most);
  void OnPut(uint64_t generation, uint32_t seq, uint8_t copies, absl::Time wall_now);

  struct Read {
    uint64_t generation = 0;
    Probe probe;
  };
  // One round of reading: what to ask for first, and what each answer leads to. `body`: of the record there, if any.
  std::vector<Read> BeginRound();
  std::vector<Read> OnRead(const Read& read, const std::optional<base::Bytes>& body, absl::Time wall_now, base::Rng& rng);

  struct Changes {
    bool head = false;
    Outbox::Changes outbox;
    std::vector<std::pair<MessageId, uint64_t>> seen;  // and its place in the order: what was seen first is forgotten first
    std::vector<MessageId> forgotten;
    std::vector<Incoming> arrived;  // to be shown
    struct Piece {
      MessageId id{};
      uint16_t index = 0;
      base::Bytes bytes;
    };
    std::vector<Piece> pieces;
    std::set<MessageId> files;                                // of which something changed; those not found are gone
    std::vector<std::pair<MessageId, uint16_t>> file_erased;  // and the number of its pieces
    std::vector<ConversationNotice> notices;
    std::vector<StateChange> states;

    bool empty() const;
  };
  Changes TakeChanges();
  base::Bytes SerializeHead() const;
  // DataLoss. Messages, parcels and seen ids come one by one.
  absl::Status RestoreHead(base::ByteView bytes);
  Outbox& restorable_outbox() { return outbox_; }
  void RestoreSeen(const MessageId& id, uint64_t place);
  void RestoreFile(IncomingFile file);
  const std::set<MessageId>& seen() const { return seen_; }

 private:
  static uint64_t LatestEpoch(absl::Time wall_now);
  void ForgetImpossibleEpoch(absl::Time wall_now);
  bool IsNewer(uint32_t epoch_of_theirs) const;
  void Adopt(Session session, absl::Time wall_now);
  void StartOver();
  void ShowWhatIsLeft(absl::Time wall_now);
  Content PartOf(const Outgoing& message, uint16_t index, uint16_t count, size_t from, size_t size) const;
  base::Bytes MakeHandshake(const X3dhStart& start, Session& session, absl::Time expiry, absl::Time wall_now, base::Rng& rng);
  void SealMessage(const Outgoing& message, absl::Time wall_now, base::Rng& rng);
  void SealControl(absl::Time wall_now, base::Rng& rng);
  // `file`: of whose next piece it is.
  void AddBox(Content content, absl::Time expiry, absl::Time wall_now, base::Rng& rng, const Outgoing* file = nullptr);
  void SealPiece(const Outgoing& file, absl::Time wall_now, base::Rng& rng);
  void SealRefusals(absl::Time wall_now, base::Rng& rng);
  std::optional<Content> TakePiece(Content piece, absl::Time wall_now);
  IncomingFile* FileFor(const Content& piece);
  void Refuse(const MessageId& id);
  void DeliverFile(const Content& last, bool late);
  void GiveUpFiles(absl::Time wall_now, bool all);
  void GiveUpFile(std::map<MessageId, IncomingFile>::iterator it);
  void GiveUpStalest();
  void EraseFile(std::map<MessageId, IncomingFile>::iterator it);
  void TakeContent(Content content, absl::Time wall_now);
  void Deliver(absl::Time wall_now);
  void DeliverControls();
  void DeliverOne(Content content, bool late);
  void Remember(const MessageId& id);
  void Note(ConversationNotice::Kind kind, uint32_t count = 1);
  bool RoomForControl() const { return outbox_.parcels().size() + kUnfinishedMax < kParcelsMax; }
  void ChangeStates(const std::vector<StateChange>& states);
  std::vector<Read> Reads(const std::vector<Probe>& probes) const;

  Options options_;
  const keys::SigningKey& self_;
  const keys::PublicKey peer_;
  Standing standing_;
  std::optional<Session> session_;
  uint64_t generation_ = 0;
  absl::Time started_ = absl::InfinitePast();  // of the session
  bool wants_session_ = false;                 // although nothing is queued
  uint32_t epoch_ = 0;                         // of the newest handshake made or taken up
  bool epoch_is_ours_ = false;
  bool replaces_lost_ = false;  // until the other side is known to know
  bool owes_answer_ = false;    // a control message, so that the other side knows
  bool owes_acknowledgement_ = false;
  absl::Time next_bundle_try_ = absl::InfinitePast();
  Outbox outbox_;

  uint32_t next_shown_ = 0;  // seq
  absl::Time held_since_ = absl::InfiniteFuture();
  std::map<uint32_t, Content> arrived_;  // by seq, not shown yet
  std::map<MessageId, std::map<uint16_t, Content>> partial_;
  std::set<MessageId> partial_late_;
  std::map<MessageId, IncomingFile> files_;
  std::map<MessageId, bool> refusals_;  // files not taken; true: to be told
  uint64_t file_room_ = kFileRoom;
  uint32_t pieces_taken_ = 0;
  std::vector<base::Bytes> controls_;
  bool control_expired_ = false;
  std::set<MessageId> seen_;
  std::multimap<uint64_t, MessageId> seen_order_;  // by place; earlier versions gave none: 0
  size_t reads_left_ = 0;
  Changes changes_;
};

}  // namespace chat
