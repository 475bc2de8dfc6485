//! The text of a command as a file in `snapshots/`, without what differs from run to run.

use std::fmt::Write as _;

use crate::support::nest::{Nest, Output};
use crate::support::terminal::Terminal;

/// What is replaced, in this order.
const FILTERS: &[(&str, &str)] = &[
    (r"\b(127\.0\.0\.1|localhost):\d{4,5}\b", "HOST:PORT"),
    (r"\b(npub|naddr)1[02-9ac-hj-np-z]{20,}", "${1}1…"),
    (r"\bnaddr1[02-9ac-hj-np-z]*…", "naddr1…"),
    (r"\beyJ[A-Za-z0-9_.-]{20,}", "TOKEN"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID"),
    (r"\b([0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{8}…)", "HEX"),
    (r"\bRM_\w+", "RM_x"),
    (r"\bguest-[\w-]+", "guest-x"),
    (r"\b20\d\d-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?", "DATE"),
    // Around midnight the day is said too.
    (r"\b(\d{1,2} [A-Z][a-z]{2} |DATE )?\d\d:\d\d(:\d\d)?\b", "hh:mm"),
    (r"(?m)^@[2-9a-hjkmnp-z]{4}\b", "@shrt"),
    (r"\b\d{10}\b", "UNIXTIME"),
    (r"\b\d+(\.\d+)? m?s\b", "N s"),
    // How long a step took is said only where it took long enough.
    (r"\n? +· N s\n", "\n"),
    // Which of the two is said of an old room depends on how slow this machine is.
    ("the same as before|created N s ago", "OLD"),
    // The columns of a table are filled up.
    (r"N s {2,}", "N s  "),
    (concat!(r"\b", env!("CARGO_PKG_VERSION"), r"\b"), "VERSION"),
];

/// Runs it, and compares all that it says, and its exit code, with the snapshot of this name.
#[track_caller]
pub fn matches(name: &str, nest: Nest) -> Output {
    let home = nest.home().to_str().unwrap().to_owned();
    let mut seen = format!("$ {}\n", nest.command_line());
    let output = nest.run();
    for (heading, text) in [("", &output.stdout), ("stderr:\n", &output.stderr)] {
        if !text.is_empty() {
            write!(seen, "{heading}{}", in_order(text)).unwrap();
        }
    }
    write!(seen, "exit code: {}", output.code).unwrap();
    assert_snapshot(name, &seen.replace(&home, "HOME"));
    output
}

/// Compares what a person has before them in terminals of these widths with the snapshot of this name.
#[track_caller]
pub fn fits(name: &str, columns: &[u16], code: i32, nest: impl Fn() -> Nest) {
    let mut seen = format!("$ {}\n", nest().command_line());
    for columns in columns {
        let nest = nest();
        let home = nest.home().to_str().unwrap().to_owned();
        let (rows, ended) = Terminal::of_width(*columns, nest).shows();
        let rows = rows.join("\n");
        assert_eq!(ended, code, "{rows}");
        let rows = in_order(&rows).replace(&home, "HOME");
        writeln!(seen, "{:-<1$}\n{rows}", "", usize::from(*columns)).unwrap();
    }
    assert_snapshot(name, &seen);
}

/// Reading requests are under way side by side, and which is told first differs: here they come first, sorted.
fn in_order(text: &str) -> String {
    let (mut reads, others): (Vec<_>, Vec<_>) = text.split_inclusive('\n').partition(|line| line.starts_with("GET "));
    reads.sort_unstable();
    reads.into_iter().chain(others).collect()
}

#[track_caller]
fn assert_snapshot(name: &str, seen: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_filters(FILTERS.iter().copied());
    settings.bind(|| insta::assert_snapshot!(name, seen));
}
