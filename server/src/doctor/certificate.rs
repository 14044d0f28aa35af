//! The certificate: whether there is one, for these names, at this time, of whom.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};

use super::report::Report;
use crate::config::{Config, TlsMode};
use crate::tls;

const CHECK: &str = "certificate";
/// Somebody should have renewed it by then.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

pub(super) async fn check(report: &mut Report, config: &Config) {
    match config.tls.mode {
        TlsMode::Off if config.http.listen.ip().is_loopback() => report.ok(CHECK, "TLS is off, on a loopback address"),
        TlsMode::Off => report.warning(
            CHECK,
            "TLS is off, and http.listen is open to others: browsers give them no camera and no microphone",
            "tls.mode = \"acme\", or http.listen = \"127.0.0.1:8080\" behind a reverse proxy that has a certificate",
        ),
        TlsMode::SelfSigned => report.note(
            CHECK,
            "self-signed: every browser has to be told to trust it, and TURN by TLS is told to nobody",
        ),
        TlsMode::Files => files(report, config),
        TlsMode::Acme => acme(report, config).await,
    }
}

fn files(report: &mut Report, config: &Config) {
    let tls = &config.tls;
    if let Err(error) = tls::files::load(&tls.certificate, &tls.key) {
        let change = "tls.certificate: the certificate with those between it and the root behind it; tls.key: its key, readable \
                      by the user that Ringhall runs as";
        report.fault(CHECK, error.to_string(), change);
        return;
    }
    let names: Vec<&str> = config.http.public_host().into_iter().collect();
    judge_file(report, &tls.certificate, &names);
}

async fn acme(report: &mut Report, config: &Config) {
    let names: Vec<&str> = config.tls.domains.iter().map(String::as_str).collect();
    if let Some(host) = config.http.public_host()
        && !names.contains(&host)
    {
        report.fault(
            CHECK,
            format!("http.public_url is {host}, which is not in tls.domains: no certificate will be for it"),
            format!("add \"{host}\" to tls.domains"),
        );
    }
    if config.http.listen.port() != 443 {
        report.warning(
            CHECK,
            format!(
                "the authority comes to port 443 of every name, and http.listen is port {}",
                config.http.listen.port()
            ),
            "http.listen = \"[::]:443\", or let something lead port 443 there unread",
        );
    }
    let folder = config.data.dir.join(tls::ACME_FOLDER);
    let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let cached = files.filter(|file| file.file_name().to_string_lossy().starts_with("cached_cert_"));
    let newest = cached.max_by_key(|file| file.metadata().and_then(|meta| meta.modified()).ok());
    match newest {
        Some(file) => judge_file(report, &file.path(), &names),
        None => report.note(CHECK, "none has been ordered yet; that happens at the first start"),
    }
    authority(report, &config.tls.acme_directory).await;
}

/// Whether the authority can be reached at all.
async fn authority(report: &mut Report, directory: &str) {
    let rest = directory.strip_prefix("https://").unwrap_or(directory);
    let place = rest.split('/').next().unwrap_or(rest);
    let place = if place
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        place.to_owned()
    } else {
        format!("{place}:443")
    };
    match tokio::time::timeout(super::PATIENCE, tokio::net::TcpStream::connect(&place)).await {
        Ok(Ok(_)) => report.ok(CHECK, format!("the authority can be reached ({place})")),
        Ok(Err(error)) => no_authority(report, &place, &error.to_string()),
        Err(_) => no_authority(report, &place, "no answer"),
    }
}

fn no_authority(report: &mut Report, place: &str, why: &str) {
    report.fault(
        CHECK,
        format!("the authority cannot be reached ({place}: {why}): no certificate can be ordered or renewed"),
        "let this machine out to it, or name another one in tls.acme_directory",
    );
}

fn judge_file(report: &mut Report, file: &Path, names: &[&str]) {
    let pem = std::fs::read(file).unwrap_or_default();
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem).flatten().collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let verdict = judge(&chain, names, now, Arc::new(roots));
    let place = file.display();
    let name = names.first().copied().unwrap_or("any name");
    match verdict {
        Verdict::Good => report.ok(CHECK, format!("{place} is good for {name}")),
        Verdict::OwnAuthority => report.note(
            CHECK,
            format!("{place} is good for {name}, by an authority that browsers do not know by themselves"),
        ),
        Verdict::Expired => report.fault(
            CHECK,
            format!("{place} has expired"),
            "renew it; it is taken within 30 s, without a restart",
        ),
        Verdict::Soon => report.warning(
            CHECK,
            format!("{place} expires within two weeks: nobody has renewed it"),
            "look at what should renew it",
        ),
        Verdict::NotYet => report.fault(
            CHECK,
            format!("{place} is not good yet: its time begins later"),
            "look at the clock of this machine",
        ),
        Verdict::Name(name) => report.fault(
            CHECK,
            format!("{place} is not for {name}: browsers refuse it"),
            format!("get a certificate that names {name}, or correct http.public_url"),
        ),
        Verdict::Incomplete => report.fault(
            CHECK,
            format!("{place} has no way to a root: certificates between are missing, and browsers refuse it"),
            "append the intermediate certificates of the authority to the file (it is often called fullchain.pem)",
        ),
        Verdict::Other(why) => report.fault(CHECK, format!("{place}: {why}"), "get another certificate"),
    }
}

