// SPDX-License-Identifier: Apache-2.0
// overlay/link_tie.h — two nodes carry all circuits between them on one stream: which one, if both opened one (design.md 5).
//
// Of two streams opened at once, the one opened by the lower node key survives. The lower side refuses the other's; the higher
// side lets its own go and takes the other's into the same link, which was not up yet, so nothing is lost. A second stream by the
// same opener means that it lost the first: the link is replaced, and its circuits hear of it.
#pragma once

namespace overlay {

enum class LinkStanding {
  kNone,         // no link to that node
  kOpening,      // we opened one, it is not up
  kYielded,      // ours was refused by this rule: theirs is on its way
  kOpenedHere,   // up, by our stream
  kOpenedThere,  // up, or coming up, by theirs
};

enum class LinkVerdict {
  kTake,     // a new link
  kAdopt,    // into the link that waits, keeping its id; our own stream goes
  kReplace,  // the old link goes down, a new one begins
  kRefuse,   // with Aborted
};

// What to do with a stream that a node opened to us.
LinkVerdict JudgeIncoming(LinkStanding standing, bool own_key_is_lower);

}  // namespace overlay
