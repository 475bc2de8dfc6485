//! The JSON schema of the documents, written by the types that are printed. Nothing of it is in the program.

#[path = "../../tests/support/current.rs"]
mod current;

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::command::InitDocument;
use super::document::{
    CheckedDocument, DoctorDocument, FailureDocument, NestDocument, RestartedDocument, StandingDocument, Warned,
};
use super::messages::errors;
use crate::commands::close::Closed;
use crate::commands::recreate::{self, Recreated};
use crate::commands::restart::PlannedRestart;
use crate::commands::token::Fetched;

/// Either what was asked for, or nothing but what went wrong.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
enum Document<T> {
    Done(T),
    Failed(FailureDocument<'static>),
}

/// The same of a command that may only say what it would do.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
enum OrPlan<T, P> {
    Done(T),
    Planned(P),
    Failed(FailureDocument<'static>),
}

pub(super) fn kinds() -> Vec<&'static str> {
    let mut kinds: Vec<_> = errors::TABLE.iter().map(|row| row.kind).collect();
    kinds.dedup();
    kinds
}

/// Holds `schema/NAME.json` to be the schema of `T`; a title and a description stand in for those of a generic type.
fn current<T: JsonSchema>(name: &str, about: Option<(&str, &str)>) {
    let mut schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    RecursiveTransform(tighten).transform(&mut schema);
    if let Some((title, description)) = about {
        schema.insert("title".into(), json!(title));
        schema.insert("description".into(), json!(description));
    }
    current::current(&format!("schema/{name}.json"), &format!("{:#}\n", schema.to_value()));
}

/// What is not known is absent, never null; and every time is RFC 3339.
fn tighten(schema: &mut Schema) {
    let Some(schema) = schema.as_object_mut() else { return };
    let of = schema.get("properties").cloned().unwrap_or_default();
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| name.as_str().is_none_or(|name| !may_be_null(&of[name])));
        if required.is_empty() {
            schema.remove("required");
        }
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
        any.retain(|one| *one != json!({ "type": "null" }));
        if let [Value::Object(only)] = any.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            schema.extend(only);
        }
    }
    let times = schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten();
    for (_, time) in times.filter(|(name, _)| name.ends_with("At")) {
        time["format"] = json!("date-time");
    }
}

fn may_be_null(schema: &Value) -> bool {
    let has = |list: &str, null: &Value| schema[list].as_array().is_some_and(|list| list.contains(null));
    has("type", &json!("null")) || has("anyOf", &json!({ "type": "null" }))
}

#[test]
fn schemas_are_current() {
    type Restart = OrPlan<RestartedDocument<'static>, PlannedRestart>;
    type Recreate = OrPlan<Warned<Recreated>, recreate::PlannedRecreation>;
    let of = |title, description| Some((title, description));
    current::<Restart>("restart", of("RestartDocument", "What `nest restart --json` prints: one document a room."));
    current::<Recreate>("recreate", of("RecreateDocument", "What `nest recreate --json` prints."));
    current::<Document<NestDocument<'static>>>(
        "list",
        of("ListDocument", "What `nest list --json` prints: one document a nest, on one line each."),
    );
    current::<Document<Warned<Closed>>>("close", of("CloseDocument", "What `nest close --json` prints."));
    current::<FailureDocument<'static>>("failure", None);
    current::<Document<CheckedDocument<'static>>>(
        "check",
        of("CheckDocument", "What `nest check --json` prints, and the `check` of a restart."),
    );
    current::<Document<StandingDocument<'static>>>(
        "status",
        of("StatusDocument", "What `nest status --json` prints: one document a room."),
    );
    current::<Document<Warned<Fetched>>>("token", of("TokenDocument", "What `nest token --json` prints."));
    current::<DoctorDocument>("doctor", None);
    current::<Document<InitDocument>>("init", of("InitDocument", "What `nest init --json` prints."));
}
