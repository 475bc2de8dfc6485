//! Commands that pages of the repository show, and what they do.

use std::process::Output;

/// The blocks of a page that begin with this fence.
pub fn blocks<'a>(page: &'a str, fence: &str) -> Vec<&'a str> {
    let fence = format!("\n```{fence}\n");
    page.split(&fence).skip(1).map(|block| block.split("\n```").next().unwrap()).collect()
}

pub fn silent(output: &Output) {
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}
