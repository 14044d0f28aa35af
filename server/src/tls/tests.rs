use std::time::{Duration, Instant};

use super::*;
use axum::body::Body;
use tower::ServiceExt;

/// A root and a certificate of it for `names`, as PEM.
pub(crate) fn issued(names: &[&str]) -> (String, String, String) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    (authority.pem(), certificate.pem(), key.serialize_pem())
}

fn ask(uri: &str, host: Option<&str>) -> Request {
    let mut request = Request::builder().uri(uri);
    if let Some(host) = host {
        request = request.header(header::HOST, host);
    }
    request.body(Body::empty()).unwrap()
}

async fn sent_to(routes: Router, request: Request) -> (StatusCode, Option<String>) {
    let response = routes.oneshot(request).await.unwrap();
    let location = response.headers().get(header::LOCATION);
    (response.status(), location.map(|l| l.to_str().unwrap().to_owned()))
}

#[tokio::test]
async fn everybody_is_sent_on_to_https_with_path_and_query() {
    let named = sent_to(
        redirect("https://calls.example/", 8443),
        ask("/r/team?x=1", Some("other")),
    )
    .await;
    assert_eq!(
        named,
        (
            StatusCode::PERMANENT_REDIRECT,
            Some("https://calls.example/r/team?x=1".into())
        )
    );
    let by_host = sent_to(redirect("", 443), ask("/", Some("10.0.0.1:80"))).await;
    assert_eq!(by_host.1.as_deref(), Some("https://10.0.0.1/"));
    let by_host = sent_to(redirect("", 8443), ask("/a", Some("[2001:db8::1]:80"))).await;
    assert_eq!(by_host.1.as_deref(), Some("https://[2001:db8::1]:8443/a"));
    assert_eq!(
        sent_to(redirect("", 443), ask("/", None)).await.0,
        StatusCode::BAD_REQUEST
    );
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (_, certificate, key) = issued(&["calls.example"]);
    let (_, _, other) = issued(&["calls.example"]);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (chain, own) = (file("chain.pem", &certificate), file("key.pem", &key));
    assert!(files::load(&chain, &own).is_ok());
    let said = |chain: &Path, key: &Path| files::load(chain, key).unwrap_err().to_string();
    assert!(said(&folder.path().join("none.pem"), &own).contains("none.pem"));
    assert!(said(&file("empty.pem", ""), &own).contains("no certificate"));
    assert!(said(&chain, &file("broken.pem", "x")).contains("private key"));
    assert!(said(&chain, &file("other.pem", &other)).contains("belong together"));
}

#[tokio::test]
async fn files_that_change_are_taken_without_being_asked_and_half_a_renewal_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Config::default().tls;
    options.certificate = folder.path().join("chain.pem");
    options.key = folder.path().join("key.pem");
    let write = |(_, certificate, key): &(String, String, String)| {
        std::fs::write(&options.key, key).unwrap();
        std::fs::write(&options.certificate, certificate).unwrap();
    };
    let der = |pem: &str| {
        use rustls::pki_types::pem::PemObject;
        pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    };
    let [first, second, third] = [(); 3].map(|()| issued(&["calls.example"]));
    write(&first);
    let current = Current::new(files::load(&options.certificate, &options.key).unwrap());
    let shown = || current.0.read().unwrap().cert[0].clone();
    files::keep_fresh(options.clone(), current.clone(), Duration::from_millis(10));
    // A certificate whose key has not come yet is looked at many times, and never used.
    std::fs::write(&options.certificate, &second.1).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(shown(), der(&first.1));
    for next in [second, third] {
        write(&next);
        let deadline = Instant::now() + Duration::from_secs(20);
        while shown() != der(&next.1) {
            assert!(Instant::now() < deadline, "the new certificate is not taken");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[test]
fn a_self_signed_certificate_is_kept_until_its_names_change() {
    let folder = tempfile::tempdir().unwrap();
    let make = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self_signed::load_or_make(folder.path(), &names).unwrap().cert[0].to_vec()
    };
    let first = make(&["localhost", "10.0.0.1"]);
    assert_eq!(make(&["localhost", "10.0.0.1"]), first);
    assert_ne!(make(&["localhost", "10.0.0.2"]), first);
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(folder.path().join("self-signed.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "others cannot read the key");
}
