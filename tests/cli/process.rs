//! The process among others: signals, pipes that close, disks that are full, homes that are not there.

use std::fs::OpenOptions;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use nostr_nests::server::Mock;
use rustix::io::{ioctl_fionbio, ioctl_fionread};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::nest::{Nest, at_once, mock, parse};
use crate::support::process::catches;

const RESTART: &str = "/api/v1/nests/demo/restart";

/// Starts it, with both outputs in pipes.
fn start(nest: Nest) -> (Child, tempfile::TempDir) {
    let (mut command, home) = nest.into_parts();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    (child, home)
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().try_into().unwrap()).unwrap(), signal).unwrap();
}

fn wait_until(reached: impl Fn() -> bool) {
    while !reached() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What is said up to and with `words`.
fn read_until(stderr: &mut ChildStderr, words: &str) -> String {
    let mut said = String::new();
    while !said.contains(words) {
        let mut byte = [0];
        stderr.read_exact(&mut byte).unwrap();
        said.push(char::from(byte[0]));
    }
    said
}

/// Interrupts a restart that has come so far, and returns what it said.
fn interrupt(mock: &Mock, signal: Signal, reached: impl Fn() -> bool, args: &[&str]) -> (i32, String, String) {
    let (child, _home) = start(Nest::new(mock).args(["restart", "demo", "--timeout", "20s"]).args(args));
    wait_until(reached);
    send(&child, signal);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn interrupted_before_anything_was_sent() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mock = mock(&["no-answer@guest"]);
        let asked = || mock.requests("/api/v1/nests/demo/guest") > 0;
        let (status, stdout, stderr) = interrupt(&mock, signal, asked, &["--if-inactive", "--json"]);
        assert_eq!((status, stderr.as_str()), (code, "error: interrupted; nothing was sent\n"));
        assert!(stdout.contains("\"kind\": \"interrupted\""), "{stdout}");
        assert_eq!(mock.requests(RESTART), 0);
    }
}

#[test]
fn interrupted_while_the_restart_is_out() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mock = mock(&["no-answer"]);
        let (status, stdout, stderr) = interrupt(&mock, signal, || mock.room("demo").is_some(), &[]);
        assert_eq!(
            (status, stderr.as_str(), stdout.as_str()),
            (
                code,
                "error: interrupted after the restart was sent: the nest may have restarted
  hint: restart it only if it is still dead: `nest restart demo --if-inactive`\n",
                ""
            )
        );
        assert!(mock.room("demo").is_some(), "so it has");
    }
}

#[test]
fn interrupted_in_the_queue() {
    let mock = mock(&["no-answer"]);
    let state = tempfile::tempdir().unwrap();
    let call =
        || Nest::new(&mock).env("XDG_STATE_HOME", state.path()).args(["restart", "demo", "--timeout", "20s", "-vv"]);
    let (mut first, _home) = start(call());
    wait_until(|| mock.requests(RESTART) > 0);
    let (mut second, _home) = start(call());
    let mut stderr = second.stderr.take().unwrap();
    let mut said = read_until(&mut stderr, "waiting for another restart of this nest");
    send(&second, Signal::TERM);
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(143));
    assert!(said.ends_with("error: interrupted; nothing was sent\n"), "{said}");
    assert_eq!(mock.requests(RESTART), 1);
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn interrupted_after_a_refusal() {
    let mock = mock(&["status=429,30s"]);
    let (mut child, _home) = start(Nest::new(&mock).args(["restart", "demo", "-v"]));
    let mut stderr = child.stderr.take().unwrap();
    let mut said = read_until(&mut stderr, "next attempt in");
    send(&child, Signal::TERM);
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(said.ends_with("error: interrupted before the next attempt; not restarted\n"), "{said}");
}

#[test]
fn interrupted_in_the_check() {
    let mock = mock(&[]);
    let joining = || mock.requests("/rtc") > 0;
    let (status, stdout, stderr) = interrupt(&mock, Signal::INT, joining, &["--check", "--hold", "50s", "--json"]);
    assert_eq!(
        (status, stderr.as_str()),
        (130, "error: interrupted; the nest was restarted, and the check was not finished\n")
    );
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert!(document["token"].is_string(), "the token is never lost");
    assert_eq!(document["error"]["kind"], "interrupted");
}

