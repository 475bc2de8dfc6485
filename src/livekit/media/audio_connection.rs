//! One peer connection: built, offered, answered, watched, closed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::ice::network_type::NetworkType;
use rtc::interceptor::{Registry, Slot};
use rtc::rtcp::reception_report::ReceptionReport;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceCandidateType, RTCIceGatheringState, RTCIceProtocol, RTCIceTransportPolicy,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, RTCSessionDescription, RTCStatsReportEntry,
    SettingEngineBuilder, StatsSelector,
};

use super::reports::Reports;
use super::runtime::Host;
use super::turn::TurnBridge;
use super::voice::{self, Voice};
use super::{AudioFailure, Connected, Silence, Spoken, Transport};
use crate::livekit::signal::{Ending, SignalSession};
use crate::secret::excerpt;

/// How often each pair of addresses is tried.
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// How often a port is looked for that is free at each of this machine's addresses.
const ATTEMPTS: u32 = 10;

#[derive(Debug)]
pub(super) enum AudioEvent {
    /// To be told to the server, as it wants to read it.
    Candidate(String),
    Gathered,
    Connected,
    Broken,
}

/// A peer connection. Ends with all its tasks and sockets when it is dropped.
pub(in crate::livekit) struct AudioConnection {
    connection: Arc<dyn PeerConnection>,
    host: Arc<Host>,
    /// The one way that it may take; UDP or TCP, if there is none.
    pub(super) transport: Option<Transport>,
    /// Carries its packets to a TURN server.
    _bridge: Option<TurnBridge>,
    pub(super) events: UnboundedReceiver<AudioEvent>,
    offer: proto::SessionDescription,
    pub(super) voice: Option<Voice>,
    /// Candidates that came before the answer.
    early: Option<Vec<RTCIceCandidateInit>>,
}

struct Handler(UnboundedSender<AudioEvent>);

impl Handler {
    fn tell(&self, event: AudioEvent) {
        // Nobody listens any more: nobody needs to know.
        let _ = self.0.send(event);
    }
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let text = event.candidate.to_json().ok().and_then(|init| serde_json::to_string(&init).ok());
        if let Some(text) = text {
            self.tell(AudioEvent::Candidate(text));
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.tell(AudioEvent::Gathered);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        match state {
            RTCPeerConnectionState::Connected => self.tell(AudioEvent::Connected),
            RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed => self.tell(AudioEvent::Broken),
            _ => {}
        }
    }
}

/// A peer connection with its sockets, before anything is offered.
struct Unconnected {
    connection: Arc<dyn PeerConnection>,
    host: Arc<Host>,
    events: UnboundedReceiver<AudioEvent>,
    reports: UnboundedReceiver<ReceptionReport>,
}

impl Unconnected {
    async fn new(
        transport: Option<Transport>,
        near: IpAddr,
        bridge: Option<&TurnBridge>,
        publish: bool,
    ) -> webrtc::error::Result<Self> {
        let (udp, tcp) = (takes_udp(transport), takes_tcp(transport));
        let policy = if bridge.is_some() { RTCIceTransportPolicy::Relay } else { RTCIceTransportPolicy::All };
        let servers = bridge.iter().map(|bridge| bridge.server.clone()).collect();
        let claimed = addresses(near);
        let host = Arc::new(Host::new(claimed.clone()));
        let mut types = Vec::new();
        types.extend(udp.then_some([NetworkType::Udp4, NetworkType::Udp6]).into_iter().flatten());
        types.extend(tcp.then_some([NetworkType::Tcp4, NetworkType::Tcp6]).into_iter().flatten());
        let settings = SettingEngineBuilder::new()
            // It is on by default, and fails where there is no multicast route.
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_include_loopback_candidate(true)
            .with_network_types(types)
            // Whatever works is good, at once; how long to go on trying is decided elsewhere.
            .with_host_acceptance_min_wait(Some(Duration::ZERO))
            .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
            .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
            .with_relay_acceptance_min_wait(Some(Duration::ZERO))
            .with_ice_connection_attempts(Some(CHECK_EVERY), Some(1000))
            .build();
        let (sender, events) = unbounded_channel();
        let bound = |wanted| if wanted { claimed.clone() } else { Vec::new() };
        let (told, reports) = unbounded_channel();
        let building = PeerConnectionBuilder::new()
            .with_configuration(
                RTCConfigurationBuilder::new().with_ice_servers(servers).with_ice_transport_policy(policy).build(),
            )
            .with_setting_engine(settings)
            .with_media_engine(if publish { voice::codecs()? } else { MediaEngine::default() })
            .with_interceptor_registry(Registry::new().with(Slot::Custom(0), Reports::to(told)))
            .with_runtime(host.clone())
            .with_handler(Arc::new(Handler(sender)))
            .with_udp_addrs(bound(udp))
            .with_tcp_addrs(bound(tcp))
            .build();
        // The future is too large for the stack.
        let connection = Arc::new(Box::pin(building).await?);
        Ok(Self { connection, host, events, reports })
    }
}

impl AudioConnection {
    /// Straight to the server. `near` is an address of this machine that is known to reach the server's house.
    ///
    /// # Errors
    /// [`AudioFailure::NotBegun`], also of [`Self::relayed`].
    pub(super) async fn direct(
        transport: Option<Transport>,
        near: IpAddr,
        publish: bool,
    ) -> Result<Self, AudioFailure> {
        Self::begun(transport, near, None, publish).await
    }

    /// Through a TURN server, and in no other way.
    pub(super) async fn relayed(bridge: TurnBridge, publish: bool) -> Result<Self, AudioFailure> {
        Self::begun(Some(Transport::Relay), bridge.near, Some(bridge), publish).await
    }

