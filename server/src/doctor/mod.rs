//! `ringhall doctor`: looks at everything that keeps people from calls, and says what to change. It changes nothing.

mod addresses;
mod certificate;
mod database;
mod machine;
mod ports;
mod reach;
mod report;
mod second;
mod stun;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use crate::config::{Config, ConfigError};
use report::{Level, Report};
pub(crate) use second::serve as second_host;

/// How long anything that is asked may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// Another machine that knocks at this one from outside, as `ringhall second-host` prints it
    #[arg(long, value_name = "HOST:PORT#CODE")]
    second_host: Option<String>,
    /// Prints one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Looks around and prints what was found. Whether there is no fault.
pub(crate) async fn run(config: Result<Config, ConfigError>, args: DoctorArgs) -> bool {
    let mut report = Report::default();
    match config {
        Ok(config) => everything(&mut report, &config, args.second_host.as_deref()).await,
        Err(error) => report.fault(
            "configuration",
            error.to_string(),
            "correct it; config/ringhall.toml lists every option with its default",
        ),
    }
    if args.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.text());
    }
    report.worst() < Level::Fault
}

async fn everything(report: &mut Report, config: &Config, second: Option<&str>) {
    report.ok("configuration", "it can be used");
    machine::check(report, config);
    database::check(report, config).await;
    certificate::check(report, config).await;
    let told = addresses::told(config);
    addresses::check(report, config, &told);
    addresses::names(report, config, &told).await;
    addresses::proxy(report, config);
    let held = ports::check(report, config).await;
    reach::check(report, config, &told, &held, second).await;
}

/// Where a shard listens.
fn shard_address(config: &Config, shard: u8) -> SocketAddr {
    let mut address = config.media.listen;
    if address.port() != 0 {
        address.set_port(address.port().saturating_add(shard.into()));
    }
    address
}

/// An address at which a listener is reached from this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
