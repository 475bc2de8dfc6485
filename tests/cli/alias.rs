//! Aliases: `@weekly` for whatever the configuration says, and what a shell makes of them.

use std::collections::BTreeSet;

use nostr_sdk::Keys;

use crate::support::nest::{Nest, mock};
use crate::support::nostr_client::{Relay, event, naddr};
use crate::support::shell::offered;

const CONFIG: &str = ".config/nest/config.toml";

#[test]
fn an_alias_stands_for_any_name_of_a_nest() {
    let mock = mock(&[]);
    let url = format!("{}/api/v1/nests/demo", mock.api());
    let own = event(mock.host(), "demo", 5, &[&["title", "Demo"], &["status", "live"], &["service", &mock.api()]]);
    let relay = Relay::with(vec![own.clone()]);
    let link = format!("https://nests.example/{}", naddr(&own, &[&relay.url]));
    let config =
        format!("[alias]\nweekly = '{url}'\nlink = '{link}'\nbare = 'demo'\n[profile.other.alias]\nweekly = 'gone'\n");
    let with = |args: &[&str]| Nest::new(&mock).without("NEST_API").file(CONFIG, &config, 0o600).args(args);
    // The same room by three names is one room.
    let output = with(&["restart", "@weekly", "--json"]).run().expect(0);
    assert_eq!(output.document()["roomId"], "demo");
    with(&["restart", "@link"]).run().expect(0);
    let all = with(&["restart", "@weekly", "@bare", "demo", "--json"]).env("NEST_API", mock.api()).run().expect(0);
    assert_eq!(all.documents().len(), 1);
    with(&["restart", "@weekly", "--profile", "other"]).env("NEST_API", mock.api()).run().expect(6);

    let unknown = with(&["restart", "@monthly"]).run().expect(2);
    assert!(unknown.stderr.contains("@bare @link @weekly"), "{}", unknown.stderr);
    let none = Nest::new(&mock).args(["restart", "@weekly"]).run().expect(2);
    assert!(none.stderr.contains("[alias]"), "{}", none.stderr);
    let wrong =
        Nest::new(&mock).file(CONFIG, "alias.old = 'naddr1qqqq'", 0o600).args(["restart", "@old"]).run().expect(2);
    assert!(wrong.stderr.contains("@old stands for"), "{}", wrong.stderr);

    assert_eq!(with(&["list", "--aliases"]).run().expect(0).stdout, "@bare\n@link\n@weekly\n");
    let json = with(&["list", "--aliases", "--json"]).run().expect(0).document();
    assert_eq!(json["aliases"][2], "@weekly");
    assert_eq!(Nest::alone().args(["list", "--aliases"]).run().expect(0).stdout, "");
}

/// A relay of one's own, which nothing but the nest's address names: lists and sweeps look there as well.
#[test]
fn the_relays_in_its_address_have_the_hosts_other_nests() {
    let mock = mock(&[]);
    let open = |id| event(mock.host(), id, 5, &[&["title", id], &["status", "live"], &["service", &mock.api()]]);
    let (own, usual) = (Relay::with(vec![open("demo")]), Relay::with(vec![open("usual")]));
    let config = |nest: &str| format!("relays = ['{}']\n[alias]\nweekly = '{nest}'\n", usual.url);
    let mine = config(&naddr(&open("demo"), &[&own.url]));
    let theirs = config(&naddr(&event(&Keys::generate(), "demo", 5, &[]), &[&own.url]));
    let list = |config: &str| {
        let nest = Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", "").file(CONFIG, config, 0o600);
        let rows = nest.args(["list", "--json"]).run().expect(0).documents();
        rows.iter().map(|row| row["roomId"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(list(&mine), ["demo", "usual"].map(str::to_owned).into());
    assert_eq!(list(&theirs), ["usual".to_owned()].into(), "a relay of somebody else's nest is nobody else's");
    let sweep = Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", "").file(CONFIG, &mine, 0o600);
    let swept = sweep.args(["restart", "--all-inactive", "--json"]).run().documents();
    assert!(swept.iter().any(|document| document["roomId"] == "demo" && document["proof"] == "fresh"), "{swept:#?}");
    // What the list shows has the same name for all commands, and an address that has grown old is no reason to warn.
    let old = config(&naddr(&open("demo"), &["ws://127.0.0.1:1", &own.url]));
    for args in [&["status", "demo"][..], &["restart", "demo"], &["list", "-q"]] {
        let nest = Nest::new(&mock).without("NEST_API").env("NEST_RELAYS", "").file(CONFIG, &old, 0o600);
        let output = nest.args(args).run();
        assert!(output.code == 0 || args[0] == "status" && output.code == 10, "{args:?}: {output:?}");
        assert!(!output.stderr.contains("127.0.0.1:1:"), "{args:?}: {output:?}");
    }
    let given = Nest::new(&mock).env("NEST_RELAYS", &usual.url).file(CONFIG, &mine, 0o600);
    assert_eq!(
        given.args(["list", "--json"]).run().expect(0).documents().len(),
        1,
        "those that are named, and no others"
    );
}

#[test]
fn bash_completes_aliases_whether_it_breaks_words_at_them_or_not() {
    let lines = |replaced: &str, words: &str, before: &str| {
        let line = format!("nest restart --check @{}", replaced.trim_start_matches('@'));
        let script = format!(
            "{before}; source ./nest.bash; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({words}); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _nest nest '{replaced}' x; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        offered("bash", &["--norc", "-c"], &script).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let breaks = r#"COMP_WORDBREAKS=$' \t\n"@><=;|&(:'"#;
    assert_eq!(lines("week", "nest restart --check @ week", breaks), ["weekend", "weekly"]);
    // What bash does at a terminal: it breaks the word, and has all of it replaced.
    assert_eq!(lines("@week", "nest restart --check @ week", breaks), ["@weekend", "@weekly"]);
    let whole = lines("@week", "nest restart --check @week", "COMP_WORDBREAKS=' '");
    assert_eq!(whole, ["@weekend", "@weekly"]);
    // Titles tell one short name from the other, and are not inserted.
    let titled = lines("@k3", "nest restart --check @k3", "COMP_WORDBREAKS=' '");
    assert_eq!(titled, ["@k3f9  (Tea & talk)", "@k3g2  (Tea \"late\")"]);
    assert_eq!(lines("@k3", "nest restart --check @k3", "COMP_WORDBREAKS=' '; COMP_TYPE=37"), ["@k3f9", "@k3g2"]);
    assert_eq!(lines("@k3f", "nest restart --check @ k3f", breaks), ["@k3f9"]);
}

#[test]
fn bash_completes_what_only_this_machine_knows() {
    let ask = |words: &str, before: &str, typed: &str| {
        let script = format!(
            "source ./nest.bash; COMP_LINE='nest {typed}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDS=({words} '{typed}'); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _nest nest '{typed}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        offered("bash", &["--norc", "-c"], &script).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ask("nest list --profile", "--profile", ""), ["home", "work"]);
    assert_eq!(ask("nest mock --fault", "--fault", "old-r"), ["old-room-kept"]);
    assert!(ask("nest key default", "default", "")[0].starts_with("npub1"));
    assert_eq!(ask("nest key export", "export", "--pl"), ["--plain"]);
    // Commands come before flags.
    let all = ask("nest", "nest", "");
    let first_flag = all.iter().position(|word| word.starts_with('-')).unwrap();
    assert!(all[..first_flag].contains(&"man".into()) && !all[first_flag..].contains(&"init".into()), "{all:?}");
}
