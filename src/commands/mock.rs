//! `nest mock`: the bundled server on loopback, alone or around a command.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitStatus;

use nostr::ToBech32 as _;
use tokio::process::Child;

use super::stop::{Signal, Stop};
use crate::server::media::LivekitConfig;
use crate::server::{Fault, Mock, Options};

/// The variables that the command does not get to see: nothing leads it away from the mock.
const REMOVED: &str = "NEST_KEY_FILE NEST_BUNKER NEST_CONFIG NEST_PROFILE HTTP_PROXY http_proxy HTTPS_PROXY https_proxy ALL_PROXY \
                       all_proxy NO_PROXY no_proxy";

#[derive(Clone)]
pub(crate) struct MockRequest {
    pub(crate) listen: SocketAddr,
    pub(crate) faults: Vec<Fault>,
    /// A real LiveKit server in place of the embedded one.
    pub(crate) livekit: Option<LivekitConfig>,
    /// Whether nests have a page.
    pub(crate) page: bool,
    /// What to run against the server; empty: serve until interrupted.
    pub(crate) command: Vec<OsString>,
}

/// Where commands are found.
#[derive(Clone, Debug, Default)]
pub(crate) struct SearchPath {
    /// The folder of this very binary, which comes first.
    pub(crate) own: Option<PathBuf>,
    /// `PATH` as it is.
    pub(crate) path: OsString,
}

/// Why the mock or its command did not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MockError {
    #[error("{0} is not on loopback, and the mock serves nobody else")]
    NotLoopback(SocketAddr),
    /// The port is taken, most likely.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// A bad LiveKit URL, most likely.
    #[error("the mock does not start")]
    Start(#[source] io::Error),
    /// Not found, or not executable.
    #[error("cannot run {program}")]
    Command { program: String, source: io::Error },
}

/// The environment that leads to the mock. Holds its throwaway key.
fn environment(mock: &Mock) -> [(&'static str, String); 3] {
    let Ok(nsec) = mock.host().secret_key().to_bech32();
    [("NEST_API", mock.api()), ("NEST_KEY", nsec), ("NEST_RELAYS", mock.relay())]
}

/// The same, to paste into a shell.
pub(crate) fn exports(mock: &Mock) -> String {
    let set = environment(mock).map(|(name, value)| format!("{name}='{value}'"));
    format!("export {}\nunset {REMOVED}", set.join(" "))
}

/// Serves until interrupted, or until the command has ended; its exit code then (128 + n when signal n ended it).
///
/// `announce` is told what is served before anything is run.
pub(crate) async fn run(
    request: MockRequest,
    search: &SearchPath,
    announce: impl FnOnce(&Mock),
    stop: &Stop,
) -> Result<u8, MockError> {
    let MockRequest { listen, faults, livekit, page, command } = request;
    if !listen.ip().to_canonical().is_loopback() {
        return Err(MockError::NotLoopback(listen));
    }
    let listener = TcpListener::bind(listen).map_err(|e| MockError::Listen(listen, e))?;
    let mock = Mock::on(listener, Options { faults, livekit, page, moq: true, ..Options::default() })
        .map_err(MockError::Start)?;
    announce(&mock);
    let Some((program, arguments)) = command.split_first() else {
        stop.requested().await;
        return Ok(0);
    };
    let failed = |source| MockError::Command { program: program.to_string_lossy().into_owned(), source };
    let command = around(program, arguments, search, &mock);
    let mut child = tokio::process::Command::from(command).spawn().map_err(failed)?;
    wait(&mut child, stop.clone()).await.map(exit_code).map_err(failed)
}

/// The command as it will be run.
fn around(program: &OsString, arguments: &[OsString], search: &SearchPath, mock: &Mock) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.args(arguments).envs(environment(mock));
    for name in REMOVED.split(' ') {
        command.env_remove(name);
    }
    let folders = search.own.iter().cloned().chain(std::env::split_paths(&search.path));
    // A folder with a colon in its name cannot be on a path: then things stay as they are.
    if let Ok(path) = std::env::join_paths(folders) {
        command.env("PATH", path);
    }
    command
}

/// Ctrl-C has reached the command as well, and what it does about it is its own business; SIGTERM is passed on.
async fn wait(child: &mut Child, mut stop: Stop) -> io::Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status,
            signal = stop.next() => if signal == Signal::Terminate { terminate(child)?; },
        }
    }
}

#[cfg(unix)]
fn terminate(child: &mut Child) -> io::Result<()> {
    use rustix::process::{Pid, kill_process};
    match child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
        Some(pid) => Ok(kill_process(pid, rustix::process::Signal::TERM)?),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
fn terminate(child: &mut Child) -> io::Result<()> {
    child.start_kill()
}

fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    // Windows has codes that do not fit.
    status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))
}

