//! Makes sure that the folder of the built web client exists, so that the embedding below it works without a web build,
//! and that a new web build makes a new binary.

fn main() -> std::io::Result<()> {
    let dist = std::path::Path::new("../web-client/dist");
    std::fs::create_dir_all(dist)?;
    println!("cargo:rerun-if-changed={}", dist.display());
    Ok(())
}
