//! What the other side says that it hears (RFC 3550, 6.4.2). The library keeps RTCP to itself unless it is listened in on.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::sansio::Protocol;
use tokio::sync::mpsc::UnboundedSender;
use webrtc::error::{Error, Result};

/// Passes everything on, and tells of reception reports.
pub(super) struct Reports {
    told: UnboundedSender<ReceptionReport>,
    inward: VecDeque<TaggedPacket>,
    outward: VecDeque<TaggedPacket>,
}

impl Reports {
    pub fn to(told: UnboundedSender<ReceptionReport>) -> Self {
        Self { told, inward: VecDeque::new(), outward: VecDeque::new() }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Reports {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<()> {
        if let Packet::Rtcp(packets) = &packet.message.packet {
            let reports = packets.iter().filter_map(|packet| packet.as_any().downcast_ref::<ReceiverReport>());
            for report in reports.flat_map(|report| &report.reports) {
                // Nobody listens any more: nobody needs to know.
                let _ = self.told.send(report.clone());
            }
        }
        self.inward.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inward.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<()> {
        self.outward.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outward.pop_front()
    }
}

impl Interceptor for Reports {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
