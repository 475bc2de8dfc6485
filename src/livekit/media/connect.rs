//! From the offer to a connection that stands, or to what was in its way.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use webrtc::peer_connection::RTCIceCandidateInit;

use super::audio_connection::{AudioConnection, AudioEvent, source, takes_tcp, takes_udp};
use super::offered::{self, Offered};
use super::{AudioFailure, Connected, Seen, Transport};
use crate::livekit::signal::SignalSession;
use crate::net::dial::DialLayer;
use crate::net::io_text;
use crate::secret::excerpt;

/// UDP is tried alone for so long. Then TCP may win, and UDP counts as blocked.
const HEAD_START: Duration = Duration::from_millis(750);
/// For the answer to our offer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// The same from a server that names no ICE servers, which LiveKit always does.
const DOUBTFUL_LIMIT: Duration = Duration::from_millis(50);

/// Addresses that are taken from a server; LiveKit has a few.
const OFFERED_MAX: usize = 64;
/// Those of them that are connected to by TCP.
const DIALS_MAX: usize = 8;

/// Whoever has been silent for so long does not answer.
const ENOUGH: Duration = Duration::from_secs(3);

struct Attempt<'a> {
    session: &'a mut SignalSession,
    connection: &'a mut AudioConnection,
    seen: &'a mut Seen,
    /// TCP candidates that are being connected to.
    calls: JoinSet<(RTCIceCandidateInit, SocketAddr, io::Result<()>)>,
    offers: usize,
    dials: usize,
    /// Those that are connected, and held back.
    held: Vec<RTCIceCandidateInit>,
    released: bool,
    answered: bool,
    allocated: bool,
}

/// Connects `connection`, whose offer is on its way already.
pub(super) async fn connect(
    session: &mut SignalSession,
    connection: &mut AudioConnection,
    until: Instant,
    seen: &mut Seen,
) -> Result<Connected, AudioFailure> {
    let started = Instant::now();
    let doubtful = session.ice_servers.is_empty();
    let patience = if doubtful {
        DOUBTFUL_LIMIT + 2 * session.timings.of(DialLayer::WebSocket).unwrap_or_default()
    } else {
        ANSWER_LIMIT
    };
    let answer_until = until.min(started + patience);
    let udp = takes_udp(connection.transport);
    let mut attempt = Attempt {
        session,
        connection,
        seen,
        calls: JoinSet::new(),
        offers: 0,
        dials: 0,
        held: Vec::new(),
        released: !udp,
        answered: false,
        allocated: false,
    };
    loop {
        tokio::select! {
            message = attempt.session.next() => attempt.hear(message.map_err(AudioFailure::Ended)?).await?,
            Some(event) = attempt.connection.events.recv() => if let Some(connected) = attempt.note(event).await? {
                return Ok(connected);
            },
            Some(Ok((candidate, address, result))) = attempt.calls.join_next() => {
                attempt.called(candidate, address, result).await?;
            }
            () = sleep_until(started + HEAD_START), if !attempt.released => attempt.release().await?,
            () = sleep_until(answer_until), if !attempt.answered => {
                let spent = started.elapsed();
                return Err(match doubtful {
                    true => AudioFailure::NoMedia,
                    false if spent < ANSWER_LIMIT => AudioFailure::OutOfTime(spent),
                    false => AudioFailure::NoAnswer(spent),
                });
            }
            () = sleep_until(until) => return Err(silence(started.elapsed())),
        }
    }
}