/// What a browser would think of it.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Signed by somebody who is in the file and whom only some know.
    OwnAuthority,
    Expired,
    Soon,
    NotYet,
    Name(String),
    Incomplete,
    Other(String),
}

fn judge(chain: &[CertificateDer<'static>], names: &[&str], now: Duration, roots: Arc<RootCertStore>) -> Verdict {
    let Some((leaf, between)) = chain.split_first() else {
        return Verdict::Other("there is no certificate in it".into());
    };
    // Without a name it still has a time and an authority; any name serves to ask for them.
    let asked: Vec<&str> = if names.is_empty() {
        vec!["localhost"]
    } else {
        names.to_vec()
    };
    let ask = |roots: &Arc<RootCertStore>, name: &str, at: Duration| -> Result<(), Verdict> {
        let other = |why: String| Verdict::Other(why);
        let builder = WebPkiServerVerifier::builder_with_provider(roots.clone(), tls::provider());
        let verifier = builder.build().map_err(|e| other(e.to_string()))?;
        let server = ServerName::try_from(name.to_owned()).map_err(|e| other(format!("{name}: {e}")))?;
        let time = UnixTime::since_unix_epoch(at);
        match verifier.verify_server_cert(leaf, between, &server, &[], time) {
            Ok(_) => Ok(()),
            Err(Error::InvalidCertificate(why)) => Err(match why {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Verdict::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Verdict::NotYet,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
                    if names.is_empty() =>
                {
                    return Ok(());
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Verdict::Name(name.to_owned())
                }
                CertificateError::UnknownIssuer => Verdict::Incomplete,
                why => other(format!("{why:?}")),
            }),
            Err(why) => Err(other(why.to_string())),
        }
    };
    let all = |roots: &Arc<RootCertStore>, at: Duration| asked.iter().try_for_each(|name| ask(roots, name, at));
    let (roots, good) = match all(&roots, now) {
        // Nobody whom browsers know has signed it: whether the last one in the file has tells what is missing.
        Err(Verdict::Incomplete) => {
            let mut own = RootCertStore::empty();
            let _ = chain.last().map(|last| own.add(last.clone()));
            (Arc::new(own), Verdict::OwnAuthority)
        }
        Err(verdict) => return verdict,
        Ok(()) => (roots, Verdict::Good),
    };
    if let Err(verdict) = all(&roots, now) {
        return verdict;
    }
    match all(&roots, now + SOON) {
        Err(Verdict::Expired) => Verdict::Soon,
        _ => good,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn leaf(by: &CertifiedIssuer<'static, KeyPair>, from: Duration, to: Duration) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["calls.example".to_owned()]).unwrap();
        params.not_before = (UNIX_EPOCH + from).into();
        params.not_after = (UNIX_EPOCH + to).into();
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, by).unwrap().der().clone()
    }

    #[test]
    fn a_certificate_is_judged_as_a_browser_would() {
        let root = issuer("root");
        let mut store = RootCertStore::empty();
        store.add(root.der().clone()).unwrap();
        let known = Arc::new(store);
        let mut others = RootCertStore::empty();
        others.add(issuer("others").der().clone()).unwrap();
        let nobody = Arc::new(others);
        let good = leaf(&root, NOW - DAY, NOW + 60 * DAY);
        let names = ["calls.example"];
        let chain = [good.clone()];
        assert_eq!(judge(&chain, &names, NOW, known.clone()), Verdict::Good);
        assert_eq!(judge(&chain, &[], NOW, known.clone()), Verdict::Good);
        let name = judge(&chain, &["other.example"], NOW, known.clone());
        assert_eq!(name, Verdict::Name("other.example".into()));
        assert_eq!(judge(&chain, &names, NOW + 50 * DAY, known.clone()), Verdict::Soon);
        assert_eq!(judge(&chain, &names, NOW + 61 * DAY, known.clone()), Verdict::Expired);
        assert_eq!(judge(&chain, &names, NOW - 2 * DAY, known), Verdict::NotYet);
        assert_eq!(judge(&chain, &names, NOW, nobody.clone()), Verdict::Incomplete);
        let whole = [good, root.der().clone()];
        assert_eq!(judge(&whole, &names, NOW, nobody.clone()), Verdict::OwnAuthority);
        assert!(matches!(judge(&[], &names, NOW, nobody), Verdict::Other(_)));
    }
}
