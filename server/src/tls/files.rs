//! Certificates in files, taken anew when the files change: whoever renews them need not restart anything.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::sign::CertifiedKey;
use tokio::signal::unix::{SignalKind, signal};

use super::{Current, certified, read};
use crate::cli::Failure;
use crate::config::Tls as Options;

/// Between two looks at the files. SIGHUP makes it look at once.
pub(super) const EVERY: Duration = Duration::from_secs(30);

pub(crate) fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey, Failure> {
    let chain = read(certificate, "tls.certificate")?;
    let key = read(key, "tls.key")?;
    certified(&chain, &key, certificate)
}

/// When the files were last written.
fn written(options: &Options) -> [Option<SystemTime>; 2] {
    [&options.certificate, &options.key].map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
}

/// Looks at the files this often, for as long as the process lives.
pub(super) fn keep_fresh(options: Options, current: Arc<Current>, every: Duration) {
    let mut known = written(&options);
    tokio::spawn(async move {
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => drop(hangup.recv().await),
                    None => std::future::pending().await,
                }
            };
            let forced = tokio::select! {
                () = asked => true,
                () = tokio::time::sleep(every) => false,
            };
            let now = written(&options);
            if !forced && now == known {
                continue;
            }
            // Half of a renewal (a new certificate with the old key) is refused, and looked at again.
            match load(&options.certificate, &options.key) {
                Ok(key) => {
                    known = now;
                    current.replace(key);
                    tracing::info!(file = %options.certificate.display(), "a new certificate is in use");
                }
                Err(error) => tracing::error!(%error, "the certificate was not taken; the one before stays in use"),
            }
        }
    });
}
