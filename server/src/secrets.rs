//! Secrets of this installation: made once, kept in the data folder, readable by its owner alone.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// The file is not what this program wrote.
    #[error("{}: not a secret of 64 hexadecimal digits; remove the file to make a new one (everybody signs in again)", .0.display())]
    Spoilt(PathBuf),
}

/// Their files: what signs tokens, what makes TURN credentials, what names this process.
pub(crate) const FILES: [&str; 3] = ["token-secret", "turn-secret", "node-id"];

/// What is kept.
pub(crate) struct Secrets {
    /// Signs tokens.
    pub(crate) tokens: [u8; 32],
    /// Makes TURN credentials.
    pub(crate) turn: [u8; 32],
    /// Names this process in the database, the same over restarts.
    pub(crate) node: String,
}

impl Secrets {
    /// Reads the secrets, making folder and files when missing.
    pub(crate) fn load(dir: &Path) -> Result<Self, SecretError> {
        let failed = |source| SecretError::Io {
            path: dir.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(failed)?;
        let [tokens, turn, node] = FILES.map(|name| kept(&dir.join(name)));
        let (tokens, turn, node) = (tokens?, turn?, node?);
        Ok(Self {
            tokens,
            turn,
            node: hex(&node[..8]),
        })
    }

    /// Looks whether those that are there can be used, and makes none.
    pub(crate) fn look(dir: &Path) -> Result<(), SecretError> {
        for name in FILES {
            let path = dir.join(name);
            match std::fs::read_to_string(&path) {
                Ok(text) if unhex(text.trim()).is_none() => return Err(SecretError::Spoilt(path)),
                Err(source) if source.kind() != ErrorKind::NotFound => return Err(SecretError::Io { path, source }),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// The 32 bytes in a file; made when there is none. Two processes that start at once agree on the first one's.
fn kept(path: &Path) -> Result<[u8; 32], SecretError> {
    let failed = |source| SecretError::Io {
        path: path.to_owned(),
        source,
    };
    let fresh: [u8; 32] = rand::random();
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    if !path.exists() {
        write_private(&temporary, hex(&fresh).as_bytes())?;
        // A link fails when the name exists: whoever was first stays.
        let linked = std::fs::hard_link(&temporary, path);
        std::fs::remove_file(&temporary).map_err(failed)?;
        if let Err(e) = linked
            && e.kind() != ErrorKind::AlreadyExists
        {
            return Err(failed(e));
        }
    }
    let mut text = String::new();
    let mut file = OpenOptions::new().read(true).open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others may read this secret; chmod 600 it");
    }
    file.read_to_string(&mut text).map_err(failed)?;
    unhex(text.trim()).ok_or_else(|| SecretError::Spoilt(path.to_owned()))
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), SecretError> {
    let failed = |source| SecretError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

/// A secret for a one-time link.
pub(crate) fn one_time_code() -> String {
    hex(&rand::random::<[u8; 16]>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(i * 2..i * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_made_once_and_for_the_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let first = Secrets::load(&data).unwrap();
        let again = Secrets::load(&data).unwrap();
        assert_eq!((first.tokens, first.node), (again.tokens, again.node));
        assert_ne!(again.tokens, [0; 32]);
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data.join("token-secret")), 0o600);
        assert_eq!(mode(&data), 0o700);
        let other = Secrets::load(&dir.path().join("c")).unwrap();
        assert_ne!(other.tokens, again.tokens);
        assert_eq!(
            std::fs::read_dir(&data).unwrap().count(),
            3,
            "nothing temporary is left"
        );
    }

    #[test]
    fn a_spoilt_secret_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "short", &"z".repeat(64), &"é".repeat(32)] {
            std::fs::write(dir.path().join("token-secret"), text).unwrap();
            assert!(
                matches!(Secrets::load(dir.path()), Err(SecretError::Spoilt(_))),
                "{text:?}"
            );
        }
    }
}
