// SPDX-License-Identifier: Apache-2.0
#include "overlay/grpc_tls.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/crypto.h>

#include <vector>

#include "base/check.h"

namespace overlay {
namespace {

namespace tls = grpc::experimental;

// gRPC 1.51 cannot be told to take TLS 1.3 only, but leaves alone what OpenSSL's configuration gives every new context. Between
// nodes 1.3 is agreed on anyway; this refuses strangers' older handshakes, which show certificates in clear. Of the suites
// AES-128 comes first, as strong as the keys that are exchanged for it; OpenSSL's own first choice is AES-256, a third slower.
// For the whole process, where nothing else speaks TLS.
constexpr char kOpensslConfiguration[] =
    "openssl_conf = all\n[all]\nssl_conf = contexts\n[contexts]\nsystem_default = every\n[every]\nProtocol = -ALL, TLSv1.3\n"
    "Ciphersuites = TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384\n";

bool AllowOnlyTls13() {
  OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, nullptr);  // the machine's own, first, so that it does not replace ours later
  BIO* const text = BIO_new_mem_buf(kOpensslConfiguration, -1);
  CONF* const configuration = NCONF_new(nullptr);
  long line = 0;
  const bool loaded = NCONF_load_bio(configuration, text, &line) == 1 && CONF_modules_load(configuration, nullptr, 0) == 1;
  NCONF_free(configuration);
  BIO_free(text);
  return loaded;
}

void AllowOnlyTls13Once() {
  static const bool loaded = AllowOnlyTls13();
  CHECK(loaded);
}

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

std::shared_ptr<grpc::ChannelCredentials> TlsChannelCredentials(const keys::TlsIdentity& own,
                                                                std::optional<keys::PublicKey> pinned) {
  AllowOnlyTls13Once();
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Provider(own));
  options.watch_identity_key_cert_pairs();
  options.set_verify_server_certs(false);  // no authority signed it: the verifier judges the key
  options.set_check_call_host(false);
  options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<KeyVerifier>(pinned));
  return tls::TlsCredentials(options);
}

std::shared_ptr<grpc::ServerCredentials> TlsServerCredentials(const keys::TlsIdentity& own) {
  AllowOnlyTls13Once();
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
