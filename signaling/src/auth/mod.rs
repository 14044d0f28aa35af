//! Who somebody is: signed tokens, passwords of local accounts, and the brake on guessing them.

mod attempts;
mod password;
mod token;

pub use attempts::{Attempts, TooMany};
pub use password::{Passwords, WrongPassword};
pub use token::{Claims, Grant, HostIssuer, TokenError, Tokens, unix_now};