#[test]
fn interrupted_at_any_moment() {
    let start = |mock: &Mock| start(Nest::new(mock).args(["restart", "demo", "--check", "--json"]));
    let faults = ["redis-hang=50ms@restart"];
    // Side by side, so that the rounds are as slow as the run that is measured.
    at_once(&[Signal::INT, Signal::TERM, Signal::INT, Signal::TERM], |&signal| {
        let (whole, since) = (mock(&faults), Instant::now());
        assert!(start(&whole).0.wait_with_output().unwrap().status.success());
        let length = since.elapsed();
        for _ in 0..10 {
            let mock = mock(&faults);
            let (child, _home) = start(&mock);
            let moment = length.mul_f64(random());
            std::thread::sleep(moment); // Any moment will do.
            send(&child, signal);
            let output = child.wait_with_output().unwrap();
            let context = format!("{signal:?} after {moment:?} of {length:?}: {output:?}");
            let stderr = String::from_utf8(output.stderr).unwrap();
            let (code, sent) = (output.status.code(), mock.requests(RESTART));
            assert!(!stderr.contains("not restarted"), "{context}");
            match code {
                // Before it listens for signals the system ends it, as it does any program.
                None => assert_eq!((output.status.signal(), sent), (Some(signal.as_raw()), 0), "{context}"),
                Some(0) => assert_eq!(sent, 2, "{context}"),
                Some(code) => {
                    assert_eq!(code, 128 + signal.as_raw(), "{context}");
                    let known = ["may have restarted", "the nest was restarted"].iter().any(|it| stderr.contains(it));
                    assert!(known || sent == 0 && stderr.contains("nothing was sent"), "{context}");
                }
            }
        }
    });
}

/// In `0.0..1.0`.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap()) / (f64::from(u32::MAX) + 1.0)
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    for (fault, code) in [("clock=+0s", 0), ("status=404", 6)] {
        let mock = mock(&[fault]);
        let (mut command, _home) = Nest::new(&mock).args(["restart", "demo", "--json", "--retries", "0"]).into_parts();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("pipe") && stderr.is_empty() == (code == 0), "{stderr}");
    }
    let (mut command, _home) = Nest::alone().args(["restart", "--help"]).into_parts();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(command.stdout(writer).status().unwrap().code(), Some(0));
}

/// A pipe that takes nothing more.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'x'; 512]).is_ok() {}
    ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

/// How it ends within a time in which it would have ended, if it ever does.
fn end(mut child: Child) -> (Option<i32>, String) {
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("it is deaf to signals");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut said = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut said).unwrap();
    }
    (child.wait().unwrap().code(), said)
}

#[test]
fn a_reader_that_never_reads_does_not_make_it_deaf() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        // The work is done, and its result cannot be delivered.
        let mock = mock(&[]);
        let (reader, writer) = full_pipe();
        let (mut command, _home) = Nest::new(&mock).args(["restart", "demo", "--json"]).into_parts();
        let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        wait_until(|| mock.room("demo").is_some());
        send(&child, signal);
        let (status, stderr) = end(child);
        assert_eq!(status, Some(code), "{stderr}");
        let restarted = stderr.contains("what was done is done") || stderr.contains("may have restarted");
        assert!(restarted && stderr.contains("interrupted, and nobody reads it"), "{stderr}");
        drop(reader);
        // The same with stderr: the work itself is stuck.
        let (reader, writer) = full_pipe();
        let (mut command, _home) = Nest::new(&mock).args(["restart", "demo", "-vv"]).into_parts();
        let child = command.stdout(Stdio::null()).stderr(writer).spawn().unwrap();
        wait_until(|| catches(&child, signal));
        std::thread::sleep(Duration::from_millis(200)); // It is stuck by then, as a rule.
        send(&child, signal);
        assert!(matches!(end(child).0, Some(ended) if ended == code || ended == 0));
        drop(reader);
    }
}

#[test]
fn a_pipe_that_fills_up_in_the_middle_of_many_nests() {
    let mock = mock(&[]);
    let (reader, writer) = std::io::pipe().unwrap();
    let rooms = (1..=600).map(|number| format!("room-{number}"));
    let (mut command, _home) = Nest::new(&mock).args(["restart", "--json", "-q"]).args(rooms).into_parts();
    let child = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    let (mut before, mut now) = (0, ioctl_fionread(&reader).unwrap());
    while now < 1 << 15 || now != before {
        std::thread::sleep(Duration::from_millis(50));
        (before, now) = (now, ioctl_fionread(&reader).unwrap());
    }
    send(&child, Signal::TERM);
    assert_eq!(end(child).0, Some(143));
}

#[test]
fn a_full_disk_is_told_and_what_was_done_is_done() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mock = mock(&[]);
    let (mut command, _home) = Nest::new(&mock).args(["restart", "demo", "--json"]).into_parts();
    let output = command.stdout(full()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: the result could not be written: No space left on device (os error 28)
  hint: what was done is done; only its result is missing here\n"
    );
    assert!(mock.room("demo").is_some());
    // A failure keeps its own code.
    mock.set_faults(parse(&["status=404"]));
    let (mut command, _home) = Nest::new(&mock).args(["restart", "demo", "--json"]).into_parts();
    assert_eq!(command.stdout(full()).stderr(Stdio::null()).status().unwrap().code(), Some(6));
    // Nobody can be told of a stderr that is full.
    let (mut command, _home) = Nest::new(&mock).args(["restart", "demo", "-vv"]).into_parts();
    assert_eq!(command.stdout(Stdio::null()).stderr(full()).status().unwrap().code(), Some(6));
}

