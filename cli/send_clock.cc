// SPDX-License-Identifier: Apache-2.0
#include "cli/send_clock.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/terminal.h"
#include "cli/values.h"

namespace cli {
namespace {

bool IsSilent(const Context& context) { return context.flags.quiet || context.flags.json; }

}  // namespace

absl::StatusOr<std::unique_ptr<TalkSession>> OpenForSending(const Invocation& invocation, const Context& context,
                                                            size_t operations) {
  using When = TalkSession::When;
  ASSIGN_OR_RETURN(auto session, TalkSession::Open(invocation, context, invocation.talk.now ? When::kNow : When::kOnNodesClock));
  if (session->profile() == chat::Profile::kOff || IsSilent(context)) return session;
  const absl::Duration tick = chat::RatesOf(session->profile()).tick_mean;
  WriteStderr(absl::StrCat("Queued for the clock of ", session->way(), " (", chat::NameOf(session->profile()),
                           ", an operation every ", ShownDuration(tick), "): leaves within about ",
                           ShownDuration(static_cast<double>(operations + 1) * tick), ". --now does not wait, and is seen.\n"));
  return session;
}

void SayWhatNowShows(const std::string& what, const TalkSession& session, const Context& context) {
  if (session.profile() != chat::Profile::kOff || IsSilent(context)) return;
  WriteStderr(absl::StrCat(
      what, " at once: who watches this machine's link can see that something was done now; not what, nor with whom.\n"));
}

}  // namespace cli
