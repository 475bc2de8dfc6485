//! A program in JavaScript that is told what to do in JSON on each line of its stdin, and answers with one line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::current::root;

/// It ends when dropped.
pub struct NodeProgram {
    process: Child,
    commands: Option<ChildStdin>,
    results: BufReader<ChildStdout>,
}

impl NodeProgram {
    /// `tests/support/NAME.mjs`, with what is installed in `target/tools/NAME`.
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        let tools = root("target/tools").join(name);
        assert!(tools.join("complete").exists(), "nothing is installed in {}", tools.display());
        let mut process = Command::new("node")
            .arg(root("tests/support").join(format!("{name}.mjs")))
            .arg(tools)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("no node");
        let results = BufReader::new(process.stdout.take().unwrap());
        Self { commands: process.stdin.take(), results, process }
    }

    /// One of its commands.
    pub fn call(&mut self, command: &str, mut given: Value) -> Result<Value, String> {
        given["command"] = command.into();
        writeln!(self.commands.as_mut().unwrap(), "{given}").unwrap();
        let mut line = String::new();
        self.results.read_line(&mut line).unwrap();
        let mut result: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?} to {given}"));
        match result["error"].as_str() {
            Some(error) => Err(format!("{given}: {error}")),
            None => Ok(result["value"].take()),
        }
    }
}

impl Drop for NodeProgram {
    fn drop(&mut self) {
        // At the end of its commands it ends itself, and what it has started.
        self.commands = None;
        let _ = self.process.wait();
    }
}
