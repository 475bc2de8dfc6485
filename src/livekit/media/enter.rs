//! Joining with audio: straight, and through a relay when there is no other way or no other is wanted.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::audio_connection::AudioConnection;
use super::connect::{connect, silence};
use super::turn::{self, Turn};
use super::{AudioFailure, AudioFinding, AudioOptions, Connected, JoinedRoom, Seen, Transport};
use crate::livekit::connector::Connector;
use crate::livekit::signal::{Ending, JoinError, SignalSession};

const DIRECT_LIMIT: Duration = Duration::from_secs(5);
const RELAY_LIMIT: Duration = Duration::from_secs(5);

/// One stay in a room, during which audio is tried.
struct AudioAttempt<'a> {
    connector: &'a Connector<'a>,
    options: AudioOptions,
    seen: Seen,
    session: Option<SignalSession>,
    live: Option<AudioConnection>,
}

pub(in crate::livekit) async fn enter(
    connector: &Connector<'_>,
    options: AudioOptions,
) -> Result<JoinedRoom, JoinError> {
    let dialled = connector.connect().await?;
    let mut connection = None;
    if options.transport != Some(Transport::Relay) {
        let near = dialled.connection.local_ip.map_or(Ipv4Addr::LOCALHOST.into(), |ip| ip.to_canonical());
        connection = Some(AudioConnection::direct(options.transport, near, options.publish).await);
    }
    let opening = match &connection {
        Some(Ok(connection)) => connection.opening(),
        _ => Vec::new(),
    };
    let session = connector.join_offering(dialled, &opening).await?;
    let joined_at = Instant::now();
    let entered = session.entered();
    let mut attempt = AudioAttempt { connector, options, seen: Seen::default(), session: Some(session), live: None };
    let result = match connection {
        None => attempt.relayed().await,
        Some(Err(failure)) => Err(failure),
        Some(Ok(connection)) => attempt.direct(connection).await,
    };
    let AudioAttempt { seen, session, live, .. } = attempt;
    let finding = AudioFinding { elapsed: joined_at.elapsed(), seen, result };
    Ok(JoinedRoom { entered, joined_at, session, finding: Some(finding), live })
}

impl AudioAttempt<'_> {
    /// Straight; then, if nothing is to be forced and there is a relay, through that.
    async fn direct(&mut self, connection: AudioConnection) -> Result<Connected, AudioFailure> {
        let relays = self.session.as_ref().is_some_and(|session| !turn::advertised(&session.ice_servers).is_empty());
        let fall_back = self.options.transport.is_none() && relays;
        let left = self.connector.until.saturating_duration_since(Instant::now());
        let limit = DIRECT_LIMIT.min(if fall_back { left / 2 } else { left });
        let result = self.try_with(connection, Instant::now() + limit).await;
        match result {
            Err(failure @ (AudioFailure::NoConnection(_) | AudioFailure::NothingOffered)) if fall_back => {
                self.again().await?;
                match self.relayed().await {
                    Err(AudioFailure::NoConnection(_) | AudioFailure::NoAllocation) => Err(failure),
                    result => result,
                }
            }
            result => result,
        }
    }

    /// Through one of the advertised TURN servers after the other.
    async fn relayed(&mut self) -> Result<Connected, AudioFailure> {
        let started = Instant::now();
        let mut index = 0;
        loop {
            let session = self.session.as_ref().ok_or(AudioFailure::NoRelay)?;
            let mut turns = turn::advertised(&session.ice_servers);
            if turns.is_empty() {
                return Err(AudioFailure::NoRelay);
            }
            let left = self.connector.until.saturating_duration_since(Instant::now());
            if index >= turns.len() {
                let unsure = self.seen.relays.iter().any(|(_, failure)| matches!(failure, AudioFailure::OutOfTime(_)));
                let all = started.elapsed();
                return Err(if unsure { AudioFailure::OutOfTime(all) } else { AudioFailure::NoConnection(all) });
            } else if left.is_zero() {
                return Err(AudioFailure::OutOfTime(started.elapsed()));
            }
            let share = left / u32::try_from(turns.len() - index).unwrap_or(u32::MAX);
            let turn = turns.swap_remove(index);
            index += 1;
            match self.through(&turn, Instant::now() + share.min(RELAY_LIMIT)).await {
                Ok(connected) => {
                    self.seen.relay = Some(turn.url);
                    return Ok(connected);
                }
                Err(failure @ AudioFailure::Ended(_)) => return Err(failure),
                Err(failure) => self.seen.relays.push((turn.url, failure)),
            }
            let spoilt = self.session.as_ref().is_none_or(|session| session.offered);
            if spoilt && !turns.is_empty() && index <= turns.len() {
                self.again().await?;
            }
        }
    }

    async fn through(&mut self, turn: &Turn, until: Instant) -> Result<Connected, AudioFailure> {
        let started = Instant::now();
        let signal = self.session.as_ref().ok_or(AudioFailure::NoRelay)?.remote_ip;
        let opening = timeout_at(until, turn.open(self.connector.tools.tls, signal));
        let bridge = opening.await.map_err(|_| silence(started.elapsed()))??;
        let connection = AudioConnection::relayed(bridge, self.options.publish).await?;
        let session = self.session.as_mut().ok_or(AudioFailure::NoRelay)?;
        for message in connection.opening() {
            session.say(message).await.map_err(AudioFailure::Ended)?;
        }
        self.try_with(connection, until).await
    }

    async fn try_with(&mut self, mut connection: AudioConnection, until: Instant) -> Result<Connected, AudioFailure> {
        let session = self.session.as_mut().ok_or(AudioFailure::NoMedia)?;
        session.offered = true;
        let result = connect(session, &mut connection, until, &mut self.seen).await;
        if result.is_ok() {
            self.live = Some(connection);
        } else {
            connection.close().await;
        }
        if matches!(result, Err(AudioFailure::Ended(_))) {
            self.session = None;
        }
        result
    }

    async fn again(&mut self) -> Result<(), AudioFailure> {
        if let Some(session) = self.session.take() {
            session.leave().await;
        }
        let not_let_in = |_: JoinError| {
            AudioFailure::Ended(Ending::ConnectionLost("we left to try another way, and were not let in again".into()))
        };
        let dialled = self.connector.connect().await.map_err(|error| not_let_in(error.into()))?;
        self.session = Some(self.connector.join_offering(dialled, &[]).await.map_err(not_let_in)?);
        Ok(())
    }
}
