// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_tls.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <vector>

namespace overlay {
namespace {

namespace tls = grpc::experimental;

std::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

// Runs on a thread of gRPC's, decides at once and keeps no state.
class KeyVerifier final : public tls::ExternalCertificateVerifier {
 public:
  explicit KeyVerifier(std::optional<keys::PublicKey> pinned) : pinned_(pinned) {}

  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>, grpc::Status* status) override {
    const std::optional<keys::PublicKey> key = keys::KeyOfCertificate(View(request->peer_cert()));
    const bool accepted = key.has_value() && (!pinned_ || *key == *pinned_);
    *status = accepted ? grpc::Status::OK : grpc::Status(grpc::StatusCode::UNAUTHENTICATED, "");
    return true;  // decided
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}

 private:
  const std::optional<keys::PublicKey> pinned_;
};

std::shared_ptr<tls::CertificateProviderInterface> Provider(const keys::TlsIdentity& own) {
  const std::vector<tls::IdentityKeyCertPair> pairs = {{own.private_key_pem, own.certificate_pem}};
  return std::make_shared<tls::StaticDataCertificateProvider>(own.certificate_pem, pairs);  // the root is never asked for
}

}  // namespace

std::shared_ptr<grpc::ChannelCredentials> TlsChannelCredentials(const keys::TlsIdentity& own, std::optional<keys::PublicKey> pinned) {
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Provider(own));
  options.watch_identity_key_cert_pairs();
  options.set_verify_server_certs(false);  // no authority signed it: the verifier judges the key
  options.set_check_call_host(false);
  options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<KeyVerifier>(pinned));
  return tls::TlsCredentials(options);
}

std::shared_ptr<grpc::ServerCredentials> TlsServerCredentials(const keys::TlsIdentity& own) {
  tls::TlsServerCredentialsOptions options(Provider(own));
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<KeyVerifier>(std::nullopt));
  return tls::TlsServerCredentials(options);
}

std::optional<keys::PublicKey> PeerKey(const grpc::AuthContext* context) {
  if (context == nullptr) return std::nullopt;
  const std::vector<grpc::string_ref> certificates = context->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (certificates.size() != 1) return std::nullopt;
  return keys::KeyOfCertificate(View(certificates.front()));
}

}  // namespace overlay
