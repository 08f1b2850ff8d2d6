// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_tls.h — mutual TLS between nodes: self-signed Ed25519 certificates, no authority, the key is the name (design.md
// 5).
//
// Both sides show a certificate, TLS proves that each holds its key, and nothing else in a certificate counts. The client pins
// one key per channel or takes any Ed25519 key; the server takes any and learns it (PeerKey). A refused handshake reaches the
// caller as Unavailable. The name in the handshake is the constant keys::kCertificateName, so it tells an observer nothing.
#pragma once

#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <optional>

#include "keys/certificate.h"

namespace overlay {

std::shared_ptr<grpc::ChannelCredentials> TlsChannelCredentials(const keys::TlsIdentity& own,
                                                                std::optional<keys::PublicKey> pinned);
std::shared_ptr<grpc::ServerCredentials> TlsServerCredentials(const keys::TlsIdentity& own);

// The key that TLS proved for the other side of a call; nothing on the control socket.
std::optional<keys::PublicKey> PeerKey(const grpc::AuthContext* context);

}  // namespace overlay
