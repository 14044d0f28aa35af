//! `ringhall serve`: wires everything, runs until a signal, ends cleanly.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use signaling::app::{App, Parts};
use signaling::auth::{Attempts, Passwords};
use signaling::http::{ServerInfo, Setup, router};
use signaling::service::{LocalBus, Service};
use signaling::store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::cli::{Failure, tokens};
use crate::config::{Config, TlsMode, in_data_dir};
use crate::door::{Door, Gate, Limits, Proxies, Relays, SORTING, Web};
use crate::secrets::{Secrets, one_time_code};
use crate::turn::{IceServers, Streams, Turn};
use crate::{demo, media, metrics, page, tls};

/// How long requests and sockets may take to end after a signal.
const GOODBYE: Duration = Duration::from_secs(5);
/// Connections that have not said what they are for, in all and of one address: each has ten seconds.
const UNSORTED: usize = 2_048;
const UNSORTED_PER_ADDRESS: usize = 256;
/// REALM of the TURN server; clients only repeat it.
const REALM: &str = "ringhall";

/// Where records are kept: the configured database, or SQLite in the data folder.
pub(crate) fn database_url(config: &Config) -> Result<String, Failure> {
    if !config.database.url.is_empty() {
        return Ok(config.database.url.clone());
    }
    std::fs::create_dir_all(&config.data.dir).map_err(|e| format!("data folder {}: {e}", config.data.dir.display()))?;
    Ok(format!("sqlite:{}", in_data_dir(config, "ringhall.db").display()))
}

/// Runs the server until SIGTERM or SIGINT.
pub(crate) async fn serve(config: Config, demo: bool) -> Result<(), Failure> {
    if demo {
        demo::check_listener(config.http.listen)?;
    }
    raise_file_limit();
    let secrets = Secrets::load(&config.data.dir)?;
    let store = Store::connect(&database_url(&config)?)
        .await
        .map_err(|e| format!("database: {e}"))?;
    store.migrate().await?;
    if store.is_sqlite() && !demo {
        tracing::warn!("records are kept in SQLite: evaluation and small installs; set database.url for Postgres");
    }
    let passwords = Passwords::new().map_err(|e| format!("passwords: {e}"))?;
    let users = if demo {
        Some(demo::prepare(&store, &passwords).await?)
    } else {
        None
    };
    let code = if store.user_count().await? == 0 {
        Some(one_time_code())
    } else {
        None
    };

    let listener = TcpListener::bind(config.http.listen).await.map_err(|e| {
        format!(
            "http.listen {}: {e}; choose another address with RINGHALL_HTTP_LISTEN",
            config.http.listen
        )
    })?;
    let listening = listener.local_addr()?;
    let url = public_url(&config, listening);
    let tls = tls::start(&config)?;
    let mut media_listener = None;
    if let Some(address) = config.media.tcp_address()? {
        let bound = TcpListener::bind(address).await;
        media_listener = Some(bound.map_err(|e| format!("media.tcp_listen {address}: {e}"))?);
    }
    let media_listening = media_listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let tcp = tcp_listen(&config, media_listening, listening);
    let tunnel = |peers: &[SocketAddr]| -> Option<Box<dyn sfu::Tunnel>> {
        let turn = || Turn::new(REALM, &secrets.turn, peers);
        config.turn.enabled.then(|| Box::new(turn()) as Box<dyn sfu::Tunnel>)
    };
    let media = media::start(&config.media, tcp, &tunnel)?;
    if let Some(listen) = config.metrics.address()? {
        let address = metrics::start(listen, media.clone()).await?;
        tracing::info!(%address, "metrics are served");
    }
    let streams = streams(&config, tcp, media.candidates());
    let plane = media.clone();
    let ice = IceServers::new(&config.turn, &secrets.turn, media.candidates(), &streams);
    let bus = Arc::new(LocalBus::new());
    let hints = bus.subscribe();
    let service = Arc::new(Service::new(
        store.clone(),
        bus,
        config.calls.clone(),
        secrets.node.clone(),
    ));
    service.start_up().await?;
    let (stop, stopped) = watch::channel(false);
    let sweeping = tokio::spawn(service.clone().run(stopped.clone()));
    let retaining = tokio::spawn(store.clone().retain(config.retention.clone(), stopped));
    let attempts = NonZeroU32::new(config.auth.attempts_per_minute).unwrap_or(NonZeroU32::MIN);
    let app = App::start(Parts {
        service,
        bus: hints,
        media,
        tokens: tokens(&config, &secrets),
        passwords,
        attempts: Attempts::new(attempts),
        token_ttl: Duration::from_secs(config.auth.token_ttl_seconds),
        sockets: config.sockets.clone(),
        info: ServerInfo {
            name: "Ringhall".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            demo: users.clone(),
        },
        setup: Setup::new(code.clone()),
        ice: Arc::new(move |user| ice.of(user)),
    });

    let mut routes = router(app.clone()).fallback_service(page::router());
    if let Some((name, value)) = tls::strict(config.tls.hsts_seconds) {
        routes = routes.layer(SetResponseHeaderLayer::if_not_present(name, value));
    }
    let redirect = tls
        .is_some()
        .then(|| tls::redirect(&config.http.public_url, listening.port()));
    let relays = config.turn.enabled.then(|| Relays::new(REALM, &secrets.turn));
    let gate = Gate::new(limits(&config));
    let door = |web: Option<Web>, media: bool, redirect: Option<Router>| Door {
        web,
        tls: tls.clone(),
        redirect,
        relays: relays.clone(),
        media: media.then(|| plane.clone()),
        gate: gate.clone(),
        patience: SORTING,
    };
    let proxies = Proxies(config.http.trusted_proxies.iter().copied().collect());
    let web = Web { routes, proxies };
    let mut doors = vec![tokio::spawn(
        door(Some(web), config.media.tcp, redirect.clone()).serve(listener, stop.subscribe()),
    )];
    if let Some(listener) = media_listener {
        doors.push(tokio::spawn(door(None, true, None).serve(listener, stop.subscribe())));
    }
    if let Some(address) = config.tls.redirect_address()? {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|e| format!("tls.redirect_listen {address}: {e}"))?;
        doors.push(tokio::spawn(
            door(None, false, redirect).serve(listener, stop.subscribe()),
        ));
    }
    announce(&url, users.as_deref(), code.as_deref());

    let name = signalled().await?;
    tracing::info!(signal = name, "going down");
    app.drain();
    app.end_sessions().await;
    stop.send_replace(true);
    let finish = async {
        for door in doors {
            let _ = door.await;
        }
        let _ = sweeping.await;
        let _ = retaining.await;
    };
    if tokio::time::timeout(GOODBYE, finish).await.is_err() {
        tracing::warn!("some requests were cut off");
    }
    tokio::task::spawn_blocking(move || plane.stop()).await?;
    store.close().await;
    tracing::info!("bye");
    Ok(())
}

