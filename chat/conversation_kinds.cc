// SPDX-License-Identifier: Apache-2.0
#include "chat/conversation_kinds.h"

#include <memory>

#include "chat/box.h"
#include "chat/bundle.h"

namespace chat {

void RegisterConversationKinds(dht::RecordKinds& kinds, const std::string& network) {
  kinds.Register(dht::Kind::kBundle, std::make_unique<BundleKind>(network));
  kinds.Register(dht::Kind::kBox, std::make_unique<BoxKind>(network));
}

}  // namespace chat
