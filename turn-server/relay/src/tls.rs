//! The certificate of the TLS listener.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::StartError;

pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, StartError> {
    let fail = |path: &Path, reason: String| StartError::Certificate {
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(certificate).map_err(|e| fail(certificate, e.to_string()))?;
    let chain: Vec<_> = chain
        .collect::<Result<_, _>>()
        .map_err(|e| fail(certificate, e.to_string()))?;
    if chain.is_empty() {
        return Err(fail(certificate, "holds no certificate".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| fail(key, e.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| fail(certificate, e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|e| fail(certificate, format!("does not go with the key {}: {e}", key.display())))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
