//! What is said of the troubles that hosts have with LiveKit: by the check's steps, and by the table of all troubles.
//!
//! `{…}` stands for what is known when it happens.

pub const OLD_ROOM: &str =
    "The server reports success, but LiveKit still runs the old room ({room}{age}). Nobody was disconnected.";
pub const OLD_ROOM_HINT: &str = "for the operator: this Nests API does not delete the room when it restarts a nest. Until it does, have everybody \
     leave: {seconds} s later the old room is gone, and a restart makes a new one";
pub const LATE_TEARDOWN: &str = "Room closed {after} after the restart: LiveKit was still deleting the old one.";
pub const LATE_TEARDOWN_HINT: &str = "Wait 30 s and restart again";
pub const EMPTY: &str = "the nest is empty, and this check has joined and left it";
pub const EMPTY_HINT: &str = "it closes at {time} unless somebody joins before";
pub const INTERNAL_NAME: &str = "an internal name, known only in the server's own network";
pub const PUBLIC_ADDRESS: &str = "for the operator: the API hands out its own LIVEKIT_URL; set that to the address that the public reaches, such as \
     wss://live.example.com";
pub const NO_SOUND: &str = "signal works, but sound does not get through: {tried}";
pub const NODE_IP: &str = "for the operator: set `rtc.use_external_ip: true`, or `rtc.node_ip` to the server's public address, in LiveKit's \
     configuration";
pub const UDP_BLOCKED: &str = "UDP blocked, TCP works: {pair}";
pub const UDP_BLOCKED_HINT: &str = "people on networks without TCP will hear nothing; for the operator: open UDP 50000-60000, or LiveKit's \
     `rtc.udp_port` if that is set, and TCP 7881 in the server's firewall";
pub const TURN: &str = "{url} does not work: {why}";
pub const TURN_HINT: &str =
    "for the operator: `turn` in LiveKit's configuration names a server and ports; they must be reachable from outside";
pub const REFUSED: &str = "the media server refuses {whose}: {why}";
pub const WRONG_SECRET_HINT: &str = "for the operator: the Nests API signs with LIVEKIT_API_KEY and LIVEKIT_API_SECRET, and this LiveKit does not know \
     them under `keys`; or this is not the API's own LiveKit";
pub const CLOCKS_HINT: &str = "for the operator: LiveKit's clock is {apart} the API's; turn NTP on for both";

/// `text` with what is known filled in.
#[must_use]
pub fn fill(text: &str, known: &[(&str, &str)]) -> String {
    known.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}