    async fn begun(
        transport: Option<Transport>,
        near: IpAddr,
        bridge: Option<TurnBridge>,
        publish: bool,
    ) -> Result<Self, AudioFailure> {
        let mut attempts = 1;
        let unconnected = loop {
            // The crate does not say what kind of error it is; the one that passes is a port that somebody else has.
            match Unconnected::new(transport, near, bridge.as_ref(), publish).await {
                Err(_) if attempts < ATTEMPTS => attempts += 1,
                built => break built,
            }
        };
        let offering = async { Self::offering(unconnected?, transport, bridge, publish).await };
        offering.await.map_err(|error| AudioFailure::NotBegun(excerpt(&error.to_string())))
    }

    async fn offering(
        Unconnected { connection, host, events, reports }: Unconnected,
        transport: Option<Transport>,
        bridge: Option<TurnBridge>,
        publish: bool,
    ) -> webrtc::error::Result<Self> {
        let mut this = Self {
            connection,
            host,
            transport,
            _bridge: bridge,
            events,
            offer: proto::SessionDescription::default(),
            voice: None,
            early: Some(Vec::new()),
        };
        if publish {
            this.voice = Some(Voice::on(&this.connection, reports).await?);
        }
        this.connection.create_data_channel("_reliable", None).await?;
        let offer = this.connection.create_offer(None).await?;
        this.offer = proto::SessionDescription { r#type: "offer".into(), sdp: offer.sdp.clone(), ..Default::default() };
        this.connection.set_local_description(offer).await?;
        Ok(this)
    }

    pub(super) fn opening(&self) -> Vec<Request> {
        let announcement = self.voice.as_ref().map(|_| Voice::announcement());
        announcement.into_iter().chain([Request::Offer(self.offer.clone())]).collect()
    }

    pub(super) async fn answered(&mut self, sdp: String) -> webrtc::error::Result<()> {
        self.connection.set_remote_description(RTCSessionDescription::answer(sdp)?).await?;
        for candidate in self.early.take().unwrap_or_default() {
            self.connection.add_ice_candidate(candidate).await?;
        }
        Ok(())
    }

    pub(super) async fn call(&mut self, candidate: RTCIceCandidateInit) -> webrtc::error::Result<()> {
        match &mut self.early {
            Some(early) => early.push(candidate),
            None => self.connection.add_ice_candidate(candidate).await?,
        }
        Ok(())
    }

    /// Connects to a TCP candidate, which may be added with [`Self::call`] after that.
    pub(super) fn open_tcp(&self, address: SocketAddr) -> impl Future<Output = io::Result<()>> + use<> {
        let host = self.host.clone();
        async move { host.open_tcp(address).await }
    }

    pub(super) async fn connected(&self) -> Option<Connected> {
        self.host.calm_down();
        let transport = self.connection.sctp().await?.transport().ice_transport();
        let pair = transport.get_selected_candidate_pair().await.ok()??;
        let (local, remote) = (pair.local(), pair.remote());
        let protocol = match (local.typ, local.protocol) {
            (RTCIceCandidateType::Relay, _) => Transport::Relay,
            (_, RTCIceProtocol::Tcp) => Transport::Tcp,
            _ => Transport::Udp,
        };
        let remote = SocketAddr::new(remote.address.parse().ok()?, remote.port);
        let source = source(remote).filter(|_| protocol != Transport::Relay);
        let local = SocketAddr::new(source.or_else(|| local.address.parse().ok())?, local.port);
        let stats = self.connection.get_stats(Instant::now(), StatsSelector::None).await;
        let rtt = stats.iter().find_map(|entry| match entry {
            RTCStatsReportEntry::IceCandidatePair(pair) if pair.nominated => Some(pair.current_round_trip_time),
            _ => None,
        });
        let rtt = rtt.filter(|seconds| *seconds > 0.0).map(Duration::from_secs_f64);
        Some(Connected { protocol, local, remote, rtt })
    }

    /// Is silent for a second, audibly.
    pub async fn speak(&mut self, session: &mut SignalSession, until: tokio::time::Instant) -> Result<Spoken, Silence> {
        match &mut self.voice {
            Some(voice) => voice.speak(session, until).await,
            None => Err(Silence::NotAllowed),
        }
    }

    pub async fn broken(&mut self) -> Ending {
        loop {
            match self.events.recv().await {
                Some(AudioEvent::Broken) => return Ending::Deaf,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Says goodbye to the other side and ends. Takes a tenth of a second at most.
    pub async fn close(self) {
        let _ = self.connection.close().await;
    }
}

impl Drop for AudioConnection {
    fn drop(&mut self) {
        self.host.end();
    }
}

pub(super) fn takes_udp(transport: Option<Transport>) -> bool {
    transport != Some(Transport::Tcp)
}

pub(super) fn takes_tcp(transport: Option<Transport>) -> bool {
    matches!(transport, None | Some(Transport::Tcp))
}

/// An address of each family that this machine has: `near`, and the one from which the world would be called.
fn addresses(near: IpAddr) -> Vec<SocketAddr> {
    // Documentation addresses (RFC 5737, RFC 3849): nothing is sent.
    let far = [IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
    let far = far.into_iter().filter(|ip| ip.is_ipv4() != near.is_ipv4());
    let other = far.filter_map(|ip| source(SocketAddr::new(ip, 9)));
    std::iter::once(near).chain(other).map(|ip| SocketAddr::new(ip, 0)).collect()
}

/// The address of this machine from which the system would call `remote`; `None` without a route. Sends nothing.
pub(super) fn source(remote: SocketAddr) -> Option<IpAddr> {
    let any = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
