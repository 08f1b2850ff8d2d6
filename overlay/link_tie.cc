// SPDX-License-Identifier: Apache-2.0
#include "overlay/link_tie.h"

namespace overlay {

LinkVerdict JudgeIncoming(LinkStanding standing, bool own_key_is_lower) {
  switch (standing) {
    case LinkStanding::kNone:
      return LinkVerdict::kTake;
    case LinkStanding::kOpening:
      return own_key_is_lower ? LinkVerdict::kRefuse : LinkVerdict::kAdopt;
    case LinkStanding::kYielded:
      return LinkVerdict::kAdopt;
    case LinkStanding::kOpenedHere:
      return own_key_is_lower ? LinkVerdict::kRefuse : LinkVerdict::kReplace;
    case LinkStanding::kOpenedThere:
      return LinkVerdict::kReplace;
  }
  return LinkVerdict::kRefuse;
}

}  // namespace overlay
