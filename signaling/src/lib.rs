//! Signaling: who may call whom, what is ringing, who answered, and the record of it.
//!
//! Nothing here knows how media is carried. The media plane is reached through [`media::MediaPlane`] alone.

pub mod app;
pub mod auth;
pub mod calls;
pub mod http;
pub mod ids;
pub mod live;
pub mod media;
pub mod protocol;
pub mod reference;
pub mod service;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod ws;
