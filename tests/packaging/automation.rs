//! The unit files, and every line of docs/automation.md that somebody may paste, are run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nostr_nests::server::{DEMO, Mock, Options};

use crate::support::current::root;
use crate::support::page::{blocks, silent};

const NEST: &str = env!("CARGO_BIN_EXE_nest");
const RESTART: &str = "/api/v1/nests/demo/restart";

fn mock() -> Mock {
    Mock::start(Options::default()).unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap()
}

fn key_file(path: &Path, mock: &Mock) {
    fs::write(path, mock.host().secret_key().to_secret_hex()).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The values of one setting of a unit file.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

#[test]
fn the_service_does_what_it_says() {
    let mock = mock();
    let folder = tempfile::tempdir().unwrap();
    let unit = read("packaging/systemd/nest-restart@.service");
    let (name, _) = settings(&unit, "LoadCredential")[0].split_once(':').unwrap();
    key_file(&folder.path().join(name), &mock);
    for _ in 0..2 {
        let line = settings(&unit, "ExecStart")[0].replace("%i", DEMO);
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some("/usr/local/bin/nest"));
        let mut command = Command::new(NEST);
        command.args(words).env_clear().env("HOME", "/").env("CREDENTIALS_DIRECTORY", folder.path());
        for setting in settings(&unit, "Environment") {
            let (name, value) = setting.split_once('=').unwrap();
            command.env(name, value.replace("%S", folder.path().to_str().unwrap()));
        }
        silent(&command.env("NEST_API", mock.api()).output().unwrap());
    }
    assert!(mock.room(DEMO).is_some());
    assert_eq!(mock.requests(RESTART), 1, "a nest that runs is left alone");
    assert!(folder.path().join(settings(&unit, "StateDirectory")[0]).is_dir(), "the locks are in the state directory");
}

/// The shell that cron would start, with the environment that cron would give it.
fn cron(table: &str, home: &Path, mock: &Mock) -> Vec<Output> {
    let folder = Path::new(NEST).parent().unwrap().to_str().unwrap();
    let mut environment = vec![("HOME", home.to_str().unwrap().to_owned()), ("SHELL", "/bin/sh".to_owned())];
    let mut ran = Vec::new();
    for line in table.lines().filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once('=').filter(|(name, _)| !name.contains(' ')) {
            let value = match name {
                "PATH" => value.replace("/usr/local/bin", folder),
                "NEST_API" => mock.api(),
                _ => value.to_owned(),
            };
            environment.push((name, value));
            continue;
        }
        let command = line.splitn(6, ' ').nth(5).unwrap().replace("ROOM", DEMO);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &command]).env_clear().envs(environment.clone()).stdin(Stdio::null());
        ran.push(shell.output().unwrap());
    }
    ran
}

#[test]
fn the_crontab_is_silent_until_something_fails() {
    let mock = mock();
    let home = tempfile::tempdir().unwrap();
    // What the line above it in the page does.
    fs::create_dir_all(home.path().join(".config/nest")).unwrap();
    fs::write(home.path().join(".config/nest/config.toml"), "key-file = \"host.key\"\n").unwrap();
    key_file(&home.path().join(".config/nest/host.key"), &mock);
    let page = read("docs/automation.md");
    let table = blocks(&page, "crontab")[0];
    for output in [cron(table, home.path(), &mock), cron(table, home.path(), &mock)].iter().flatten() {
        silent(output);
    }
    assert_eq!(mock.requests(RESTART), 1);

    mock.forget(DEMO);
    mock.set_faults(vec!["lost-record".parse().unwrap(), "livekit-down".parse().unwrap()]);
    let [output] = cron(table, home.path(), &mock).try_into().unwrap();
    let mail = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(6), 0), "{mail}");
    assert!(mail.starts_with("error: ") && mail.contains("; hint: "), "{mail}");
    assert_eq!(mail.lines().count(), 1, "{mail}");
}

#[test]
fn nothing_of_the_environment_is_needed() {
    let mock = mock();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    key_file(&key, &mock);
    let args = ["restart", DEMO, "--quiet", "--api", &mock.api(), "--key-file", key.to_str().unwrap()];
    // Not without HOME: the locks would be in the home of whoever runs the tests.
    silent(
        &Command::new(NEST).args(args).env_clear().env("HOME", folder.path()).stdin(Stdio::null()).output().unwrap(),
    );
}