/// Every connection is a descriptor, and the usual soft limit is for programs that know `select` only.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, soft, "the limit of open files could not be raised");
    }
}

/// How people reach the server.
fn public_url(config: &Config, listening: SocketAddr) -> String {
    if !config.http.public_url.is_empty() {
        return config.http.public_url.trim_end_matches('/').to_owned();
    }
    let scheme = if config.tls.is_on() { "https" } else { "http" };
    format!("{scheme}://{listening}")
}

/// The TCP port that leads to the media plane: the one for media alone, where there is one.
pub(crate) fn tcp_listen(
    config: &Config,
    for_media: Option<SocketAddr>,
    for_all: SocketAddr,
) -> Option<sfu::TcpListen> {
    if let Some(address) = for_media {
        return Some(sfu::TcpListen {
            ip: address.ip(),
            port: address.port(),
        });
    }
    config.media.tcp.then(|| sfu::TcpListen {
        ip: for_all.ip(),
        port: match config.media.tcp_port {
            0 => for_all.port(),
            port => port,
        },
    })
}

/// What clients are told of TURN by TCP and TLS.
fn streams(config: &Config, tcp: Option<sfu::TcpListen>, candidates: &[SocketAddr]) -> Streams {
    let Some(tcp) = tcp else {
        return Streams::default();
    };
    let trusted = matches!(config.tls.mode, TlsMode::Files | TlsMode::Acme);
    let host = config
        .http
        .public_host()
        .or(config.tls.domains.first().map(String::as_str));
    Streams {
        plain: tcp.addresses(candidates, !config.media.advertise.is_empty()),
        tls: host.filter(|_| trusted).map(|host| match host.contains(':') {
            true => format!("[{host}]:{}", tcp.port),
            false => format!("{host}:{}", tcp.port),
        }),
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        total: config.http.max_connections,
        per_address: config.http.max_connections_per_address,
        unsorted: UNSORTED,
        unsorted_per_address: UNSORTED_PER_ADDRESS,
    }
}

/// Says on standard output what the person at the terminal needs next.
fn announce(url: &str, demo: Option<&[signaling::http::DemoUser]>, code: Option<&str>) {
    println!("Ringhall serves {url}");
    if let Some(users) = demo {
        println!("Demo users (open two tabs, sign in as two of them, ring):");
        for user in users {
            println!("  {:<8} {:<16} password {}", user.login, user.name, user.password);
        }
    } else if let Some(code) = code {
        println!("Nobody can sign in yet. Make the first account with this one-time link:");
        println!("  {url}/setup#{code}");
    }
}

async fn signalled() -> Result<&'static str, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