#[cfg(all(test, unix))]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// A free port, no faults.
    fn request(command: Vec<OsString>) -> MockRequest {
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        MockRequest { listen, faults: Vec::new(), livekit: None, page: true, command }
    }

    fn shell(script: &str) -> MockRequest {
        request(["sh", "-c", script].map(Into::into).to_vec())
    }

    fn usual() -> SearchPath {
        SearchPath { own: None, path: "/usr/bin:/bin".into() }
    }

    async fn code(script: &str) -> Option<u8> {
        run(shell(script), &usual(), |_| {}, &Stop::never()).await.ok()
    }

    #[tokio::test]
    async fn the_exit_code_is_that_of_the_command() {
        assert_eq!(code("exit 0").await, Some(0));
        assert_eq!(code("exit 7").await, Some(7));
        assert_eq!(code("kill -TERM $$").await, Some(143));
        let nothing = request(vec!["no-such-program".into()]);
        let error = run(nothing, &usual(), |_| {}, &Stop::never()).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot run no-such-program");
    }

    #[tokio::test]
    async fn the_command_finds_the_mock_and_this_binary_first() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/sh", folder.path().join("nest")).unwrap();
        let out = folder.path().join("out");
        let script = "printf '%s %s %s' \"$NEST_API\" \"$NEST_KEY\" \"$NEST_RELAYS\" > \"$0\"";
        let command = vec!["nest".into(), "-c".into(), script.into(), out.clone().into()];
        let search = SearchPath { own: Some(folder.path().into()), ..usual() };
        let mut expected = String::new();
        let announce = |mock: &Mock| expected = environment(mock).map(|(_, value)| value).join(" ");
        assert_eq!(run(request(command), &search, announce, &Stop::never()).await.unwrap(), 0);
        assert_eq!(std::fs::read_to_string(out).unwrap(), expected);
        assert!(expected.contains("http://127.0.0.1:") && expected.contains("nsec1"), "{expected}");
    }

    #[test]
    fn nothing_leads_the_command_away() {
        let mock = Mock::start(Options::default()).unwrap();
        let command = around(&"x".into(), &[], &usual(), &mock);
        for name in REMOVED.split(' ') {
            assert!(command.get_envs().any(|(key, value)| key == name && value.is_none()), "{name}");
        }
    }

    #[tokio::test]
    async fn interrupts_reach_a_command_once() {
        let (sender, stop) = Stop::channel();
        sender.send(Some(Signal::Interrupt)).unwrap();
        // The terminal would have sent Ctrl-C to the command too: here it must live on, until it is terminated.
        let script = "trap 'exit 9' TERM; echo >\"$0\"; while :; do sleep 0.01; done";
        let started = tempfile::NamedTempFile::new().unwrap();
        let mut request = shell(script);
        request.command.push(started.path().into());
        let path = started.path().to_owned();
        tokio::spawn(async move {
            while std::fs::metadata(&path).unwrap().len() == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            sender.send(Some(Signal::Terminate)).unwrap();
            sender.closed().await;
        });
        assert_eq!(run(request, &usual(), |_| {}, &stop).await.unwrap(), 9);
    }

    #[tokio::test]
    async fn without_a_command_it_serves_until_interrupted() {
        let (sender, stop) = Stop::channel();
        let mut api = String::new();
        let announce = |mock: &Mock| {
            api = mock.api();
            let exports = exports(mock);
            assert!(exports.starts_with(&format!("export NEST_API='{api}' NEST_KEY='nsec1")), "{exports}");
            let address = api.trim_start_matches("http://");
            std::net::TcpStream::connect(address).unwrap();
            sender.send(Some(Signal::Interrupt)).unwrap();
        };
        assert_eq!(run(request(Vec::new()), &usual(), announce, &stop).await.unwrap(), 0);
        // A test beside this one may have the port for a moment: by the luck of the draw, or while it starts a program.
        let (since, limit) = (std::time::Instant::now(), std::time::Duration::from_secs(10));
        while std::net::TcpStream::connect(api.trim_start_matches("http://")).is_ok() {
            assert!(since.elapsed() < limit, "still there");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn it_serves_nobody_else() {
        let request = MockRequest { listen: "0.0.0.0:0".parse().unwrap(), ..request(Vec::new()) };
        let error = run(request, &usual(), |_| {}, &Stop::never()).await.unwrap_err();
        assert!(matches!(error, MockError::NotLoopback(_)));
    }
}
