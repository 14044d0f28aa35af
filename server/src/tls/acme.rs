//! Certificates that are ordered, answered for and renewed by themselves (RFC 8555, by TLS-ALPN-01: RFC 8737, so that only
//! the TLS port has to be reached).

use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::ResolvesServerCert;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_acme::AcmeConfig;
use rustls_acme::caches::DirCache;

use super::{provider, read};
use crate::cli::Failure;
use crate::config::Tls as Options;

/// Folder of the account and the certificates, in the data folder.
pub(crate) const FOLDER: &str = "acme";

/// Starts the orders. The certificate comes seconds later; until then handshakes fail.
pub(super) fn start(
    data: &Path,
    options: &Options,
) -> Result<(Arc<dyn ResolvesServerCert>, Arc<ServerConfig>), Failure> {
    let folder = data.join(FOLDER);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let contact = (!options.acme_email.is_empty()).then(|| format!("mailto:{}", options.acme_email));
    let mut config = AcmeConfig::new(&options.domains)
        .contact(contact)
        .directory(&options.acme_directory)
        .cache(DirCache::new(folder));
    if !options.acme_ca.as_os_str().is_empty() {
        config = config.client_tls_config(trusting(&options.acme_ca)?);
    }
    let mut state = config.state();
    let (resolver, challenge) = (
        state.resolver(),
        state.challenge_rustls_config_with_provider(provider()),
    );
    let domains = options.domains.join(", ");
    tokio::spawn(async move {
        while let Some(event) = state.next().await {
            match event {
                Ok(done) => tracing::info!(domains, what = ?done, "certificate"),
                Err(error) => tracing::error!(domains, %error, "no certificate could be had; it is tried again"),
            }
        }
    });
    Ok((resolver, challenge))
}

/// Trust in the authority's own root, for an authority inside a company.
fn trusting(file: &Path) -> Result<Arc<ClientConfig>, Failure> {
    let pem = read(file, "tls.acme_ca")?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| format!("tls.acme_ca {}: {e}", file.display()))?;
        roots.add(certificate)?;
    }
    if roots.is_empty() {
        return Err(format!("tls.acme_ca {} holds no certificate", file.display()).into());
    }
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
#[path = "acme_tests.rs"]
mod tests;
