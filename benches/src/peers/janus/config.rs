//! The configuration folder: the video room, the WebSocket transport, nothing else.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::Options;

/// Where packages put plugins; the first that is there is taken.
const FOLDERS: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/janus",
    "/usr/lib/aarch64-linux-gnu/janus",
    "/usr/lib/janus",
    "/usr/local/lib/janus",
];

/// A port that was free a moment ago.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn installed() -> io::Result<PathBuf> {
    FOLDERS
        .iter()
        .map(PathBuf::from)
        .find(|folder| folder.join("plugins").is_dir())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no plugins in any of {FOLDERS:?}")))
}

/// Writes it.
pub(super) fn write(folder: &Path, port: u16, options: &Options) -> io::Result<()> {
    let installed = installed()?;
    let others = |kind: &str, keep: &str| -> io::Result<String> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(installed.join(kind))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".so") && name != keep {
                names.push(name);
            }
        }
        names.sort();
        Ok(names.join(","))
    };
    let plugins = others("plugins", "libjanus_videoroom.so")?;
    let transports = others("transports", "libjanus_websockets.so")?;
    let loops = options
        .event_loops
        .map_or(String::new(), |loops| format!("    event_loops = {loops}\n"));
    let address = options.address.map_or(String::new(), |address| {
        format!("    ice_enforce_list = \"{address}\"\n")
    });
    let root = installed.display();
    // Sessions end with the connection, not on a timer; 3: warnings and errors.
    let general = format!(
        "general: {{\n    configs_folder = \"{}\"\n    plugins_folder = \"{root}/plugins\"\n    transports_folder = \
         \"{root}/transports\"\n    events_folder = \"{root}/events\"\n    loggers_folder = \"{root}/loggers\"\n    \
         session_timeout = 0\n    debug_level = 3\n{loops}}}\nmedia: {{\n}}\nnat: {{\n{address}}}\nplugins: {{\n    disable = \
         \"{plugins}\"\n}}\ntransports: {{\n    disable = \"{transports}\"\n}}\nevents: {{\n    broadcast = false\n}}\n",
        folder.display()
    );
    let sockets = format!(
        "general: {{\n    json = \"plain\"\n    ws = true\n    ws_port = {port}\n    ws_ip = \"127.0.0.1\"\n    wss = \
         false\n}}\nadmin: {{\n    admin_ws = false\n}}\n"
    );
    std::fs::write(folder.join("janus.jcfg"), general)?;
    std::fs::write(folder.join("janus.transport.websockets.jcfg"), sockets)?;
    std::fs::write(folder.join("janus.plugin.videoroom.jcfg"), "general: {\n}\n")
}
