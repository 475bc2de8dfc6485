//! What `packaging/` has for `nest serve` is what the program reads, and proxies set up like this let restarts through.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::current::root;
use crate::support::nest::Nest;
use crate::support::process;
use crate::support::serve::SECRET;

const NEST: &str = env!("CARGO_BIN_EXE_nest");
const CONTAINER: &str = "packaging/container/Containerfile";

fn read(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap()
}

/// The folder where systemd, or a container's runtime, puts secrets.
fn secrets() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("livekit-secret"), SECRET).unwrap();
    folder
}

/// Starts it, sees that it listens, and ends it: what is behind it may come later.
fn starts(mut command: Command) {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    process::signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // On a line of its own, or in a JSON document.
    assert!(line.contains("listening on "), "{line}");
}

fn flags_of_serve() -> String {
    Nest::alone().args(["serve", "--help"]).run().expect(0).stdout
}

#[test]
fn the_unit_starts_with_the_example_of_a_configuration() {
    let (folder, secrets) = (tempfile::tempdir().unwrap(), secrets());
    let config = folder.path().join("serve.toml");
    fs::write(&config, read("packaging/serve.toml").replace(":5544", ":0")).unwrap();
    let unit = read("packaging/systemd/nest-serve.service");
    assert!(unit.contains("\nLoadCredential=livekit-secret:"), "{unit}");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/nest ")).unwrap();
    let words = line.replace("/etc/nest/serve.toml", config.to_str().unwrap());
    let mut command = Command::new(NEST);
    command.args(words.split(' ')).env_clear().env("HOME", "/").env("CREDENTIALS_DIRECTORY", secrets.path());
    starts(command);

    // Everything that can be set is in the example, and what is commented out is understood as well.
    let all = read("packaging/serve.toml").replace("\n# livekit-", "\nlivekit-").replace("\n# redis-", "\nredis-");
    let keys: Vec<_> = all.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect();
    let help = flags_of_serve();
    let flags =
        help.lines().filter_map(|line| line.trim().strip_prefix("--")).map(|flag| flag.split(' ').next().unwrap());
    let missing: Vec<_> = flags.take_while(|flag| *flag != "output").filter(|flag| !keys.contains(flag)).collect();
    assert_eq!(missing, ["allow-internal-endpoint"], "which nobody should need");
    let output = Nest::alone()
        .file("serve.toml", &all.replace("redis://127.0.0.1", "nonsense"), 0o644)
        .file("livekit-secret", SECRET, 0o600)
        .file("redis-password", "hunter2", 0o600)
        .args(["serve", "--config", "serve.toml"]);
    let stderr = output.run().expect(2).stderr;
    assert!(stderr.contains("no redis:// or unix:// URL") && !stderr.contains("hunter2"), "{stderr}");
}

/// A browser takes no answer with two `Access-Control-Allow-Origin`, and `nest serve` puts in one.
#[test]
fn proxies_leave_cors_to_nest_serve() {
    for path in ["packaging/proxy/nginx.conf", "packaging/proxy/Caddyfile"] {
        let text = read(path);
        assert!(text.contains("127.0.0.1:5544"), "{path}");
        for word in ["access-control-", "options", "add_header", "limit_except", "header "] {
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("proxy_set_header"));
            assert!(lines.clone().all(|line| !line.to_lowercase().contains(word)), "{word} in {path}");
        }
    }
}

/// The instructions of the container file: name and rest.
fn instructions(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect()
}

#[test]
fn the_container_starts_with_the_example_of_an_environment() {
    let (text, secrets) = (read(CONTAINER), secrets());
    let all = instructions(&text);
    let only = |name: &str| all.iter().rev().find(|(is, _)| *is == name).unwrap().1;
    let entry: Vec<String> = serde_json::from_str(only("ENTRYPOINT")).unwrap();
    let mut command = Command::new(NEST);
    command.args(&entry[1..]).env_clear();
    let example = read("packaging/container/serve.env");
    let given = example.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('=').unwrap());
    let built_in = all.iter().filter(|(name, _)| *name == "ENV").map(|(_, pair)| pair.split_once('=').unwrap());
    let help = flags_of_serve();
    for (name, value) in built_in.chain(given) {
        if let Some(flag) = name.strip_prefix("NEST_SERVE_") {
            let flag = format!("      --{} ", flag.replace('_', "-").to_lowercase());
            assert!(help.contains(&flag), "{name} is no setting");
        }
        let value = value.replace("/run/secrets", secrets.path().to_str().unwrap());
        command.env(name, value.replace(&format!(":{}", only("EXPOSE")), ":0"));
    }
    starts(command);
}

/// There may be no engine that could build it; this is what can be wrong about it besides the names of the images.
#[test]
fn the_container_is_built_from_what_is_there() {
    let text = read(CONTAINER);
    let context = tempfile::tempdir().unwrap();
    for (_, copy) in instructions(&text).iter().filter(|(name, rest)| *name == "COPY" && !rest.starts_with("--from")) {
        let (sources, _) = copy.rsplit_once(' ').unwrap();
        for source in sources.split(' ') {
            let copied = Command::new("cp").arg("-R").arg(root(source)).arg(context.path()).status().unwrap();
            assert!(copied.success(), "COPY {copy}");
        }
    }
    // Cargo finds a package in it, with every file that it names.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--format-version=1", "--offline", "--locked"]).current_dir(context.path());
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for target in metadata["packages"][0]["targets"].as_array().unwrap() {
        assert!(Path::new(target["src_path"].as_str().unwrap()).is_file(), "{target}");
    }
    // What is built is what is copied, and runs on nothing but what the image has: glibc and libgcc.
    assert!(text.contains("--profile dist --bin nest\n") && text.contains("/src/target/dist/nest "));
    assert!(read("Cargo.toml").contains("\n[profile.dist]\n"));
    let libraries = Command::new("ldd").arg(NEST).output().unwrap();
    for library in String::from_utf8(libraries.stdout).unwrap().lines() {
        let name = library.trim().rsplit('/').next().unwrap().split(' ').next().unwrap();
        let there = ["linux-vdso.so", "libgcc_s.so", "libm.so", "libc.so", "ld-linux"];
        assert!(there.iter().any(|known| name.starts_with(known)), "{library}");
    }
}

/// What the page says about settings is what there is.
#[test]
fn the_page_names_settings_and_files_that_exist() {
    let (page, help) = (read("docs/serve.md"), flags_of_serve());
    let commands = page.split("nest serve --").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let quoted = page.split('`').filter(|text| text.starts_with("--") && text.contains(char::is_alphanumeric));
    let flags = commands.flat_map(|rest| format!("--{rest}").split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let flags: Vec<_> = flags.chain(quoted.map(str::to_owned)).filter(|word| word.starts_with("--")).collect();
    assert!(flags.len() > 15, "{flags:?}");
    for flag in &flags {
        let flag = flag.split(' ').next().unwrap();
        assert!(help.lines().any(|line| line.trim().split(' ').next() == Some(flag)), "{flag}");
    }
    for link in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(link.starts_with("https://") || root("docs").join(link).exists(), "{link}");
    }
}

/// A panic in one request ends that request alone, which the front's own test shows; in the program that is shipped, too.
#[test]
fn what_is_shipped_survives_a_panic() {
    let manifest: toml_edit::DocumentMut = read("Cargo.toml").parse().unwrap();
    assert_eq!(manifest["profile"]["dist"]["panic"].as_str(), Some("unwind"));
}
