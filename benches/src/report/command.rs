//! `ringhall-load report` and `ringhall-load compare`: from JSON to everything else.

use std::path::PathBuf;

use super::{ReadError, compare, compare_text, html, markdown, read, summary};

/// Draws a report anew.
#[derive(clap::Args, Clone, Debug)]
pub struct ReportArguments {
    /// The JSON file of a run.
    pub file: PathBuf,
    /// Where the page goes; default: beside the file.
    #[arg(long, short)]
    pub output: Option<PathBuf>,
    /// Prints a Markdown table instead of the summary.
    #[arg(long)]
    pub markdown: bool,
}

/// Two reports side by side.
#[derive(clap::Args, Clone, Debug)]
pub struct CompareArguments {
    /// The JSON file of the older run.
    pub before: PathBuf,
    /// The JSON file of the newer run.
    pub after: PathBuf,
    /// Where the page goes; default: compare.html in the folder of the newer one.
    #[arg(long, short)]
    pub output: Option<PathBuf>,
}

/// Draws a report.
///
/// # Errors
/// [`ReadError`].
pub fn run_report(arguments: &ReportArguments) -> Result<(), ReadError> {
    let report = read(&arguments.file)?;
    let output = arguments
        .output
        .clone()
        .unwrap_or_else(|| arguments.file.with_extension("html"));
    save(&output, &html(&report))?;
    if arguments.markdown {
        print!("{}", markdown(&report));
    } else {
        println!("{}\n{}", summary(&report), output.display());
    }
    Ok(())
}

/// Compares two.
///
/// # Errors
/// [`ReadError`].
pub fn run_compare(arguments: &CompareArguments) -> Result<(), ReadError> {
    let (before, after) = (read(&arguments.before)?, read(&arguments.after)?);
    let output = arguments
        .output
        .clone()
        .unwrap_or_else(|| arguments.after.with_file_name("compare.html"));
    save(&output, &compare(&before, &after))?;
    println!("{}\n{}", compare_text(&before, &after), output.display());
    Ok(())
}

fn save(path: &std::path::Path, page: &str) -> Result<(), ReadError> {
    std::fs::write(path, page).map_err(|source| ReadError::Io {
        path: path.display().to_string(),
        source,
    })
}
