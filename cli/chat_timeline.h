// SPDX-License-Identifier: Apache-2.0
// cli/chat_timeline.h — what was said with one contact, as the chat screen holds it, and its lines on a screen of some width.
//
//   ── yesterday ──────────────────────────────────────
//   21:04  you  Did the parcel come?                  ✓
//   ── new ────────────────────────────────────────────
//   14:07  bob  And be early, because the second line
//               of a text stands under the first.
// Times are those of this machine: when a message was read or written here. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "chat/outbox.h"

namespace cli {

// Of one contact on the screen; older ones stay on disk. Lines: newlines, and what is certain to be broken.
inline constexpr size_t kEntriesMax = 2000, kLinesMax = 10000;
inline constexpr size_t kLinesOfOneMax = 2000;  // of one text: what stands behind is not shown
inline constexpr size_t kShownNameCells = 12;   // of a name before a text

struct Entry {
  enum class Kind { kTheirs, kOwn, kNotice };
  Kind kind = Kind::kNotice;
  chat::MessageId id{};
  absl::Time when;
  std::string who;   // kTheirs: a name
  std::string text;  // safe (base/terminal_text.h)
  bool late = false;
  bool gone = false;  // disappeared
  // kOwn:
  chat::DeliveryState state = chat::DeliveryState::kQueued;
  uint8_t copies = 0;
  bool under_way = false;
  std::string file;  // of a file: `text` without its progress

  size_t lines = 1;  // that it took when it was added, about

  // The text as wrapped last, for `wrapped_at` cells.
  mutable std::vector<std::string> wrapped;
  mutable size_t wrapped_at = 0;
};

enum class Style { kPlain, kDim, kOwn, kName, kMarked, kAlert, kBar };
struct Span {
  std::string text;
  Style style = Style::kPlain;
};
using Line = std::vector<Span>;

struct TimelineLine {
  size_t entry = 0;  // index
  Line spans;        // together exactly as wide as asked for
};
struct TimelineLook {
  size_t cells = 60;
  absl::Time now;
  absl::TimeZone zone;
  std::optional<size_t> marker;  // the first entry that is new
  std::optional<size_t> found;   // an entry to be marked
  bool ascii = false;
};

// · ↑ ✓ ✓✓ ✗, or . ^ + ++ !
std::string TickOf(const Entry& own, bool ascii);
std::vector<TimelineLine> LayOut(const std::vector<Entry>& entries, const TimelineLook& look);

// A line of `cells` made of a word and a rule: "── today ─────".
std::string Rule(const std::string& word, size_t cells, bool ascii);

}  // namespace cli
