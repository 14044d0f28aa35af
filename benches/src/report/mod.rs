//! What a run found out: the data ([`model`]), and what is drawn from it: a page, a comparison of two runs, text.

mod cells;
pub mod chart;
pub mod command;
mod compare;
mod glance;
pub mod metrics;
pub mod model;
mod page;
mod plots;
#[cfg(test)]
pub(crate) mod samples;
mod text;

use std::io;
use std::path::{Path, PathBuf};

pub use compare::{html as compare, text as compare_text};
pub use model::Report;
pub use page::html;
pub use text::{markdown, summary};

/// A report cannot be read, or what was drawn from it not written.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Not a report.
    #[error("{path} is not a report of ringhall-load: {source}")]
    Parse {
        /// Which.
        path: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Of a newer harness.
    #[error("{path} has format {found}, this program reads up to {known}: use the ringhall-load that wrote it, or a newer one", known = model::FORMAT)]
    Newer {
        /// Which.
        path: String,
        /// Its format.
        found: u32,
    },
}

/// Writes `report.json` and `report.html` into a folder, which is made. Returns both paths.
///
/// # Errors
/// The first one of the file system.
pub fn write(report: &Report, folder: &Path) -> io::Result<(PathBuf, PathBuf)> {
    std::fs::create_dir_all(folder)?;
    let (json, page) = (folder.join("report.json"), folder.join("report.html"));
    std::fs::write(&json, serde_json::to_vec_pretty(report)?)?;
    std::fs::write(&page, html(report))?;
    Ok((json, page))
}

/// Reads a report.
///
/// # Errors
/// [`ReadError`] names the file.
pub fn read(path: &Path) -> Result<Report, ReadError> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ReadError::Io { path: name(), source })?;
    let parse = |source| ReadError::Parse { path: name(), source };
    let Format { format } = serde_json::from_str(&text).map_err(parse)?;
    if format > model::FORMAT {
        let (path, found) = (name(), format);
        return Err(ReadError::Newer { path, found });
    }
    serde_json::from_str(&text).map_err(parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_a_newer_format_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let report = samples::report();
        let (json, page) = write(&report, folder.path()).unwrap();
        assert_eq!(read(&json).unwrap(), report);
        assert!(std::fs::read_to_string(page).unwrap().contains("<!DOCTYPE html>"));
        std::fs::write(&json, r#"{"format": 99, "anything": true}"#).unwrap();
        let error = read(&json).unwrap_err().to_string();
        assert!(error.contains("99") && error.contains("newer"), "{error}");
    }
}
