//! `ringhall-turn`: a TURN server of its own.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ipnet::IpNet;
use tokio::signal::unix::{SignalKind, signal};
use turn_relay::{Options, Policy, TlsOptions, start};
use turn_server::Quota;
use turn_server::credential::Credentials;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A TURN server (RFC 8656) with sockets of its own. Ringhall's calls do not need it: their server has one built in.
/// Peers in private and other inner networks are refused unless they are allowed by name.
#[derive(Parser)]
#[command(name = "ringhall-turn", version)]
struct Arguments {
    /// Address and port for clients, by UDP and TCP
    #[arg(long, env = "RINGHALL_TURN_LISTEN", default_value = "0.0.0.0:3478")]
    listen: SocketAddr,
    /// Address and port for clients by TLS; needs --certificate and --key
    #[arg(long, env = "RINGHALL_TURN_TLS_LISTEN", requires = "certificate", requires = "key")]
    tls_listen: Option<SocketAddr>,
    /// PEM file of the certificate chain
    #[arg(long, env = "RINGHALL_TURN_CERTIFICATE")]
    certificate: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, env = "RINGHALL_TURN_KEY")]
    key: Option<PathBuf>,
    /// Address that relayed ports are opened on; once for each family
    #[arg(long, env = "RINGHALL_TURN_RELAY", required = true, value_delimiter = ',')]
    relay: Vec<IpAddr>,
    /// Address that clients are told instead, behind a NAT; once for each family
    #[arg(long, env = "RINGHALL_TURN_ADVERTISE", value_delimiter = ',')]
    advertise: Vec<IpAddr>,
    /// Relayed ports, first-last
    #[arg(long, env = "RINGHALL_TURN_PORTS", default_value = "49152-65535", value_parser = parse_ports)]
    ports: (u16, u16),
    /// Name of the realm; clients only repeat it
    #[arg(long, env = "RINGHALL_TURN_REALM", default_value = "ringhall")]
    realm: String,
    /// Secret of time-limited credentials (`expiry:user`); better given by the environment than here, where others see it
    #[arg(long, env = "RINGHALL_TURN_SECRET", hide_env_values = true, default_value = "")]
    secret: String,
    /// A user with a fixed password, name:password; may be repeated
    #[arg(long = "user", env = "RINGHALL_TURN_USERS", hide_env_values = true, value_delimiter = ',', value_parser = parse_user)]
    users: Vec<(String, String)>,
    /// An inner network that may be reached after all, like 10.0.0.0/8; may be repeated
    #[arg(long, env = "RINGHALL_TURN_ALLOW_PEERS", value_delimiter = ',')]
    allow_peers: Vec<IpNet>,
    /// A network that may not be reached; may be repeated
    #[arg(long, env = "RINGHALL_TURN_DENY_PEERS", value_delimiter = ',')]
    deny_peers: Vec<IpNet>,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringhall-turn: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<(), Failure> {
    let tls = match (arguments.tls_listen, arguments.certificate, arguments.key) {
        (Some(listen), Some(certificate), Some(key)) => Some(TlsOptions {
            listen,
            certificate,
            key,
        }),
        _ => None,
    };
    let (first, last) = arguments.ports;
    let relay = start(Options {
        listen: arguments.listen,
        tls,
        relay: arguments.relay,
        advertise: arguments.advertise,
        ports: first..=last,
        realm: arguments.realm,
        credentials: Credentials {
            secret: arguments.secret.into_bytes(),
            users: arguments.users.into_iter().collect::<HashMap<_, _>>(),
        },
        policy: Policy {
            allow: arguments.allow_peers,
            deny: arguments.deny_peers,
        },
        quota: Quota::default(),
    })
    .await?;
    println!("ringhall-turn listens on {}", relay.address());
    if let Some(address) = relay.tls_address() {
        println!("ringhall-turn listens for TLS on {address}");
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    relay.stop().await;
    Ok(())
}

/// `49152-65535`.
fn parse_ports(text: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("{text:?} is not a range of ports; write it as 49152-65535");
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let range = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    if range.0 == 0 || range.0 > range.1 {
        return Err(wrong());
    }
    Ok(range)
}

/// `name:password`.
fn parse_user(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => Ok((name.into(), password.into())),
        _ => Err("write it as name:password".to_owned()),
    }
}
