//! Writes what is generated from the protocol's types: the TypeScript of the SDK and the reference in
//! `docs/protocol.md`. Run it after a change: `cargo run -p signaling --bin protocol-docs`.

use std::process::ExitCode;

fn main() -> ExitCode {
    for (path, text) in signaling::reference::generated() {
        let written = match text {
            Ok(text) => {
                std::fs::create_dir_all(path.parent().unwrap_or(&path)).and_then(|()| std::fs::write(&path, text))
            }
            Err(error) => Err(std::io::Error::other(error)),
        };
        match written {
            Ok(()) => println!("{}", path.display()),
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
