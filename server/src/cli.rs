//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use signaling::auth::{Claims, Grant, HostIssuer, Tokens};
use signaling::ids::ChatId;
use signaling::store::Store;

use crate::config::{Config, Sources, parse_set};
use crate::doctor::{self, DoctorArgs};
use crate::people::UserCommand;
use crate::secrets::Secrets;
use crate::{backup, logs, people, serve};

/// Any failure, in words for the operator.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(name = "ringhall", version, about = "A self-hosted call server in one binary")]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Common {
    /// Configuration file [default: ./ringhall.toml, then /etc/ringhall/ringhall.toml, if there is one]
    #[arg(long, global = true, env = "RINGHALL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one option, over file and environment; may be repeated
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = parse_set)]
    set: Vec<(String, String)>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server
    Serve {
        /// Makes demo users and shows their passwords on the sign-in page; on a loopback listener only
        #[arg(long)]
        demo: bool,
    },
    /// Prints a token for a room, for WHIP, WHEP or the page
    Token(TokenArgs),
    /// Applies the database migrations that are missing, and ends
    Migrate,
    /// Hands out or erases what is kept about a person
    #[command(subcommand)]
    User(UserCommand),
    /// Reads the configuration, says what is wrong with it, and prints the result without secrets
    CheckConfig,
    /// Writes the records and secrets into a new folder; the server may run meanwhile
    Backup {
        /// The folder that is made
        folder: PathBuf,
    },
    /// Puts a backup back into an empty place; the server must not run
    Restore {
        /// The folder that `ringhall backup` made
        folder: PathBuf,
    },
    /// Looks at everything that keeps people from calls, and says what to change; changes nothing
    Doctor(DoctorArgs),
    /// Knocks at a server from outside, for `ringhall doctor --second-host` there
    SecondHost {
        /// Where it waits for the doctor
        #[arg(long, default_value = "[::]:7999")]
        listen: SocketAddr,
    },
}

#[derive(Args)]
struct TokenArgs {
    /// The room that it opens
    #[arg(long)]
    room: String,
    /// Who carries it
    #[arg(long)]
    identity: String,
    /// Display name [default: the identity]
    #[arg(long)]
    name: Option<String>,
    /// Allows sending
    #[arg(long)]
    publish: bool,
    /// Allows receiving
    #[arg(long)]
    subscribe: bool,
    /// How long it is good, for example 90s, 15m, 6h, 30d
    #[arg(long, default_value = "6h", value_parser = parse_duration)]
    ttl: Duration,
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    let cli = Cli::parse();
    let sources = Sources {
        file: cli.common.config,
        environment: std::env::vars().collect(),
        flags: cli.common.set,
    };
    let config = sources.load();
    match cli.command {
        // These two do without a configuration that can be used.
        Command::Doctor(args) => {
            let healthy = runtime()?.block_on(doctor::run(config, args));
            return Ok(ExitCode::from(u8::from(!healthy)));
        }
        Command::SecondHost { listen } => runtime()?.block_on(doctor::second_host(listen)),
        Command::Serve { demo } => {
            let config = config?;
            logs::start(&config.log)?;
            runtime()?.block_on(serve::serve(config, demo))
        }
        Command::Token(args) => token(&config?, args),
        Command::Migrate => runtime()?.block_on(migrate(&config?)),
        Command::User(command) => runtime()?.block_on(people::run(&config?, command)),
        Command::CheckConfig => check(config?),
        Command::Backup { folder } => runtime()?.block_on(backup::backup(&config?, &folder)),
        Command::Restore { folder } => runtime()?.block_on(backup::restore(&config?, &folder)),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("tokio")
        .build()
}

fn token(config: &Config, args: TokenArgs) -> Result<(), Failure> {
    if !args.publish && !args.subscribe {
        return Err("the token would allow nothing: add --publish, --subscribe or both".into());
    }
    let secrets = Secrets::load(&config.data.dir)?;
    let claims = Claims {
        name: args.name,
        room: Some(ChatId(args.room)),
        grants: Some(
            [(args.publish, Grant::Publish), (args.subscribe, Grant::Subscribe)]
                .into_iter()
                .filter_map(|(wanted, grant)| wanted.then_some(grant))
                .collect(),
        ),
        ..Claims::new(args.identity.into(), args.ttl)
    };
    println!("{}", tokens(config, &secrets).issue(&claims)?);
    Ok(())
}

/// Signs with the own secret, and trusts the host's too where one is configured.
pub(crate) fn tokens(config: &Config, secrets: &Secrets) -> Tokens {
    let host = (!config.auth.issuer.is_empty()).then(|| HostIssuer {
        issuer: config.auth.issuer.clone(),
        secret: config.auth.secret.clone().into_bytes(),
    });
    Tokens::new(&secrets.tokens, host)
}

async fn migrate(config: &Config) -> Result<(), Failure> {
    let store = Store::connect(&serve::database_url(config)?).await?;
    store.migrate().await?;
    store.close().await;
    println!("the database is up to date");
    Ok(())
}

fn check(mut config: Config) -> Result<(), Failure> {
    if !config.auth.secret.is_empty() {
        config.auth.secret = "(hidden)".into();
    }
    if let Some((_, rest)) = config.database.url.split_once("://")
        && let Some((_, host)) = rest.rsplit_once('@')
    {
        config.database.url = format!("postgres://(hidden)@{host}");
    }
    print!("{}", toml::to_string(&config)?);
    Ok(())
}

/// `90s`, `15m`, `6h`, `30d`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time; write it as 90s, 15m, 6h or 30d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(factor)
        .filter(|s| *s > 0)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for wrong in [
            "",
            "5",
            "h",
            "0s",
            "-1h",
            "1ч",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
