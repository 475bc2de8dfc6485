//! What goes wrong in the field, and what to do about it: one table for the program's errors and the README.

use super::exit::Exit;
use crate::livekit::said::{self, fill};

/// One trouble. `{…}` in `cause` and `hint` stands for what the program knows when it happens.
#[derive(Debug, PartialEq, Eq)]
pub struct Advice {
    /// What the host sees.
    pub seen: &'static str,
    /// Why it is so.
    pub cause: &'static str,
    /// What to do.
    pub hint: &'static str,
    /// How the program ends; `None`: well.
    pub exit: Option<Exit>,
}

impl Advice {
    /// The cause with what is known filled in.
    #[must_use]
    pub fn cause(&self, known: &[(&str, &str)]) -> String {
        fill(self.cause, known)
    }

    /// The hint with what is known filled in.
    #[must_use]
    pub fn hint(&self, known: &[(&str, &str)]) -> String {
        fill(self.hint, known)
    }
}

macro_rules! advice {
    ($($name:ident: $seen:literal, $cause:expr, $hint:expr, $exit:expr;)*) => {
        $(#[doc = $seen] pub const $name: Advice =
            Advice { seen: $seen, cause: $cause, hint: $hint, exit: $exit };)*
        /// All of it, in the order of the README.
        pub const TABLE: &[&Advice] = &[$(&$name),*];
    };
}

