//! Joining with audio: straight, and through a relay when there is no other way or no other is wanted.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::audio_connection::{AudioConnection, AudioEvent, AudioRoute};
use super::connect::{Wanted, broken, connect, silence};
use super::turn::{self, Turn, TurnBridge};
use super::{AudioFinding, AudioOptions, Connected, Failure, JoinedRoom, Seen, Silence, Spoken, Transport};
use crate::livekit::connector::Connector;
use crate::livekit::signal::{Ending, JoinError, SignalSession};

/// For a direct connection.
const DIRECT_LIMIT: Duration = Duration::from_secs(5);
/// For each TURN server.
const RELAY_LIMIT: Duration = Duration::from_secs(5);

/// An audio connection that stands.
pub(in crate::livekit) struct LiveAudio {
    connection: AudioConnection,
    _bridge: Option<TurnBridge>,
}

impl LiveAudio {
    /// Is silent for a second, audibly.
    pub async fn speak(&mut self, session: &mut SignalSession, until: Instant) -> Result<Spoken, Silence> {
        match &mut self.connection.voice {
            Some(voice) => voice.speak(session, until).await,
            None => Err(Silence::NotAllowed),
        }
    }

    /// Returns when it does not stand any more.
    pub async fn broken(&mut self) -> Ending {
        loop {
            match self.connection.events.recv().await {
                Some(AudioEvent::Broken) => return Ending::Deaf,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Ends it. Takes a tenth of a second at most.
    pub async fn close(self) {
        self.connection.close().await;
    }
}

/// One attempt to a room, during which audio is tried.
struct AudioAttempt<'a> {
    connector: &'a Connector<'a>,
    options: AudioOptions,
    seen: Seen,
    session: Option<SignalSession>,
    live: Option<LiveAudio>,
}

/// Joins and connects.
pub(in crate::livekit) async fn enter(
    connector: &Connector<'_>,
    options: AudioOptions,
) -> Result<JoinedRoom, JoinError> {
    let dialled = connector.connect().await?;
    let relay = options.transport == Some(Transport::Relay);
    let wanted = Wanted {
        udp: options.transport != Some(Transport::Tcp),
        tcp: !matches!(options.transport, Some(Transport::Udp | Transport::Relay)),
        relay,
    };
    let mut connection = None;
    if !relay {
        let route = AudioRoute::Direct { udp: wanted.udp, tcp: wanted.tcp };
        let near = dialled.connection.local_ip.map_or(Ipv4Addr::LOCALHOST.into(), |ip| ip.to_canonical());
        connection = Some(AudioConnection::offering(route, near, options.publish).await.map_err(broken));
    }
    let opening = connection
        .as_ref()
        .and_then(|connection| connection.as_ref().ok())
        .map(AudioConnection::opening)
        .unwrap_or_default();
    let session = connector.join_offering(dialled, &opening).await?;
    let joined_at = Instant::now();
    let (joined, timings, remote_ip) = (session.joined.clone(), session.timings.clone(), session.remote_ip);
    let mut attempt = AudioAttempt { connector, options, seen: Seen::default(), session: Some(session), live: None };
    let result = match connection {
        None => attempt.relayed(wanted).await,
        Some(Err(failure)) => Err(failure),
        Some(Ok(connection)) => attempt.direct(connection, wanted).await,
    };
    let AudioAttempt { seen, session, live, .. } = attempt;
    let finding = AudioFinding { elapsed: joined_at.elapsed(), seen, result };
    Ok(JoinedRoom { joined, timings, remote_ip, joined_at, session, finding: Some(finding), live })
}

impl AudioAttempt<'_> {
    /// Straight; then, if nothing is to be forced and there is a relay, through that.
    async fn direct(&mut self, connection: AudioConnection, wanted: Wanted) -> Result<Connected, Failure> {
        let relays = self.session.as_ref().is_some_and(|session| !turn::advertised(&session.ice_servers).is_empty());
        let other_way = self.options.transport.is_none() && relays;
        let left = self.connector.until.saturating_duration_since(Instant::now());
        let limit = DIRECT_LIMIT.min(if other_way { left / 2 } else { left });
        let result = self.try_with(connection, None, wanted, Instant::now() + limit).await;
        match result {
            Err(failure @ (Failure::NoConnection(_) | Failure::NothingOffered)) if other_way => {
                self.again().await?;
                let wanted = Wanted { udp: true, tcp: false, relay: true };
                match self.relayed(wanted).await {
                    Err(Failure::NoConnection(_) | Failure::NoAllocation) => Err(failure),
                    result => result,
                }
            }
            result => result,
        }
    }

    /// Through one of the advertised TURN servers after the other.
    async fn relayed(&mut self, wanted: Wanted) -> Result<Connected, Failure> {
        let started = Instant::now();
        let mut index = 0;
        loop {
            let session = self.session.as_ref().ok_or(Failure::NoRelay)?;
            let mut turns = turn::advertised(&session.ice_servers);
            if turns.is_empty() {
                return Err(Failure::NoRelay);
            }
            let left = self.connector.until.saturating_duration_since(Instant::now());
            if index >= turns.len() {
                let unsure = self.seen.relays.iter().any(|(_, failure)| matches!(failure, Failure::OutOfTime(_)));
                let all = started.elapsed();
                return Err(if unsure { Failure::OutOfTime(all) } else { Failure::NoConnection(all) });
            } else if left.is_zero() {
                return Err(Failure::OutOfTime(started.elapsed()));
            }
            let share = left / u32::try_from(turns.len() - index).unwrap_or(u32::MAX);
            let turn = turns.swap_remove(index);
            index += 1;
            match self.through(&turn, wanted, Instant::now() + share.min(RELAY_LIMIT)).await {
                Ok(connected) => {
                    self.seen.relay = Some(turn.url);
                    return Ok(connected);
                }
                Err(failure @ Failure::Ended(_)) => return Err(failure),
                Err(failure) => self.seen.relays.push((turn.url, failure)),
            }
            let spoilt = self.session.as_ref().is_none_or(|session| session.offered);
            if spoilt && !turns.is_empty() && index <= turns.len() {
                self.again().await?;
            }
        }
    }

    async fn through(&mut self, turn: &Turn, wanted: Wanted, until: Instant) -> Result<Connected, Failure> {
        let started = Instant::now();
        let opening = timeout_at(until, turn.open(self.connector.tools.tls));
        let bridge = opening.await.map_err(|_| silence(started.elapsed()))??;
        let route = AudioRoute::Relay(bridge.server.clone());
        let connection = AudioConnection::offering(route, bridge.near, self.options.publish).await.map_err(broken)?;
        let session = self.session.as_mut().ok_or(Failure::NoRelay)?;
        for message in connection.opening() {
            session.say(message).await.map_err(Failure::Ended)?;
        }
        self.try_with(connection, Some(bridge), wanted, until).await
    }

    async fn try_with(
        &mut self,
        mut connection: AudioConnection,
        bridge: Option<TurnBridge>,
        wanted: Wanted,
        until: Instant,
    ) -> Result<Connected, Failure> {
        let session = self.session.as_mut().ok_or(Failure::NoMedia)?;
        session.offered = true;
        let result = connect(session, &mut connection, wanted, until, &mut self.seen).await;
        if result.is_ok() {
            self.live = Some(LiveAudio { connection, _bridge: bridge });
        } else {
            connection.close().await;
        }
        if matches!(result, Err(Failure::Ended(_))) {
            self.session = None;
        }
        result
    }

    /// Leaves, and joins anew.
    async fn again(&mut self) -> Result<(), Failure> {
        if let Some(session) = self.session.take() {
            session.leave().await;
        }
        let lost = |_: JoinError| {
            Failure::Ended(Ending::ConnectionLost("we left to try another way, and were not let in again".into()))
        };
        let dialled = self.connector.connect().await.map_err(|error| lost(error.into()))?;
        self.session = Some(self.connector.join_offering(dialled, &[]).await.map_err(lost)?);
        Ok(())
    }
}
