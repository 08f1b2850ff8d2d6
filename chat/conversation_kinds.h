// SPDX-License-Identifier: Apache-2.0
// chat/conversation_kinds.h — the kinds of records that conversations are made of, for the composition root.
#pragma once

#include <string>

#include "dht/record.h"

namespace chat {

// Bundles (bundle.h) and private boxes (box.h) into `kinds`.
void RegisterConversationKinds(dht::RecordKinds& kinds, const std::string& network);

}  // namespace chat