advice! {
    OLD_ROOM: "restarted, but nothing changed", said::OLD_ROOM, said::OLD_ROOM_HINT, Some(Exit::Unhealthy);
    LATE_TEARDOWN: "restarted, and everybody is thrown out 10–30 s later",
        said::LATE_TEARDOWN, said::LATE_TEARDOWN_HINT, Some(Exit::Unhealthy);
    EMPTY: "restarted, and dead again a minute later", said::EMPTY, said::EMPTY_HINT, None;
    EVENT_OVER: "restarted, but clients still say that it is over",
        "the event says {status}: clients will still show the nest as over", "--publish-status puts that right", None;
    OVER_QUIC: "there is nothing to restart",
        "its media relay is {relay}; the event alone makes the nest live",
        "if nobody can hear anything, does that relay answer? nest check {room}",
        Some(Exit::Failed);
    RECORD_GONE: "404 `Nest not found`",
        "its record has expired (records live 24 h from their last write), or the server has lost it",
        "a restart cannot bring it back, a new nest in its place can: nest recreate {room}",
        Some(Exit::NotFound);
    NO_AUDIO_ROOM: "404 `Nest is no longer active`",
        "the record is there and the audio room is not; servers say the same when their media server is down",
        "restart it: nest restart {room}",
        Some(Exit::NotFound);
    NO_ENDPOINT: "404 `Endpoint not found`, a web page, or an empty 404",
        "{url} is not there: this is another address than the API's, or an old server without restart",
        "does the API answer? curl {health}. If not, give its address with --api; if so, its operator has to update it",
        Some(Exit::NotFound);
    LOST_404: "404, and the answer breaks off",
        "the rest of the answer did not arrive, or was too large to read: the nest may be gone or inactive, or this is another address than the API's",
        "try again in a moment",
        Some(Exit::NotFound);
    CLOCK: "401, and the clocks differ",
        "your clock is {apart} {side} the server's; signatures are valid for a minute",
        "set the clock right: timedatectl set-ntp true",
        Some(Exit::Unauthorized);
    CLOCK_FAR: "401, and the clocks are days apart",
        "the server's clock says {there}, the one here {here}; signatures are valid for a minute",
        "if the clock here is wrong: timedatectl set-ntp true. If it is right, tell the server's operator",
        Some(Exit::Unauthorized);
    SIGNED_URL: "401, and the clocks agree",
        "signed was {url}: a server behind a proxy may know itself by another scheme, host or prefix",
        "sign the server's public URL: nest restart {room} --api https://…",
        Some(Exit::Unauthorized);
    NOT_HOST: "403 `Only the host can restart the nest`",
        "you are {you}; the host is {host}",
        "use the host's key: nest restart {room} --key-file PATH",
        Some(Exit::NotHost);
    NO_KEY: "no key under cron",
        "nothing names a key, the keyring has none, and nobody is there to type one",
        "keep it in the keyring: nest key import. Without a desktop: --key-file PATH (mode 0600), or a systemd credential named nest-key",
        Some(Exit::Key);
    KEYRING: "hangs or fails under cron",
        "the keyring is locked, or there is no session bus",
        "without a desktop session use --key-file PATH (mode 0600), or a systemd credential named nest-key",
        Some(Exit::Key);
    KEY_MODE: "the key file is refused",
        "other users of this machine can read {path} (mode {mode})",
        "chmod 600 {path}",
        Some(Exit::Key);
    KEY_ARGUMENT: "the key is refused as an argument",
        "arguments are seen by everybody in `ps`, and kept in the shell's history",
        "put it into a file (nest … --key-file PATH), a pipe (--key-file -), or the keyring (nest key import); if this one was typed, others may have it",
        Some(Exit::Usage);
    INTERNAL_ENDPOINT: "the endpoint is `livekit:7880` or a private address",
        said::INTERNAL_NAME, said::PUBLIC_ADDRESS, Some(Exit::Unhealthy);
    NO_SOUND: "people get in, and hear nothing", said::NO_SOUND, said::NODE_IP, Some(Exit::Unhealthy);
    UDP_BLOCKED: "some hear nothing, others do", said::UDP_BLOCKED, said::UDP_BLOCKED_HINT, None;
    TURN: "TURN is advertised, and nothing is there", said::TURN, said::TURN_HINT, Some(Exit::Unhealthy);
    WRONG_SECRET: "LiveKit refuses the fresh token", said::REFUSED, said::WRONG_SECRET_HINT, Some(Exit::Unhealthy);
    LIVEKIT_CLOCK: "LiveKit says that the fresh token has expired, or is not valid yet",
        said::REFUSED, said::CLOCKS_HINT, Some(Exit::Unhealthy);
    REJOIN: "people who were thrown out come back",
        "tokens given out before stay valid too", "a restart does not remove people", None;
    RATE_LIMIT: "429",
        "whoever shares this machine's address shares its limit",
        "try again {when}",
        Some(Exit::RateLimited);
    LOST_ANSWER: "no answer",
        "the request was sent, then: {why}",
        "wait a minute, then restart it only if it is still dead: nest restart {room} --if-inactive",
        Some(Exit::Unknown);
    BUSY: "two restarts at once",
        "another restart of this room is running on this machine",
        "to wait for its end and then restart, leave out --no-wait",
        Some(Exit::Busy);
    NONSENSE: "200 without a usable token, another room, a web page",
        "from such an answer nobody can tell whether the nest was restarted",
        "check the address with --api; if it is right, the server is broken or of another kind: tell its operator",
        Some(Exit::Server);
    SERVER: "500 `Failed to restart nest`",
        "the trouble is on the server's side",
        "for the operator: the API's log has the reason; look at Redis and at LiveKit",
        Some(Exit::Server);
    REDIRECT: "301",
        "following it could turn POST into GET, or hand the signature to somebody else",
        "give the address that it points to: nest restart {room} --api {api}",
        Some(Exit::Server);
    DNS: "the name has no address",
        "DNS: {why}",
        "check the spelling of {host}, and that this machine is online",
        Some(Exit::Unreachable);
    REFUSED: "connection refused, or no connection in time",
        "TCP: {why}",
        "the server is down, or a firewall is in between: curl -v {health}",
        Some(Exit::Unreachable);
    TLS: "the TLS handshake fails",
        "TLS: {why}",
        "see what it says: curl -v {health}",
        Some(Exit::Unreachable);
    EXPIRED: "the certificate has expired, or is not valid yet",
        "TLS: {why}",
        "for the operator: renew it. If the date here is wrong: timedatectl set-ntp true",
        Some(Exit::Unreachable);
    WRONG_NAME: "the certificate is for another name",
        "TLS: {why}",
        "give the API by a name that is in the certificate: --api https://…",
        Some(Exit::Unreachable);
    UNKNOWN_ISSUER: "nobody known has issued the certificate",
        "TLS: {why}",
        "for a private CA, or a proxy that opens TLS, name its certificate: --cacert PATH",
        Some(Exit::Unreachable);
    NOT_TLS: "plain HTTP where TLS was expected",
        "TLS: {why}",
        "in a network that you trust: --api {plain} --allow-http",
        Some(Exit::Unreachable);
    PROXY: "a proxy is in the way",
        "the way leads through the proxy {proxy} ({variable}), and that failed: {why}",
        "correct {variable}, or unset it, or go around the proxy: NO_PROXY={host}",
        Some(Exit::Unreachable);
}

/// The table for the README.
#[must_use]
pub fn markdown() -> String {
    let rows = TABLE.iter().map(|advice| {
        let clean = |text: &str| text.replace('|', "\\|").replace('{', "‹").replace('}', "›");
        format!(
            "| {} | {} | {} | {} |\n",
            clean(advice.seen),
            clean(advice.cause),
            clean(advice.hint),
            advice.exit.map_or(0, Exit::code)
        )
    });
    format!("| you see | because | do this | code |\n|---|---|---|---|\n{}", rows.collect::<String>())
}