impl Attempt<'_> {
    async fn hear(&mut self, message: Response) -> Result<(), AudioFailure> {
        match message {
            Response::Answer(answer) => {
                self.answered = true;
                // What it offers there is judged like everything else.
                let (offered, rest) = offered::split(&answer.sdp);
                self.connection.answered(rest).await.map_err(broken)?;
                for candidate in offered {
                    let (candidate, sdp_mline_index) = (candidate.to_owned(), Some(0));
                    self.offered(RTCIceCandidateInit { candidate, sdp_mline_index, ..Default::default() }).await?;
                }
                Ok(())
            }
            Response::Trickle(trickle) if trickle.target == i32::from(proto::SignalTarget::Publisher) => {
                if let Ok(candidate) = serde_json::from_str::<RTCIceCandidateInit>(&trickle.candidate_init) {
                    self.offered(candidate).await?;
                }
                if trickle.r#final {
                    self.all_offered().await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn offered(&mut self, candidate: RTCIceCandidateInit) -> Result<(), AudioFailure> {
        let Some(offered) = Offered::read(&candidate.candidate) else { return Ok(()) };
        self.offers += 1;
        if self.offers > OFFERED_MAX {
            return Ok(());
        }
        if !self.seen.offered.contains(&offered) {
            self.seen.offered.push(offered);
            if source(offered.address).is_none() {
                self.seen.unroutable.push(offered.address.ip());
            }
        }
        if offered::aims_inside(offered.address.ip(), self.session.remote_ip) {
            return Ok(());
        }
        match offered.transport {
            Transport::Tcp if takes_tcp(self.connection.transport) && self.dials < DIALS_MAX => {
                self.dials += 1;
                let opening = self.connection.open_tcp(offered.address);
                self.calls.spawn(async move { (candidate, offered.address, opening.await) });
                Ok(())
            }
            Transport::Udp | Transport::Relay if takes_udp(self.connection.transport) => {
                self.connection.call(candidate).await.map_err(broken)
            }
            _ => Ok(()),
        }
    }

    async fn all_offered(&mut self) -> Result<(), AudioFailure> {
        let transport = self.connection.transport;
        let any = |wanted: bool, tcp: bool| {
            wanted && self.seen.offered.iter().any(|offered| (offered.transport == Transport::Tcp) == tcp)
        };
        match (any(takes_udp(transport), false), any(takes_tcp(transport), true)) {
            (false, false) => Err(AudioFailure::NothingOffered),
            (false, true) => self.release().await,
            _ => Ok(()),
        }
    }

    async fn release(&mut self) -> Result<(), AudioFailure> {
        self.released = true;
        for candidate in std::mem::take(&mut self.held) {
            self.connection.call(candidate).await.map_err(broken)?;
        }
        Ok(())
    }

    async fn called(
        &mut self,
        candidate: RTCIceCandidateInit,
        address: SocketAddr,
        result: io::Result<()>,
    ) -> Result<(), AudioFailure> {
        let connected = result.is_ok();
        self.seen.tcp.push((address, result.map_err(|error| io_text(&error).to_lowercase())));
        match (connected, self.released) {
            (true, true) => self.connection.call(candidate).await.map_err(broken)?,
            (true, false) => self.held.push(candidate),
            (false, _) => {}
        }
        Ok(())
    }

    async fn note(&mut self, event: AudioEvent) -> Result<Option<Connected>, AudioFailure> {
        let (candidate_init, r#final) = match event {
            AudioEvent::Candidate(text) => {
                self.allocated |= text.contains("typ relay");
                (text, false)
            }
            AudioEvent::Gathered if self.connection.transport == Some(Transport::Relay) && !self.allocated => {
                return Err(AudioFailure::NoAllocation);
            }
            AudioEvent::Gathered => (r#"{"candidate":""}"#.to_owned(), true),
            AudioEvent::Connected => {
                let connected = self.connection.connected().await;
                return connected
                    .map(Some)
                    .ok_or_else(|| AudioFailure::Broken("no pair of addresses was chosen".into()));
            }
            AudioEvent::Broken => return Err(AudioFailure::Broken("the connection was given up".into())),
        };
        let target = proto::SignalTarget::Publisher.into();
        let trickle = proto::TrickleRequest { candidate_init, target, r#final };
        self.session.say(Request::Trickle(trickle)).await.map_err(AudioFailure::Ended)?;
        Ok(None)
    }
}

pub(super) fn silence(time: Duration) -> AudioFailure {
    if time < ENOUGH { AudioFailure::OutOfTime(time) } else { AudioFailure::NoConnection(time) }
}

pub(super) fn broken(error: impl std::fmt::Display) -> AudioFailure {
    AudioFailure::Broken(excerpt(&error.to_string()))
}
