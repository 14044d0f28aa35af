//! `ringhall user`: what is kept about one person, handed out or erased.

use clap::{Args, Subcommand};
use signaling::ids::UserId;
use signaling::store::Store;

use crate::cli::Failure;
use crate::config::Config;
use crate::serve;

#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// Prints everything on record about a person as JSON
    Export(Who),
    /// Erases a person's account, texts and name for ever; their calls stay without them
    Erase {
        #[command(flatten)]
        who: Who,
        /// Really
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Who {
    /// The person's id, as the API shows it
    #[arg(long)]
    id: Option<String>,
    /// The login of a local account
    #[arg(long)]
    login: Option<String>,
}

impl Who {
    async fn find(&self, store: &Store) -> Result<UserId, Failure> {
        let found = match (&self.id, &self.login) {
            (Some(id), _) => store.user(&id.as_str().into()).await?,
            (None, Some(login)) => store.user_by_login(login).await?,
            (None, None) => None,
        };
        Ok(found
            .ok_or("there is no such person; look for the id in GET /api/v1/chats, or use --login")?
            .user
            .id)
    }
}

/// Carries out one of them.
pub(crate) async fn run(config: &Config, command: UserCommand) -> Result<(), Failure> {
    let store = Store::connect(&serve::database_url(config)?).await?;
    store.migrate().await?;
    let done = carry_out(&store, command).await;
    store.close().await;
    done
}

async fn carry_out(store: &Store, command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Export(who) => {
            let user = who.find(store).await?;
            let data = store
                .export_user(&user)
                .await?
                .ok_or("the person was erased meanwhile")?;
            println!("{}", serde_json::to_string_pretty(&data)?);
        }
        UserCommand::Erase { who, yes } => {
            let user = who.find(store).await?;
            if !yes {
                return Err(format!("this erases {user} for ever; add --yes if you mean it").into());
            }
            let left = store
                .erase_user(&user)
                .await?
                .ok_or("the person was erased meanwhile")?;
            println!("erased; in the records of calls they are {left} now");
        }
    }
    Ok(())
}
