//! What goes wrong in the field, and what to do about it: one function a trouble, and all of them as a table.

use std::fmt::Display;

use super::errors::Exit;
use crate::net::reach::Internal;

pub(crate) struct Trouble {
    seen: &'static str,
    pub cause: String,
    pub hint: String,
    /// How the program ends; `None`: well.
    exit: Option<Exit>,
}

/// What stands in the table for what is only known when it happens: `‹room›`, unless there is an example.
macro_rules! example {
    ($known:ident) => {
        concat!("‹", stringify!($known), "›")
    };
    ($known:ident, $example:expr) => {
        $example
    };
}

/// `name(what is known when it happens) what the host sees, how the program ends, why, what to do;`
macro_rules! troubles {
    ($($name:ident($($known:ident $(= $example:expr)?),*) $seen:literal, $exit:expr, $cause:literal, $hint:literal;)*) => {
        $(#[doc = $seen] pub(crate) fn $name($($known: impl Display),*) -> Trouble {
            Trouble { seen: $seen, cause: format!($cause), hint: format!($hint), exit: $exit }
        })*

        fn all() -> Vec<Trouble> {
            vec![$($name($(example!($known $(, $example)?)),*)),*]
        }
    };
}

troubles! {
    old_room(sid, age, seconds, evict = "`nest restart ‹room› --evict`") "restarted, but nothing changed", Some(Exit::Unhealthy),
        "The server reports success, but LiveKit still runs the old room ({sid}{age}). Nobody was disconnected.",
        "for the operator: this Nests API does not delete the room when it restarts a nest. Until it does, this removes everybody, waits {seconds} s until the old room has closed, and restarts: {evict}";
    old_empty_room(sid, age, seconds, check = "`nest check ‹room› --join`", restart = "`nest restart ‹room›`") "restarted, but nothing changed, and nobody is inside", Some(Exit::Unhealthy),
        "The server reports success, but LiveKit still runs the old room ({sid}{age}). Nobody is inside.",
        "people can join it as it is. For a new one: {check} joins and leaves it, so that it closes {seconds} s later; then {restart}. For the operator: this Nests API does not delete the room when it restarts a nest";
    no_room(doctor = "`nest doctor ‹room›`") "restarted, and there is no room", Some(Exit::Unhealthy),
        "The server reports success, but LiveKit has no room of this nest: nobody can join.",
        "see which link is broken: {doctor}. If none is, for the operator: this Nests API and its LiveKit do not belong together";
    unproven(why, check = "`nest check ‹room›`") "restarted, or so the server says", None,
        "the server says that it has restarted the nest, and nothing proves it: {why}",
        "see whether people can join: {check}";
    late_teardown(after) "restarted, and everybody is thrown out 10–30 s later", Some(Exit::Unhealthy),
        "Room closed {after} after the restart: LiveKit was still deleting the old one.",
        "Wait 30 s and restart again";
    empty(time) "restarted, and dead again a minute later", None,
        "the nest is empty, and this check has joined and left it",
        "it closes at {time} unless somebody joins before";
    event_over(status) "restarted, but clients still say that it is over", None,
        "the event says {status}: clients will still show the nest as over",
        "--publish-status puts that right";
    no_client(why, restart = "`nest restart ‹room›`") "the nest is on Media over QUIC, and nobody finds it", Some(Exit::Unhealthy),
        "no client shows this nest: {why}",
        "a restart publishes its event again: {restart}";
    quic_silent(relay, error, port) "the nest is on Media over QUIC, and its media relay does not answer", Some(Exit::Unhealthy),
        "{relay} {error}",
        "Media over QUIC needs UDP to port {port}: try from another network; if it is the same there, ask whoever runs that relay";
    no_token(auth, why) "the nest is on Media over QUIC, and its auth service gives no token", Some(Exit::Unhealthy),
        "{auth}: {why}",
        "without it nobody gets a token: ask whoever runs the media relay";
    barred(why, named = "--api https://…") "a link leads to an address of your own network", Some(Exit::Unreachable),
        "{why}",
        "if that is where you want to go, name it yourself: {named}";
    record_gone(recreate = "`nest recreate ‹room›`") "404 `Nest not found`", Some(Exit::NotFound),
        "its record has expired (records live 24 h from their last write), or the server has lost it",
        "a restart cannot bring it back, a new nest in its place can: {recreate}";
    no_audio_room(restart = "`nest restart ‹room›`") "404 `Nest is no longer active`", Some(Exit::NotFound),
        "the record is there and the audio room is not; servers say the same when their media server is down",
        "restart it: {restart}";
    only_a_record(status = "`nest status ‹room›`") "`nest close`, and 404 `Nest is no longer active`", Some(Exit::NotFound),
        "the record is there and the audio room is not; servers say the same when their media server is down",
        "its record ends by itself; see what it says: {status}";
    no_endpoint(url, lacks = "restart", health) "404 `Endpoint not found`, a web page, or an empty 404", Some(Exit::NotFound),
        "{url} is not there: this is another address than the API's, or an old server without {lacks}",
        "does the API answer? `curl {health}`. If not, give its address with --api; if so, its operator has to update it";
    lost_404() "404, and the answer breaks off", Some(Exit::NotFound),
        "the rest of the answer did not arrive, or was too large to read: the nest may be gone or inactive, or this is another address than the API's",
        "try again in a moment";
    clock(apart, side) "401, and the clocks differ", Some(Exit::Unauthorized),
        "your clock is {apart} {side} the server's; signatures are valid for a minute",
        "set the clock right: `timedatectl set-ntp true`";
    clock_far(there, here) "401, and the clocks are days apart", Some(Exit::Unauthorized),
        "the server's clock says {there}, the one here {here}; signatures are valid for a minute",
        "if the clock here is wrong: `timedatectl set-ntp true`. If it is right, tell the server's operator";
    signed_url(url, again = "`nest restart ‹room› --api https://…`") "401, and the clocks agree", Some(Exit::Unauthorized),
        "signed was {url}: a server behind a proxy may know itself by another scheme, host or prefix",
        "sign the server's public URL: {again}";
    not_host(you, host, again = "`nest restart ‹room› --key-file PATH`") "403 `Only the host can restart the nest`", Some(Exit::NotHost),
        "you are {you}; the host is {host}",
        "use the host's key: {again}";
    no_key() "no key under cron", Some(Exit::Key),
        "nothing names a key, the keyring has none, and none was typed",
        "keep it in the keyring: `nest key import`; where there is none, in a file: `nest key import --to-file`. Or name one: --key-file PATH (mode 0600), or a systemd credential named nest-key. If a remote signer has it: `nest key connect`";
    keyring() "hangs or fails under cron", Some(Exit::Key),
        "the keyring is locked, or there is no session bus",
        "without a desktop session keep the key in a file: `nest key import --to-file`. Or name one: --key-file PATH (mode 0600), or a systemd credential named nest-key. If a remote signer has it: `nest key connect`";
    key_mode(path, mode) "the key file is refused", Some(Exit::Key),
        "other users of this machine can read {path} (mode {mode})",
        "`chmod 600 {path}`";
    key_owner(path, uid) "the key file is refused, for it is somebody else's", Some(Exit::Key),
        "{path} belongs to another user (uid {uid}), who can read it and put another key into it",
        "if the key in it is yours, keep it in a file of your own, and name that: `install -m 600 {path} nest.key`";
    signer_unreachable(why, again = "`nest key connect`") "the key is in a remote signer, and none of its relays can be reached", Some(Exit::Key),
        "{why}",
        "is this machine online? If the signer has moved to other relays, pair again: {again}";
    signer_silent(why = "it did not answer within 45 s") "the key is in a remote signer, and it is silent", Some(Exit::Key),
        "{why}",
        "is the signer running and online? On a phone, open its app; for a timer, have it allow nest for always";
    signer_not_approved(why = "nobody approved it within 45 s at ‹url›", url) "a remote signer wants to be asked on a page", Some(Exit::Key),
        "{why}",
        "open {url}, allow it there, for always if this runs by a timer, and run this again";
    signer_refused(why, again = "`nest key connect`") "a remote signer refuses", Some(Exit::Key),
        "it says: {why}",
        "allow nest in the signer, for always if this runs by a timer. If the signer does not know nest any more, pair again: {again}";
    pairing_silent(why = "it did not answer within 120 s") "a remote signer does not answer the pairing", Some(Exit::Key),
        "{why}",
        "is the signer running and online? On a phone, open its app, and allow nest there. Then run this again: the same bunker:// URI still does, and a code is shown anew";
    pairing_not_approved(why = "nobody approved it within 120 s at ‹url›", url) "a remote signer wants the pairing to be allowed on a page", Some(Exit::Key),
        "{why}",
        "open {url}, allow it there, and run this again: the same bunker:// URI still does";
    meeting(why) "a remote signer is to be paired with, and none of the relays can be reached", Some(Exit::Key),
        "{why}",
        "is this machine online? For a QR code, other relays can be named: --relay wss://…";
    signer_not_paired(why) "a remote signer does not take the pairing", Some(Exit::Key),
        "it says: {why}",
        "the secret in a bunker:// URI works once: have the signer show a new one";
    signer_without_secret(why) "a remote signer does not take a pairing without a secret", Some(Exit::Key),
        "it says: {why}",
        "the bunker:// URI had no secret= in it. A shell cuts a URI at & unless it is quoted: paste it whole where `nest key connect` asks for it";
    signer_too_long(why = "70000 bytes are more than it can be asked to sign") "a nest has more people in its event than a remote signer can be asked to sign", Some(Exit::Key),
        "{why}",
        "this one needs a key that is here: --key-file PATH";
    signer_too_late(why = "it signed only after 70 s, and servers accept that for a minute") "a remote signer was allowed too late", Some(Exit::Key),
        "{why}",
        "run this again, and allow it at once, or for always";
    not_scanned(why = "it did not answer within 120 s") "nobody has scanned the code of `nest key connect`", Some(Exit::Key),
        "{why}",
        "run this again, and scan the code, or paste the line below it, sooner. For more time: --signer-timeout 5m";
    signer_each_run(why, again = "`nest key connect`") "`NEST_BUNKER` worked once, and then no more", Some(Exit::Key),
        "it says: {why}",
        "the secret in a bunker:// URI works once, and NEST_BUNKER pairs in each run: pair once, {again}, or have a signer whose secret lasts";
    signer_of_other_key(why = "it signs as ‹npub›, not as ‹npub›", again = "`nest key connect`") "a remote signer has another key than before", Some(Exit::Key),
        "{why}",
        "choose the right key in the signer, or pair again: {again}";
    signer_forges(why = "it returned another event than the one to sign, or a signature that does not hold") "a remote signer returns something else", Some(Exit::Key),
        "{why}",
        "nothing of it was used: tell whoever makes this signer";
    bunker_argument() "the address of a signer is refused as an argument", Some(Exit::Usage),
        "its secret is seen by everybody in `ps`, and kept in the shell's history",
        "paste it where `nest key connect` asks for it; have the signer show a new one, for others may have this";
    key_argument() "the key is refused as an argument", Some(Exit::Usage),
        "arguments are seen by everybody in `ps`, and kept in the shell's history",
        "put it into a file (nest … --key-file PATH), a pipe (--key-file -), or the keyring (`nest key import`); if this one was typed, others may have it";
    internal_endpoint(class = Internal::BareName) "the API's endpoint is `livekit:7880` or a private address, and another one answers (if none does: 10)", None,
        "{class}",
        "for the operator: the API hands out its own LIVEKIT_URL; set that to the address that the public reaches, such as wss://live.example.com";
    no_sound(tried) "people get in, and hear nothing", Some(Exit::Unhealthy),
        "signal works, but sound does not get through: {tried}",
        "for the operator: set `rtc.use_external_ip: true`, or `rtc.node_ip` to the server's public address, in LiveKit's configuration";
    udp_blocked(pair) "some hear nothing, others do", None,
        "UDP blocked, TCP works: {pair}",
        "people on networks without TCP will hear nothing; for the operator: open UDP 50000-60000, or LiveKit's `rtc.udp_port` if that is set, and TCP 7881 in the server's firewall";
    turn(url, why) "TURN is advertised, and nothing is there", Some(Exit::Unhealthy),
        "{url} does not work: {why}",
        "for the operator: `turn` in LiveKit's configuration names a server and ports; they must be reachable from outside";
    wrong_secret(whose, why) "LiveKit refuses the fresh token", Some(Exit::Unhealthy),
        "the media server refuses {whose}: {why}",
        "for the operator: the Nests API signs with LIVEKIT_API_KEY and LIVEKIT_API_SECRET, and this LiveKit does not know them under `keys`; or this is not the API's own LiveKit";
    livekit_clock(whose, why, apart) "LiveKit says that the fresh token has expired, or is not valid yet", Some(Exit::Unhealthy),
        "the media server refuses {whose}: {why}",
        "for the operator: LiveKit's clock is {apart} the API's; turn NTP on for both";
    rejoin() "people who were thrown out come back", None,
        "tokens given out before stay valid too",
        "a restart does not remove people";
    rate_limit(when) "429", Some(Exit::RateLimited),
        "whoever shares this machine's address shares its limit",
        "try again {when}";
    lost_answer(why, status = "`nest status ‹room›`") "no answer", Some(Exit::Unknown),
        "the request was sent, then: {why}",
        "wait a minute, then see whether it runs: {status}";
    lost_close(why, status = "`nest status ‹room›`") "`nest close`, and no answer", Some(Exit::Unknown),
        "the request was sent, then: {why}",
        "see whether it still runs: {status}. To close it again does no harm";
    lost_creation(why, list = "`nest list`") "`nest recreate`, and no answer", Some(Exit::Unknown),
        "the request was sent, then: {why}; a new room may be there that nobody knows of, and it ends by itself",
        "see whether a new nest took its place: {list}. If not, run this again";
    lost_token(why, status = "`nest status ‹room›`") "`nest token`, and no answer", Some(Exit::Unknown),
        "the request was sent, then: {why}",
        "the nest goes on as it is, as {status} shows; to ask for another token does no harm";
    busy() "two restarts at once", Some(Exit::Busy),
        "another restart of this room is running on this machine",
        "to wait for its end and then restart, leave out --no-wait";
    nonsense(done = "the nest was restarted") "200 without a usable token, another room, a web page", Some(Exit::Server),
        "from such an answer nobody can tell whether {done}",
        "check the address with --api; if it is right, the server is broken or of another kind: tell its operator";
    server() "500 `Failed to restart nest`", Some(Exit::Server),
        "the trouble is on the server's side",
        "for the operator: the API's log has the reason; look at Redis and at LiveKit";
    backend_down(down = "Redis is down") "503 from `nest serve`", Some(Exit::Server),
        "the server says it itself: {down}",
        "for the operator: {down}; the log of `nest serve` says why";
    redirect(again = "`nest restart ‹room› --api ‹api›`") "301", Some(Exit::Server),
        "following it could turn POST into GET, or hand the signature to somebody else",
        "give the address that it points to: {again}";
    dns(why, host) "the name has no address", Some(Exit::Unreachable),
        "DNS: {why}",
        "check the spelling of {host}, and that this machine is online";
    refused(why, health) "connection refused, or no connection in time", Some(Exit::Unreachable),
        "TCP: {why}",
        "the server is down, or a firewall is in between: `curl -v {health}`";
    tls(why, health) "the TLS handshake fails", Some(Exit::Unreachable),
        "TLS: {why}",
        "see what it says: `curl -v {health}`";
    expired(why) "the certificate has expired, or is not valid yet", Some(Exit::Unreachable),
        "TLS: {why}",
        "for the operator: renew it. If the date here is wrong: `timedatectl set-ntp true`";
    wrong_name(why) "the certificate is for another name", Some(Exit::Unreachable),
        "TLS: {why}",
        "give the API by a name that is in the certificate: --api https://…";
    unknown_issuer(why) "nobody known has issued the certificate", Some(Exit::Unreachable),
        "TLS: {why}",
        "for a private CA, or a proxy that opens TLS, name its certificate: --cacert PATH";
    self_signed(why) "the certificate is signed by itself", Some(Exit::Unreachable),
        "TLS: {why}, and no authority stands behind it",
        "if this server is yours, give the very certificate that it shows (a PEM file, without the key): --cacert PATH. If not, somebody may be between you and it";
    not_tls(why, plain) "plain HTTP where TLS was expected", Some(Exit::Unreachable),
        "TLS: {why}",
        "in a network that you trust: --api {plain} --allow-http";
    proxy(proxy, variable, why, host) "a proxy is in the way", Some(Exit::Unreachable),
        "the way leads through the proxy {proxy} ({variable}), and that failed: {why}",
        "correct {variable}, or unset it, or go around the proxy: NO_PROXY={host}";
}

/// The table for the page about troubles.
pub fn markdown() -> String {
    let rows = all().into_iter().map(|Trouble { seen, cause, hint, exit }| {
        let [seen, cause, hint] = [seen, &cause, &hint].map(|text| text.replace('|', "\\|"));
        format!("| {seen} | {cause} | {hint} | {} |\n", exit.map_or(0, Exit::code))
    });
    format!("| you see | because | do this | code |\n|---|---|---|---|\n{}", rows.collect::<String>())
}
