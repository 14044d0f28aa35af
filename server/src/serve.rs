//! `ringhall serve`: wires everything, runs until a signal, ends cleanly.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use signaling::app::{App, Parts};
use signaling::auth::{Attempts, Passwords};
use signaling::http::{ServerInfo, Setup, router};
use signaling::service::{LocalBus, Service};
use signaling::store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::{Failure, tokens};
use crate::config::{Config, in_data_dir};
use crate::secrets::{Secrets, one_time_code};
use crate::turn::{IceServers, Turn};
use crate::{demo, media, metrics, page};

/// How long requests and sockets may take to end after a signal.
const GOODBYE: Duration = Duration::from_secs(5);
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
    let url = public_url(&config, listener.local_addr()?);
    let tunnel = |peers: &[SocketAddr]| -> Option<Box<dyn sfu::Tunnel>> {
        let turn = || Turn::new(REALM, &secrets.turn, peers);
        config.turn.enabled.then(|| Box::new(turn()) as Box<dyn sfu::Tunnel>)
    };
    let media = media::start(&config.media, &tunnel)?;
    if let Some(listen) = config.metrics.address()? {
        let address = metrics::start(listen, media.clone()).await?;
        tracing::info!(%address, "metrics are served");
    }
    let ice = IceServers::new(&config.turn, &secrets.turn, &media.candidates());
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
        media: media.clone(),
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

    let routes = router(app.clone()).fallback_service(page::router());
    let mut ending = stop.subscribe();
    // An answer and the event behind it are two writes: without this the second one waits for the first one's delayed
    // acknowledgement, 40 ms.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    let http = axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            let _ = ending.wait_for(|s| *s).await;
        });
    let http = tokio::spawn(http.into_future());
    announce(&url, users.as_deref(), code.as_deref());

    let name = signalled().await?;
    tracing::info!(signal = name, "going down");
    app.drain();
    app.end_sessions().await;
    stop.send_replace(true);
    let finish = async {
        let _ = http.await;
        let _ = sweeping.await;
        let _ = retaining.await;
    };
    if tokio::time::timeout(GOODBYE, finish).await.is_err() {
        tracing::warn!("some requests were cut off");
    }
    tokio::task::spawn_blocking(move || media.stop()).await?;
    store.close().await;
    tracing::info!("bye");
    Ok(())
}

/// How people reach the server.
fn public_url(config: &Config, listening: SocketAddr) -> String {
    if !config.http.public_url.is_empty() {
        return config.http.public_url.trim_end_matches('/').to_owned();
    }
    format!("http://{listening}")
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