#[test]
fn outputs_that_were_never_open() {
    let mock = mock(&[]);
    let (command, _home) = Nest::new(&mock).args(["restart", "demo"]).into_parts();
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", "exec \"$0\" restart demo 0<&- 1>&- 2>&-"]).arg(command.get_program());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    assert_eq!(shell.status().unwrap().code(), Some(0));
    assert_eq!(mock.requests(RESTART), 1);
}

#[test]
fn a_home_that_cannot_be_written_is_no_reason_to_leave_a_nest_dead() {
    let mock = mock(&[]);
    // Root can write nearly everywhere, but not here.
    let output = Nest::new(&mock).env("HOME", "/proc/self").args(["restart", "demo", "--check", "--json"]).run();
    let output = output.expect(0);
    let warning = &output.document()["warnings"][0];
    let text = warning.as_str().unwrap();
    assert!(text.starts_with("cannot lock /proc/self/.local/state/nest/rooms"), "{text}");
    assert!(text.ends_with("; going on without a lock"), "{text}");
    assert_eq!(output.stderr, format!("warning: {text}\n"));
}

#[test]
fn no_environment_and_no_home() {
    let mock = mock(&[]);
    let key = mock.host().secret_key().to_secret_hex();
    let (mut command, _home) = Nest::alone().without("HOME").into_parts();
    command.args(["restart", "demo", "--api", &mock.api(), "--key-file", "-"]).current_dir("/");
    if rustix::process::geteuid().is_root() {
        // Somebody whom /etc/passwd does not know has no home at all.
        command.uid(54_321);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), key.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_state_folder_in_a_strange_state() {
    let mock = mock(&[]);
    // A file where a folder should be, and a lock that is a folder.
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = Nest::new(&mock).env("XDG_STATE_HOME", file).args(["restart", "demo"]).run().expect(0);
    assert!(output.stderr.ends_with("; going on without a lock\n"), "{}", output.stderr);
    // What was remembered is nonsense.
    let state = home.path().join("state");
    let call = || Nest::new(&mock).env("XDG_STATE_HOME", &state).args(["restart", "demo", "--check"]);
    call().run().expect(0);
    for entry in std::fs::read_dir(state.join("nest/rooms")).unwrap() {
        std::fs::write(entry.unwrap().path(), [0xff_u8; 4096]).unwrap();
    }
    call().run().expect(0);
}

#[test]
fn what_is_remembered_is_its_users_alone() {
    let mock = mock(&[]);
    for umask in ["000", "002", "022", "077"] {
        let (nest, home) = Nest::new(&mock).args(["restart", "demo", "--check"]).into_parts();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]).arg(nest.get_program()).args(nest.get_args());
        let environment = nest.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let output = shell.env_clear().envs(environment).current_dir("/").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let modes = modes(&home.path().join(".local"));
        assert!(modes.len() > 4 && modes.iter().any(|(is_folder, _)| !is_folder), "{modes:?}");
        for (is_folder, mode) in modes {
            assert_eq!(mode, if is_folder { 0o700 } else { 0o600 }, "{mode:o} by umask {umask}");
        }
    }
}

/// Whether it is a folder, and its mode, for all that is there.
fn modes(path: &Path) -> Vec<(bool, u32)> {
    let about = std::fs::metadata(path).unwrap();
    let inside = about.is_dir().then(|| std::fs::read_dir(path).unwrap()).into_iter().flatten();
    let below = inside.flat_map(|entry| modes(&entry.unwrap().path()));
    [(about.is_dir(), about.mode() & 0o7777)].into_iter().chain(below).collect()
}

#[test]
fn a_lock_that_others_can_take_holds_nobody_up() {
    let mock = mock(&[]);
    let state = tempfile::tempdir().unwrap();
    let call = || Nest::new(&mock).env("XDG_STATE_HOME", state.path()).args(["restart", "demo", "--no-wait"]).run();
    call().expect(0);
    let rooms = state.path().join("nest/rooms");
    let lock = std::fs::read_dir(&rooms).unwrap().next().unwrap().unwrap().path();
    let lock = std::fs::File::open(lock).unwrap();
    lock.lock().unwrap();
    call().expect(1);
    std::fs::set_permissions(&rooms, std::fs::Permissions::from_mode(0o777)).unwrap();
    let said = call().expect(0).stderr;
    let why = format!("other users can write to {} (mode 0777); going on without a lock\n", rooms.display());
    assert!(said.starts_with("warning: cannot lock ") && said.ends_with(&why), "{said}");
}
