//! Requests for key frames on their way to whoever encodes. The library keeps RTCP to itself unless something in its chain
//! vouches for a packet.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Attribute, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;

/// Lets everything through, and marks key-frame requests for the owner of the track.
#[derive(Default)]
pub(super) struct KeyFrameRequests {
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

/// The stream that a packet asks a key frame of; `None` when it is about something else.
pub(super) fn wanted(packet: &dyn rtcp::Packet) -> Option<u32> {
    let packet = packet.as_any();
    if let Some(request) = packet.downcast_ref::<PictureLossIndication>() {
        return Some(request.media_ssrc);
    }
    let request = packet.downcast_ref::<FullIntraRequest>()?;
    Some(request.fir.first().map_or(request.media_ssrc, |entry| entry.ssrc))
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for KeyFrameRequests {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &packet.message.packet
            && packets.iter().any(|packet| wanted(packet.as_ref()).is_some())
        {
            packet.message.add(Attribute::DeliverToApplication);
        }
        self.inbound.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.outbound.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl Interceptor for KeyFrameRequests {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}

    fn unbind_local_stream(&mut self, _: &StreamInfo) {}

    fn bind_remote_stream(&mut self, _: &StreamInfo) {}

    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_for_key_frames_are_for_the_owner() {
        let loss = PictureLossIndication {
            sender_ssrc: 1,
            media_ssrc: 7,
        };
        assert_eq!(wanted(&loss), Some(7));
        let report = rtcp::receiver_report::ReceiverReport::default();
        assert_eq!(wanted(&report), None);
    }
}
