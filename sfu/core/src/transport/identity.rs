//! The DTLS certificate of this process, and the two handshake configurations that every transport shares.

// The library takes its configuration and its cryptography as `Arc`s. They are cloned when a transport is made, never
// per packet.
#![allow(clippy::disallowed_types)]

use std::sync::Arc;

use crypto::providers::AwsLcRsProvider;
use crypto::{HashAlgorithm, RTCCrypto, RTCCryptoProvider};
use dtls::cipher_suite::CipherSuiteId;
use dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use dtls::crypto::Certificate;
use dtls::extension::extension_use_srtp::SrtpProtectionProfile;

use super::Fingerprint;
use super::dtls_guard::MAX_CLEAR_SEQUENCE;

/// The DTLS certificate and key of this process. Made once; every transport uses it, on any thread.
pub struct Identity {
    fingerprint: Fingerprint,
    pub(super) provider: Arc<dyn RTCCryptoProvider>,
    /// AEAD_AES_128_GCM alone.
    pub(super) gcm: Arc<HandshakeConfig>,
    /// AES_CM_128_HMAC_SHA1_80 alone, for peers without the former. Two configurations, because the library follows the
    /// client's order and browsers list the dearer profile first.
    pub(super) sha1: Arc<HandshakeConfig>,
}

/// The certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the DTLS certificate could not be made: {0}")]
pub struct IdentityError(String);

impl Identity {
    /// Makes a P-256 key and a self-signed certificate. The randomness comes from the cryptographic library.
    ///
    /// # Errors
    /// When the library fails, which it does not on a machine that works.
    pub fn generate() -> Result<Self, IdentityError> {
        let provider: Arc<dyn RTCCryptoProvider> = Arc::new(AwsLcRsProvider::new());
        let failed = |error: shared::error::Error| IdentityError(error.to_string());
        let certificate =
            Certificate::generate_self_signed(vec!["ringhall".to_owned()], provider.crypto()).map_err(failed)?;
        let der = certificate
            .certificate
            .first()
            .ok_or_else(|| IdentityError("it is empty".to_owned()))?;
        let fingerprint = fingerprint_of(provider.crypto(), der.as_ref())
            .ok_or_else(|| IdentityError("it cannot be hashed".to_owned()))?;
        let config = |profile| {
            ConfigBuilder::default()
                .with_crypto_provider(Arc::clone(&provider))
                .with_certificates(vec![certificate.clone()])
                .with_cipher_suites(vec![
                    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256,
                    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_ChaCha20_Poly1305_Sha256,
                ])
                .with_srtp_protection_profiles(vec![profile])
                .with_client_auth(ClientAuthType::RequireAnyClientCert)
                // The peer's certificate is checked against the fingerprint of its SDP, not against an authority.
                .with_insecure_skip_verify(true)
                // The library's server does not compare the client's Finished; with the extended master secret (RFC
                // 7627) the keys themselves depend on the transcript, so a tampered handshake cannot complete.
                .with_extended_master_secret(ExtendedMasterSecretType::Require)
                .with_replay_protection_window(MAX_CLEAR_SEQUENCE as usize)
                .build(false, None)
                .map(Arc::new)
                .map_err(failed)
        };
        Ok(Self {
            gcm: config(SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm)?,
            sha1: config(SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80)?,
            fingerprint,
            provider,
        })
    }

    /// For `a=fingerprint` of the answer.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

/// SHA-256 of a DER certificate.
pub(super) fn fingerprint_of(crypto: &dyn RTCCrypto, der: &[u8]) -> Option<Fingerprint> {
    crypto
        .hash(HashAlgorithm::Sha256, der)
        .ok()?
        .try_into()
        .ok()
        .map(Fingerprint)
}
