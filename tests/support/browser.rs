//! A real browser: Debian's Chromium, driven by playwright-core (`browser.mjs`), with a signer like those of NIP-07.

use serde_json::{Value, json};

use super::node::NodeProgram;

/// A browser with one page; it ends when dropped.
pub struct Browser(NodeProgram);

impl Browser {
    pub fn start() -> Self {
        Self(NodeProgram::start("browser", &["/usr/bin/chromium"]))
    }

    /// One of the commands in `browser.mjs`.
    pub fn try_command(&mut self, command: &str, given: Value) -> Result<Value, String> {
        self.0.call(command, given)
    }

    #[track_caller]
    fn command(&mut self, command: &str, given: Value) -> Value {
        self.try_command(command, given).unwrap_or_else(|error| {
            let shown = self.try_command("evaluate", json!({ "script": "document.body.innerText" }));
            panic!("{error}\n{}", shown.map_or_else(|error| error, |text| text.as_str().unwrap().to_owned()))
        })
    }

    /// Opens a page; `more` is what differs from a desktop, in light, with scripts and without a signer.
    #[track_caller]
    pub fn open(&mut self, url: &str, more: Value) {
        let mut given = more;
        given["url"] = url.into();
        self.command("open", given);
    }

    /// Waits until an element is seen that has this text; all of its text.
    #[track_caller]
    pub fn until(&mut self, selector: &str, has: &str) -> String {
        self.command("until", json!({ "selector": selector, "has": has })).as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn hidden(&mut self, selector: &str) {
        self.command("hidden", json!({ "selector": selector }));
    }

    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        self.command("click", json!({ "selector": selector }));
    }

    #[track_caller]
    pub fn press(&mut self, key: &str) {
        self.command("press", json!({ "key": key }));
    }

    #[track_caller]
    pub fn evaluate(&mut self, script: &str) -> Value {
        self.command("evaluate", json!({ "script": script }))
    }

    #[track_caller]
    pub fn reload(&mut self) {
        self.command("reload", json!({}));
    }

    #[track_caller]
    pub fn offline(&mut self, offline: bool) {
        self.command("offline", json!({ "offline": offline }));
    }

    #[track_caller]
    pub fn permit(&mut self, permission: &str) {
        self.command("permit", json!({ "permission": permission }));
    }

    #[track_caller]
    pub fn forward(&mut self, seconds: u32) {
        self.command("forward", json!({ "seconds": seconds }));
    }

    #[track_caller]
    pub fn picture(&mut self, path: &str) {
        self.command("picture", json!({ "path": path }));
    }

    /// What the page has said on the console, and whom it has asked, since it was opened.
    #[track_caller]
    pub fn seen(&mut self) -> (Vec<String>, Vec<String>) {
        let seen = self.command("seen", json!({}));
        let list = |name: &str| serde_json::from_value(seen[name].clone()).unwrap();
        (list("console"), list("requests"))
    }

    /// Nothing about the page hinders anybody from reading it, or is wider than the screen.
    #[track_caller]
    pub fn accessible(&mut self) {
        let found = self.command("axe", json!({}));
        assert_eq!(found, json!([]), "{found:#}");
        let wide = self.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");
        assert_eq!(wide, false, "wider than the screen");
    }
}
