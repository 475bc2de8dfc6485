//! The JSON that the binary prints is what `schema/` says, nothing more and nothing less.

use jsonschema::Validator;
use nostr_nests::server::{Fault, Mock, Options};
use serde_json::{Value, json};

use crate::support::current;
use crate::support::nest::Nest;

fn schema(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(current::root(name)).unwrap()).unwrap()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

/// Readers must accept fields that come later; the writer must not print any that the schema does not know.
fn closed(mut schema: Value) -> Value {
    fn close(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.values_mut().for_each(close);
                if object.get("properties").is_some_and(Value::is_object) {
                    object.insert("additionalProperties".into(), false.into());
                }
            }
            Value::Array(values) => values.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut schema);
    schema
}

#[track_caller]
fn fits(validator: &Validator, document: &Value) {
    let errors: Vec<_> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}

fn mock(faults: &[&str]) -> Mock {
    let faults = faults.iter().map(|fault| fault.parse::<Fault>().unwrap()).collect();
    Mock::start(Options { faults, ..Options::default() }).unwrap()
}

#[test]
fn what_the_commands_about_nests_print_fits() {
    let mock = mock(&[]);
    let relay = mock.relay();
    let validator = |name: &str| validator(&closed(schema(name)));
    let (list, recreate, close) =
        (validator("schema/list.json"), validator("schema/recreate.json"), validator("schema/close.json"));
    let print =
        |args: &[&str]| Nest::new(&mock).env("NEST_RELAYS", &relay).args(args).args(["--json"]).run().document();
    fits(&list, &print(&["list"]));
    fits(&recreate, &print(&["recreate", "demo", "--yes"])); // Refused: it is still there.
    mock.forget("demo");
    fits(&recreate, &print(&["recreate", "demo", "--dry-run"]));
    let done = print(&["recreate", "demo", "--yes"]);
    assert_eq!(done["created"], true, "{done}");
    fits(&recreate, &done);
    fits(&close, &print(&["close", done["roomId"].as_str().unwrap()]));
    fits(&close, &print(&["close", "no-such-nest", "--api", "http://127.0.0.1:9"]));
}

#[test]
fn every_outcome_fits() {
    let restart = validator(&closed(schema("schema/restart.json")));
    let failure = validator(&closed(schema("schema/failure.json")));
    let check = validator(&closed(schema("schema/check.json")));
    let calls: [(&[&str], &[&str], i32); 10] = [
        (&[], &["demo"], 0),
        (&[], &["demo", "--check"], 0),
        (&[], &["demo", "--dry-run"], 0),
        (&[], &["demo", "--if-inactive"], 0),
        (&["lost-record"], &["demo"], 6),
        (&["status=500"], &["demo", "--retries=0"], 7),
        (&["rate-limit=0"], &["demo", "--retries=0"], 11),
        (&["wrong-secret"], &["demo", "--check"], 10),
        (&[], &["30311:x:y"], 2),
        (&[], &["demo", "--nonsense"], 2),
    ];
    for (faults, args, code) in calls {
        let mock = mock(faults);
        let output = Nest::new(&mock).args(["restart", "--json"]).args(args).run().expect(code);
        let document = output.document();
        fits(&restart, &document);
        assert_eq!(failure.is_valid(&document), document.get("token").is_none() && code != 0, "{document:#}");
        assert_eq!(document.get("error").is_some(), code != 0, "{document:#}");
        if let Some(report) = document.get("check") {
            fits(&check, report);
        }
    }
}

#[test]
fn a_running_nest_and_several_at_once_fit() {
    let restart = validator(&closed(schema("schema/restart.json")));
    let mock = mock(&[]);
    Nest::new(&mock).args(["restart", "demo", "-q"]).run().expect(0);
    let running = Nest::new(&mock).args(["restart", "demo", "--if-inactive", "--json"]).run().expect(0).document();
    fits(&restart, &running);
    assert_eq!(running["attempts"], 0);
    let several = Nest::new(&mock).args(["restart", "demo", "gone", "--json"]).run().expect(6).documents();
    assert_eq!(several.len(), 2);
    for document in &several {
        fits(&restart, document);
    }
}

#[test]
fn what_looks_fits_too() {
    let of = |name: &str| validator(&closed(schema(&format!("schema/{name}.json"))));
    let calls: [(&str, &[&str], &[&str], i32); 12] = [
        ("check", &[], &["demo"], 0),
        ("check", &["wrong-secret"], &["demo"], 10),
        ("check", &["livekit-down"], &["demo"], 6),
        ("check", &[], &[], 2),
        ("status", &[], &["demo"], 0),
        ("status", &["lost-record"], &["demo"], 0),
        ("status", &["status=500@guest"], &["demo"], 10),
        ("status", &["livekit-down"], &["demo"], 10),
        ("token", &[], &["demo"], 0),
        ("token", &["livekit-down"], &["demo"], 6),
        ("doctor", &[], &["demo"], 0),
        ("doctor", &["livekit-down"], &["demo"], 10),
    ];
    let mock = mock(&[]);
    Nest::new(&mock).args(["restart", "demo", "-q"]).run().expect(0);
    for (command, faults, args, code) in calls {
        mock.set_faults(faults.iter().map(|fault| fault.parse::<Fault>().unwrap()).collect());
        let nest = Nest::new(&mock).env("NEST_RELAYS", mock.relay());
        let document = nest.args([command, "--json"]).args(args).run().expect(code).document();
        fits(&of(command), &document);
        let failed = command != "doctor" && code != 0;
        assert_eq!(document.get("error").is_some(), failed, "{document:#}");
    }
}

#[test]
fn what_init_prints_fits() {
    let init = validator(&closed(schema("schema/init.json")));
    let mock = mock(&[]);
    for (args, code) in [(&[&*mock.api(), "--to-file"][..], 0), (&[&mock.api(), "--no-key"], 0), (&["--timer"], 2)] {
        let document =
            Nest::new(&mock).without("NEST_API").args(["init", "--json"]).args(args).run().expect(code).document();
        fits(&init, &document);
        assert_eq!(document.get("config").is_some(), code == 0, "{document}");
    }
}

#[test]
fn what_is_wrong_does_not_fit() {
    let restart = validator(&schema("schema/restart.json"));
    let failure = json!({ "roomId": "demo", "error": { "kind": "usage", "message": "x", "hints": [], "later": 1 } });
    fits(&restart, &failure);
    assert!(!validator(&closed(schema("schema/restart.json"))).is_valid(&failure), "an unknown field goes unnoticed");
    for (pointer, wrong) in
        [("/roomId", json!(1)), ("/error/kind", json!("new")), ("/error/hints", json!("x")), ("/error", json!(null))]
    {
        let mut document = failure.clone();
        *document.pointer_mut(pointer).unwrap() = wrong;
        assert!(!restart.is_valid(&document), "{document}");
    }
    assert!(!restart.is_valid(&json!({ "roomId": "demo" })));
}
