//! A certificate that this server signs itself: for a network of one's own, where browsers are told to trust it. It is kept,
//! so that what they were told holds after a restart.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::sign::CertifiedKey;

use super::certified;
use crate::cli::Failure;
use crate::config::Config;

const FILE: &str = "self-signed.pem";
/// First line of the file: what the certificate is for.
const NAMES: &str = "# for ";
/// It is made anew after this; browsers refuse certificates that are good for longer than 825 days.
const KEEP: Duration = Duration::from_secs(300 * 24 * 3600);
const GOOD_FOR_DAYS: u64 = 800;

/// The names and addresses by which people may reach the server.
pub(super) fn names(config: &Config) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = config.tls.domains.iter().cloned().collect();
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]);
    names.extend(config.media.advertise.iter().map(ToString::to_string));
    if !config.http.listen.ip().is_unspecified() {
        names.insert(config.http.listen.ip().to_string());
    }
    names.extend(config.http.public_host().map(str::to_owned));
    names
}

/// The certificate of before, if it is for the same names and not too old, else a new one.
pub(super) fn load_or_make(folder: &Path, names: &BTreeSet<String>) -> Result<CertifiedKey, Failure> {
    let path = folder.join(FILE);
    let first = format!("{NAMES}{}\n", names.iter().cloned().collect::<Vec<_>>().join(" "));
    if let Ok(text) = std::fs::read_to_string(&path)
        && text.starts_with(&first)
        && !is_old(&path)
        && let Ok(key) = certified(text.as_bytes(), text.as_bytes(), &path)
    {
        return Ok(key);
    }
    let text = first + &made(names)?;
    crate::secrets::write_private(&path, text.as_bytes())?;
    tracing::info!(file = %path.display(), "made a certificate; browsers have to be told to trust it");
    certified(text.as_bytes(), text.as_bytes(), &path)
}

/// A new certificate and its key, as PEM.
pub(super) fn made(names: &BTreeSet<String>) -> Result<String, Failure> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, "Ringhall");
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(3600)).into();
    params.not_after = (now + Duration::from_secs(GOOD_FOR_DAYS * 24 * 3600)).into();
    Ok(params.self_signed(&key)?.pem() + &key.serialize_pem())
}

fn is_old(path: &Path) -> bool {
    let age = std::fs::metadata(path)
        .and_then(|meta| meta.modified())
        .map(|at| at.elapsed());
    !matches!(age, Ok(Ok(age)) if age < KEEP)
}
