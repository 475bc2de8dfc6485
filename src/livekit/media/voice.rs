//! A second of silence, said so that others hear it.

use std::sync::Arc;
use std::time::Duration;

use livekit_protocol as proto;
use proto::signal_request::Message as Request;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::MIME_TYPE_OPUS;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{MediaEngine, PeerConnection};

use super::{Silence, Spoken};
use crate::livekit::signal::SignalSession;
use crate::secret::excerpt;

/// What the server knows the track by, before it has a SID.
const TRACK: &str = "nest-check";
const PAYLOAD_TYPE: u8 = 111;
/// 20 ms of silence in Opus (RFC 6716): one frame, nothing in it.
const FRAME: &[u8] = &[0xf8, 0xff, 0xfe];
const FRAME_TIME: Duration = Duration::from_millis(20);
/// At 48 kHz.
const FRAME_SAMPLES: u32 = 960;
const FRAMES: u32 = 50;
/// For the server to say that it hears us: its reports come every second or so.
const LIMIT: Duration = Duration::from_secs(6);

pub(super) struct Voice {
    track: Arc<TrackLocalStaticRTP>,
    ssrc: u32,
    reports: UnboundedReceiver<ReceptionReport>,
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.into(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".into(),
        rtcp_feedback: Vec::new(),
    }
}

/// All codecs that a voice needs.
pub(super) fn codecs() -> webrtc::error::Result<MediaEngine> {
    let mut engine = MediaEngine::default();
    let codec = RTCRtpCodecParameters { rtp_codec: opus(), payload_type: PAYLOAD_TYPE };
    engine.register_codec(codec, RtpCodecKind::Audio)?;
    Ok(engine)
}

impl Voice {
    /// Adds a track to the connection, before its offer. `reports` has what [`super::reports`] hears there.
    pub async fn on(
        connection: &Arc<dyn PeerConnection>,
        reports: UnboundedReceiver<ReceptionReport>,
    ) -> webrtc::error::Result<Self> {
        let ssrc = getrandom::u32().unwrap_or(1);
        let coding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
            codec: opus(),
            ..Default::default()
        };
        let track = MediaStreamTrack::new(TRACK.into(), TRACK.into(), TRACK.into(), RtpCodecKind::Audio, vec![coding]);
        let track = Arc::new(TrackLocalStaticRTP::new(track));
        connection.add_track(track.clone()).await?;
        Ok(Self { track, ssrc, reports })
    }

    pub fn announcement() -> Request {
        Request::AddTrack(proto::AddTrackRequest {
            cid: TRACK.into(),
            name: TRACK.into(),
            r#type: proto::TrackType::Audio.into(),
            source: proto::TrackSource::Microphone.into(),
            disable_red: true,
            ..Default::default()
        })
    }

    /// Is silent for a second, and longer if the server has not confirmed by then that it hears that.
    pub async fn speak(&mut self, session: &mut SignalSession, until: Instant) -> Result<Spoken, Silence> {
        let started = Instant::now();
        let until = until.min(started + LIMIT);
        let mut frames = interval(FRAME_TIME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let first = getrandom::u32().unwrap_or(0) >> 17;
        let (mut sent, mut heard, mut lost) = (0_u32, None, 0);
        loop {
            if let (FRAMES.., Some(heard), Some(sid)) = (sent, heard, &session.published) {
                return Ok(Spoken { sid: sid.clone(), sent, heard, lost });
            }
            if let Some(why) = &session.refused {
                return Err(Silence::Refused(why.clone()));
            }
            tokio::select! {
                _ = frames.tick() => {
                    self.send(first, sent).await.map_err(Silence::Broken)?;
                    sent += 1;
                }
                message = session.next() => { message.map_err(Silence::Ended)?; }
                Some(report) = self.reports.recv() => if report.ssrc == self.ssrc {
                    // Sixteen bits are enough for a minute of frames.
                    let reached = report.last_sequence_number.wrapping_sub(first).wrapping_add(1) & 0xffff;
                    lost = report.total_lost;
                    heard = Some(reached.min(sent).saturating_sub(lost)).filter(|heard| *heard > 0).or(heard);
                },
                () = sleep_until(until) => {
                    return Err(match session.published {
                        Some(_) => Silence::Unheard(sent),
                        None => Silence::Unacknowledged(started.elapsed()),
                    });
                }
            }
        }
    }

    async fn send(&self, first: u32, index: u32) -> Result<(), String> {
        let number = first.wrapping_add(index) & 0xffff;
        let header = rtc::rtp::Header {
            version: 2,
            marker: index == 0,
            payload_type: PAYLOAD_TYPE,
            sequence_number: u16::try_from(number).unwrap_or_default(),
            timestamp: index.wrapping_mul(FRAME_SAMPLES),
            ssrc: self.ssrc,
            ..Default::default()
        };
        let packet = rtc::rtp::Packet { header, payload: FRAME.into() };
        self.track.write_rtp(packet).await.map_err(|error| excerpt(&error.to_string()))
    }
}
