//! Options of TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::options::{Http, address};

/// The directory of an authority that everybody trusts and that takes nothing for it.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Where the certificate comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TlsMode {
    /// There is none: a reverse proxy has it, or everybody is on this machine.
    #[default]
    Off,
    /// From files that somebody else renews.
    Files,
    /// Made here; browsers have to be told to trust it.
    SelfSigned,
    /// Ordered and renewed by itself.
    Acme,
}

/// Certificates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// Where the certificate comes from.
    pub(crate) mode: TlsMode,
    /// PEM file of the certificate and those between it and the root.
    pub(crate) certificate: PathBuf,
    /// PEM file of its private key.
    pub(crate) key: PathBuf,
    /// Names to order, or to make, a certificate for.
    pub(crate) domains: Vec<String>,
    /// Where the authority may write to.
    pub(crate) acme_email: String,
    /// The authority's directory.
    pub(crate) acme_directory: String,
    /// PEM file of the authority's own root, when it is not one that everybody trusts.
    pub(crate) acme_ca: PathBuf,
    /// Where http: is sent on to https:; empty: nowhere.
    pub(crate) redirect_listen: String,
    /// Strict-Transport-Security; 0: it is not sent.
    pub(crate) hsts_seconds: u64,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            mode: TlsMode::Off,
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            domains: Vec::new(),
            acme_email: String::new(),
            acme_directory: LETS_ENCRYPT.into(),
            acme_ca: PathBuf::new(),
            redirect_listen: String::new(),
            hsts_seconds: 0,
        }
    }
}

impl Tls {
    /// Whether there is any.
    pub(crate) fn is_on(&self) -> bool {
        self.mode != TlsMode::Off
    }

    /// Where to listen for http:, if anywhere.
    pub(crate) fn redirect_address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        address("tls.redirect_listen", &self.redirect_listen, "0.0.0.0:80")
    }

    /// Refuses what fits the types but makes no sense.
    pub(super) fn check(&self, http: &Http) -> Result<(), ConfigError> {
        let no = |text: String| Err(ConfigError::Value(text));
        let files = [("tls.certificate", &self.certificate), ("tls.key", &self.key)];
        for (name, path) in files {
            let empty = path.as_os_str().is_empty();
            match (self.mode, empty) {
                (TlsMode::Files, true) => return no(format!("tls.mode = \"files\" needs {name}: a PEM file")),
                (TlsMode::Files, false) | (_, true) => {}
                (_, false) => return no(format!("{name} is set: set tls.mode = \"files\" too, or leave it out")),
            }
        }
        if self.mode == TlsMode::Acme && self.domains.is_empty() {
            return no("tls.mode = \"acme\" needs tls.domains, the names that lead to this server".into());
        }
        if self.mode == TlsMode::Acme
            && let Some(name) = { &self.domains }
                .iter()
                .find(|name| name.parse::<std::net::IpAddr>().is_ok() || !name.contains('.') || name.contains('*'))
        {
            return no(format!(
                "tls.domains: {name:?} cannot be ordered; it has to be a full name in the DNS, like calls.example.org"
            ));
        }
        if self.mode == TlsMode::Acme && !self.acme_directory.starts_with("https://") {
            return no(format!(
                "tls.acme_directory {:?} has to begin with https://",
                self.acme_directory
            ));
        }
        if self.hsts_seconds > 0 && matches!(self.mode, TlsMode::Off | TlsMode::SelfSigned) {
            return no(
                "tls.hsts_seconds tells browsers never to come without a trusted certificate again: it goes with tls.mode \
                 \"files\" or \"acme\" only"
                    .into(),
            );
        }
        if self.redirect_address()?.is_some() && !self.is_on() {
            return no("tls.redirect_listen sends people to https:, but tls.mode is \"off\"".into());
        }
        if self.is_on() && http.public_url.starts_with("http://") {
            return no("http.public_url begins with http://, but TLS is on: write https://".into());
        }
        Ok(())
    }
}

impl Http {
    /// The host of the public URL.
    pub(crate) fn public_host(&self) -> Option<&str> {
        let (_, rest) = self.public_url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next()?,
            None => authority.split(':').next()?,
        };
        (!host.is_empty()).then_some(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Tls)) -> String {
        let mut tls = Tls::default();
        change(&mut tls);
        tls.check(&Http::default())
            .map_or_else(|e| e.to_string(), |()| String::new())
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_do() {
        assert_eq!(refused(|_| ()), "");
        assert!(refused(|tls| tls.mode = TlsMode::Files).contains("needs tls.certificate"));
        assert!(refused(|tls| tls.key = "k.pem".into()).contains("tls.mode = \"files\""));
        assert!(refused(|tls| tls.mode = TlsMode::Acme).contains("tls.domains"));
        for name in ["192.0.2.1", "localhost", "*.example.org"] {
            let said = refused(|tls| (tls.mode, tls.domains) = (TlsMode::Acme, vec![name.into()]));
            assert!(said.contains(name), "{said}");
        }
        assert!(refused(|tls| tls.hsts_seconds = 1).contains("files"));
        assert!(refused(|tls| (tls.mode, tls.hsts_seconds) = (TlsMode::SelfSigned, 1)).contains("acme"));
        assert!(refused(|tls| tls.redirect_listen = "0.0.0.0:80".into()).contains("off"));
        assert!(refused(|tls| tls.redirect_listen = "here".into()).contains("0.0.0.0:80"));
        let http = Http {
            public_url: "http://calls.example".into(),
            ..Http::default()
        };
        let tls = Tls {
            mode: TlsMode::SelfSigned,
            ..Tls::default()
        };
        assert!(tls.check(&http).unwrap_err().to_string().contains("https://"));
    }

    #[test]
    fn the_host_of_the_public_url_is_found() {
        let host = |url: &str| {
            let http = Http {
                public_url: url.into(),
                ..Http::default()
            };
            http.public_host().map(str::to_owned)
        };
        assert_eq!(host("https://calls.example"), Some("calls.example".into()));
        assert_eq!(host("https://calls.example:8443/x"), Some("calls.example".into()));
        assert_eq!(host("https://[2001:db8::1]:8443"), Some("2001:db8::1".into()));
        assert_eq!(host(""), None);
    }
}
