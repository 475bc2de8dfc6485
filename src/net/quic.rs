//! Whether somebody speaks QUIC at an address, without speaking it: a packet of a version that nobody has is answered with
//! the versions that there are (RFC 9000, 6.1). No connection is made, and nothing is left behind.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::reach::{Barred, Reach};

/// A version of the kind that is reserved to be answered like this (RFC 9000, 15).
const RESERVED_VERSION: u32 = 0x5a6a_7a8a;

/// Shorter packets are not answered (RFC 9000, 14.1).
const PACKET_SIZE: usize = 1200;

/// A connection id with its length before it.
pub type Id = [u8; 9];

/// Packets get lost: after this time another is sent, after twice the time the next.
const RESEND_AFTER: Duration = Duration::from_millis(300);

const ADDRESSES_MAX: usize = 6;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuicAnswer {
    pub address: SocketAddr,
    /// Without those that only keep clients flexible (RFC 9000, 15).
    pub versions: Vec<u32>,
    /// From the first packet to the answer.
    pub elapsed: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum QuicError {
    #[error("cannot be found in DNS: {0}")]
    NoAddress(io::Error),
    #[error("is not called: {0}")]
    Barred(Barred),
    /// No address lets packets in; of those that were tried, the first.
    #[error("cannot be reached by UDP ({address}: {cause})")]
    Unreachable { address: SocketAddr, cause: io::Error },
    #[error("does not answer by UDP within {} s", .0.as_secs_f32())]
    Silent(Duration),
}

/// Asks all addresses of a host at once; the first answer counts.
pub(crate) async fn ask(host: &str, port: u16, reach: &Reach, limit: Duration) -> Result<QuicAnswer, QuicError> {
    let until = Instant::now() + limit;
    let silent = |_| QuicError::Silent(limit);
    let addresses =
        timeout_at(until, lookup_host((host, port))).await.map_err(silent)?.map_err(QuicError::NoAddress)?;
    let addresses = reach.sift(host, addresses.take(ADDRESSES_MAX).collect()).await.map_err(QuicError::Barred)?;
    let one = |address| async move { ask_address(address).await.map_err(|cause| (address, cause)) };
    let mut probes: FuturesUnordered<_> = addresses.into_iter().map(one).collect();
    let mut first = None;
    while let Some(answer) = timeout_at(until, probes.next()).await.map_err(silent)? {
        match answer {
            Ok(answer) => return Ok(answer),
            Err((address, cause)) => drop(first.get_or_insert(QuicError::Unreachable { address, cause })),
        }
    }
    Err(first.unwrap_or_else(|| QuicError::NoAddress(io::Error::other("it has no address"))))
}

/// Asks again and again until there is an answer.
async fn ask_address(address: SocketAddr) -> io::Result<QuicAnswer> {
    let any: SocketAddr =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(address).await?;
    let mut ids = [[8; 9]; 2];
    for id in &mut ids {
        getrandom::fill(&mut id[1..]).map_err(io::Error::other)?;
    }
    let (question, started) = (question(&ids), Instant::now());
    let mut answer = [0; PACKET_SIZE];
    let mut wait = RESEND_AFTER;
    loop {
        socket.send(&question).await?;
        let pause = Instant::now() + wait;
        while let Ok(received) =
            timeout(pause.saturating_duration_since(Instant::now()), socket.recv(&mut answer)).await
        {
            if let Some(versions) = versions(&answer[..received?], &ids) {
                return Ok(QuicAnswer { address, versions, elapsed: started.elapsed() });
            }
        }
        wait *= 2;
    }
}

/// A long header, the ids of both sides, and nothing.
pub fn question([theirs, ours]: &[Id; 2]) -> Vec<u8> {
    let mut packet = vec![0b1100_0000];
    packet.extend(RESERVED_VERSION.to_be_bytes());
    packet.extend([*theirs, *ours].concat());
    packet.resize(PACKET_SIZE, 0);
    packet
}

/// The versions in an answer to this very question; `None` if it is something else.
pub fn versions(packet: &[u8], [theirs, ours]: &[Id; 2]) -> Option<Vec<u32>> {
    let (head, rest) = packet.split_at_checked(5)?;
    if head[0] & 0x80 == 0 || head[1..] != [0; 4] {
        return None;
    }
    // It comes back with the ids exchanged.
    let rest = rest.strip_prefix(ours)?.strip_prefix(theirs)?;
    let (versions, []) = rest.as_chunks::<4>() else { return None };
    let versions: Vec<_> = versions.iter().map(|version| u32::from_be_bytes(*version)).collect();
    (!versions.is_empty())
        .then(|| versions.into_iter().filter(|version| version & 0x0f0f_0f0f != 0x0a0a_0a0a).collect())
}
