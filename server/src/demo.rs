//! Demo users with known passwords: with `--demo` only, on loopback only.

use std::net::SocketAddr;

use signaling::auth::Passwords;
use signaling::http::DemoUser;
use signaling::ids::UserId;
use signaling::protocol::ChatType;
use signaling::store::Store;

use crate::cli::Failure;

const PASSWORD: &str = "ringhall-demo";
const GROUP: &str = "4 отдел";
const PEOPLE: [(&str, &str); 4] = [
    ("ivan", "Иван Иванов"),
    ("maria", "Мария Петрова"),
    ("sergey", "Сергей Смирнов"),
    ("anna", "Анна Кузнецова"),
];

/// Refuses demo users where others could sign in as them.
pub(crate) fn check_listener(listen: SocketAddr) -> Result<(), Failure> {
    if listen.ip().is_loopback() {
        return Ok(());
    }
    Err(format!(
        "--demo makes users whose password everybody knows, so it serves on a loopback address only, not on {listen}; \
         set http.listen (RINGHALL_HTTP_LISTEN) to 127.0.0.1:8080, or start without --demo"
    )
    .into())
}

/// Makes what is missing of the demo users, their direct chat and their group.
pub(crate) async fn prepare(store: &Store, passwords: &Passwords) -> Result<Vec<DemoUser>, Failure> {
    let mut ids: Vec<UserId> = Vec::new();
    for (login, name) in PEOPLE {
        let id = match store.user_by_login(login).await? {
            Some(account) => account.user.id,
            None => {
                let hash = passwords.hash(PASSWORD).await?;
                store.create_local_user(login, name, &hash).await?.id
            }
        };
        ids.push(id);
    }
    if let [ivan, maria, ..] = ids.as_slice() {
        store.create_direct(ivan, maria).await?;
        let chats = store.chats_of(ivan).await?;
        if !chats
            .iter()
            .any(|c| c.chat_type == ChatType::Group && c.name.as_deref() == Some(GROUP))
        {
            store.create_group(ivan, GROUP, &ids).await?;
        }
    }
    let user = |(login, name): (&str, &str)| DemoUser {
        login: login.to_owned(),
        name: name.to_owned(),
        password: PASSWORD.to_owned(),
    };
    Ok(PEOPLE.into_iter().map(user).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_users_exist_on_loopback_only() {
        assert!(check_listener("127.0.0.1:8080".parse().unwrap()).is_ok());
        assert!(check_listener("[::1]:0".parse().unwrap()).is_ok());
        for open in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80"] {
            assert!(check_listener(open.parse().unwrap()).is_err(), "{open}");
        }
    }
}
