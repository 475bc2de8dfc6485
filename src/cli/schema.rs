//! The JSON schema of the documents, written by the types that are printed. Nothing of it is in the program.

#[path = "../../tests/support/current.rs"]
mod current;

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::exit;
use crate::commands::close::Closed;
use crate::commands::doctor;
use crate::commands::list::Nest;
use crate::commands::recreate::{self, Recreated};
use crate::commands::restart::{Planned, Restarted};
use crate::commands::status::Standing;
use crate::commands::token::Fetched;
use crate::livekit::CheckReport;

/// What `nest restart --json` prints: one document a room.
#[derive(JsonSchema)]
#[schemars(rename = "RestartDocument", untagged)]
#[expect(dead_code, clippy::large_enum_variant, reason = "the schema is all that is wanted of it")]
enum Restart {
    Restarted(RestartedDocument),
    Planned(Planned),
    Failed(FailureDocument),
}

/// An outcome with the texts of its warnings.
#[derive(JsonSchema)]
#[schemars(rename = "{T}")]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
struct Warned<T: JsonSchema> {
    #[schemars(flatten)]
    outcome: T,
    /// What the user should know although it worked.
    warnings: Vec<String>,
}

/// What `nest recreate --json` prints.
#[derive(JsonSchema)]
#[schemars(rename = "RecreateDocument", untagged)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
enum Recreate {
    Recreated(Warned<Recreated>),
    Planned(recreate::Planned),
    Failed(FailureDocument),
}

/// What `nest list --json` prints: one document a nest, on one line each.
#[derive(JsonSchema)]
#[schemars(rename = "ListDocument", untagged)]
#[expect(dead_code, clippy::large_enum_variant, reason = "the schema is all that is wanted of it")]
enum List {
    Nest(Nest),
    Failed(FailureDocument),
}

/// What `nest close --json` prints.
#[derive(JsonSchema)]
#[schemars(rename = "CloseDocument", untagged)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
enum Close {
    Closed(Warned<Closed>),
    Failed(FailureDocument),
}

/// A nest that is back, or was found running. With `error`: restarted, and not well (`unhealthy`) or not published, or
/// interrupted.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
struct RestartedDocument {
    #[schemars(flatten)]
    restarted: Restarted,
    /// What the user should know although it worked.
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

/// Nothing to show but what went wrong.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
struct FailureDocument {
    /// As it was asked for; absent if the failure belongs to no room.
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<String>,
    error: Failure,
}

/// What `nest check --json` prints, and the `check` of a restart.
#[derive(JsonSchema)]
#[schemars(rename = "CheckDocument", untagged)]
#[expect(dead_code, clippy::large_enum_variant, reason = "the schema is all that is wanted of it")]
enum Check {
    Checked(CheckedDocument),
    Failed(FailureDocument),
}

/// What was seen. With `error`: people cannot join, or something else is wrong.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
struct CheckedDocument {
    /// The nest; for a session without one, what its token says. Absent inside a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<String>,
    #[schemars(flatten)]
    report: CheckReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

/// What `nest status --json` prints: one document a room.
#[derive(JsonSchema)]
#[schemars(rename = "StatusDocument", untagged)]
#[expect(dead_code, clippy::large_enum_variant, reason = "the schema is all that is wanted of it")]
enum Status {
    Known(StandingDocument),
    Failed(FailureDocument),
}

/// How a nest stands. With `error`: people cannot join, or it is not known.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
struct StandingDocument {
    #[schemars(flatten)]
    standing: Standing,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

/// What `nest token --json` prints.
#[derive(JsonSchema)]
#[schemars(rename = "TokenDocument", untagged)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
enum Token {
    Fetched(Warned<Fetched>),
    Failed(FailureDocument),
}

/// What went wrong.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the schema is all that is wanted of it")]
struct Failure {
    /// One for each exit code.
    #[schemars(extend("enum" = kinds()))]
    kind: String,
    /// The HTTP status behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// What failed, and why.
    message: String,
    /// What to do.
    hints: Vec<String>,
}

fn kinds() -> Vec<&'static str> {
    let mut kinds: Vec<_> = exit::TABLE.iter().map(|row| row.kind).collect();
    kinds.dedup();
    kinds
}

fn text<T: JsonSchema>() -> String {
    let mut schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    RecursiveTransform(tighten).transform(&mut schema);
    format!("{:#}\n", schema.to_value())
}

/// What is not known is absent, never null; and every time is RFC 3339.
fn tighten(schema: &mut Schema) {
    let Some(schema) = schema.as_object_mut() else { return };
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

#[test]
fn schemas_are_current() {
    current::current("schema/restart.json", &text::<Restart>());
    current::current("schema/recreate.json", &text::<Recreate>());
    current::current("schema/list.json", &text::<List>());
    current::current("schema/close.json", &text::<Close>());
    current::current("schema/failure.json", &text::<FailureDocument>());
    current::current("schema/check.json", &text::<Check>());
    current::current("schema/status.json", &text::<Status>());
    current::current("schema/token.json", &text::<Token>());
    current::current("schema/doctor.json", &text::<doctor::Report>());
}
