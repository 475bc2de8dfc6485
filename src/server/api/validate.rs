//! The bodies of the API, checked as upstream's validator does, in its words.

use serde_json::{Map, Value};
use url::Url;

use crate::api::wire::{Create, Permissions};

pub(super) fn create(body: &Value) -> Result<Create, String> {
    let fields = object(body, &["relays", "hls_stream"])?;
    let relays = match fields.get("relays") {
        None => Err("\"relays\" is required"),
        Some(Value::Array(relays)) if relays.is_empty() => Err("At least one relay is required"),
        Some(Value::Array(relays)) if relays.len() > 10 => Err("Maximum 10 relays allowed"),
        Some(Value::Array(relays)) => Ok(relays),
        Some(_) => Err("\"relays\" must be an array"),
    }?;
    let relay = |value: &Value| {
        let text = value.as_str()?;
        let url = Url::parse(text).ok()?;
        matches!(url.scheme(), "ws" | "wss").then(|| text.to_owned())
    };
    let relays: Option<Vec<_>> = relays.iter().map(relay).collect();
    Ok(Create {
        relays: relays.ok_or("Relays must be valid WebSocket URLs")?,
        hls_stream: flag(fields, "hls_stream")?.unwrap_or(false),
    })
}

pub(super) fn permissions(body: &Value) -> Result<Permissions, String> {
    let fields = object(body, &["participant", "can_publish", "mute_microphone", "is_admin"])?;
    let participant = fields.get("participant").ok_or("Participant pubkey is required")?;
    let hex = |text: &&str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let participant = participant.as_str().filter(hex).ok_or("Participant must be a valid hex pubkey")?;
    Ok(Permissions {
        participant: participant.to_ascii_lowercase(),
        can_publish: flag(fields, "can_publish")?,
        mute_microphone: flag(fields, "mute_microphone")?,
        is_admin: flag(fields, "is_admin")?,
    })
}

fn object<'a>(body: &'a Value, known: &[&str]) -> Result<&'a Map<String, Value>, String> {
    let fields = body.as_object().ok_or("\"value\" must be of type object")?;
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!("\"{unknown}\" is not allowed")),
        None => Ok(fields),
    }
}

fn flag(fields: &Map<String, Value>, name: &str) -> Result<Option<bool>, String> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(format!("{name} must be a boolean")),
    }
}
