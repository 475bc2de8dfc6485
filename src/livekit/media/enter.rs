//! Joining with audio.

use std::net::IpAddr;

use tokio::time::Instant;

use super::connect::{Wanted, broken, connect, near};
use super::peer::{Event, Peer, Ways};
use super::{Failure, Finding, Inside, Seen, Transport};
use crate::livekit::dial::Failed;
use crate::livekit::door::Door;
use crate::livekit::signal::Ending;

/// For a direct connection.
const DIRECT_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

/// An audio connection that stands.
pub(in crate::livekit) struct Live {
    peer: Peer,
}

impl Live {
    /// Returns when it does not, any more.
    pub async fn broken(&mut self) -> Ending {
        loop {
            match self.peer.events.recv().await {
                Some(Event::Broken) => return Ending::Deaf,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Ends it. Takes a tenth of a second at most.
    pub async fn close(self) {
        self.peer.close().await;
    }
}

/// Joins and connects.
pub(in crate::livekit) async fn enter(door: &Door<'_>, transport: Option<Transport>) -> Result<Inside, Failed> {
    let connection = door.dial().await?;
    let local: IpAddr = near(connection.local);
    let wanted =
        Wanted { udp: transport != Some(Transport::Tcp), tcp: transport != Some(Transport::Udp), relay: false };
    let mut peer = Peer::offering(Ways::Direct { udp: wanted.udp, tcp: wanted.tcp }, local).await.map_err(broken);
    let opening = peer.as_ref().map(Peer::opening).unwrap_or_default();
    let mut session = door.join_offering(connection, &opening).await?;
    let joined_at = Instant::now();
    let mut seen = Seen::default();
    let until = door.until.min(joined_at + DIRECT_LIMIT);
    let result = match &mut peer {
        Ok(peer) => connect(&mut session, peer, wanted, until, &mut seen).await,
        Err(failure) => Err(failure.clone()),
    };
    let ended = matches!(result, Err(Failure::Ended(_)));
    let (joined, timings, server) = (session.joined.clone(), session.timings, session.peer());
    let live = match (&result, peer) {
        (Ok(_), Ok(peer)) => Some(Live { peer }),
        (_, Ok(peer)) => {
            peer.close().await;
            None
        }
        _ => None,
    };
    let finding = Finding { elapsed: joined_at.elapsed(), seen, result };
    Ok(Inside {
        joined,
        timings,
        peer: server,
        joined_at,
        session: (!ended).then_some(session),
        finding: Some(finding),
        live,
    })
}
