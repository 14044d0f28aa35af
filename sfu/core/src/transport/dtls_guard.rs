//! What of a DTLS datagram reaches the library.
//!
//! Before the handshake ends anyone who can forge the peer's address can send records, and the library (rtc-dtls 0.21)
//! trusts them too much: it joins fragments by recursion (30,000 one-byte fragments overflow the stack), keeps fragments
//! and next-epoch records without counting records, lets a high record number in epoch 0 silence every later one, ends on a
//! plaintext alert, and takes a ChangeCipherSpec of epoch 1 without decrypting it. So records are counted and sorted out here, by their clear headers.

use super::DropReason;

/// Datagrams longer than this are no DTLS of ours (WebRTC keeps to a path MTU of at most 1,500; loopback and some VPNs
/// carry more).
const MAX_DATAGRAM: usize = 9_000;

/// Handshake records in epoch 0 per association, for its whole life. An honest handshake has about ten, and again as many
/// for each of a handful of retransmissions.
const MAX_CLEAR_RECORDS: u32 = 256;

/// Bytes of those records; a chain of large RSA certificates, several times.
const MAX_CLEAR_BYTES: usize = 64 * 1024;

/// Handshake and unreadable records of later epochs: before the handshake ends they are queued, afterwards (Finished,
/// repeated) their fragments are kept.
const MAX_NEXT_EPOCH_RECORDS: u32 = 64;

/// Record numbers of epoch 0 stay below this, and the library's replay window spans it: a forged record with a high number
/// cannot make the genuine ones "too old".
pub(crate) const MAX_CLEAR_SEQUENCE: u64 = 1024;

const HEADER: usize = 13;
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Counts of one association.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    clear_records: u32,
    clear_bytes: usize,
    next_epoch_records: u32,
}

/// A record that may reach the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The whole record, header included.
    pub(crate) bytes: &'a [u8],
    /// A clear handshake record: part of a ClientHello, perhaps.
    pub(crate) is_clear_handshake: bool,
}

impl Guard {
    /// Splits a datagram and hands what may pass to `pass`, in order. `established`: the handshake is complete.
    ///
    /// # Errors
    /// When nothing passed: why the last record did not. [`DropReason::Limit`] once a limit is reached, whatever passed.
    pub(crate) fn split<'a>(
        &mut self,
        datagram: &'a [u8],
        established: bool,
        mut pass: impl FnMut(Record<'a>),
    ) -> Result<(), DropReason> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(DropReason::Malformed);
        }
        let mut outcome = Err(DropReason::Malformed);
        let mut rest = datagram;
        while let Some(header) = rest.first_chunk::<HEADER>() {
            let len = HEADER + usize::from(u16::from_be_bytes([header[11], header[12]]));
            let Some((bytes, behind)) = rest.split_at_checked(len) else {
                return outcome;
            };
            rest = behind;
            match self.admit(header, len, established) {
                Ok(()) => {
                    let is_clear_handshake = header[0] == HANDSHAKE && epoch(header) == 0;
                    pass(Record {
                        bytes,
                        is_clear_handshake,
                    });
                    outcome = Ok(());
                }
                Err(DropReason::Limit) => return Err(DropReason::Limit),
                Err(reason) => outcome = outcome.or(Err(reason)),
            }
        }
        outcome
    }

    fn admit(&mut self, header: &[u8; HEADER], len: usize, established: bool) -> Result<(), DropReason> {
        // DTLS 1.0 in the record header is how a ClientHello begins; an empty record says nothing.
        if header[1] != 0xfe || !matches!(header[2], 0xff | 0xfd) || len == HEADER {
            return Err(DropReason::Malformed);
        }
        match (epoch(header), header[0]) {
            (0, HANDSHAKE) => {
                if sequence(header) >= MAX_CLEAR_SEQUENCE {
                    return Err(DropReason::NotAuthentic);
                }
                self.clear_records += 1;
                self.clear_bytes += len;
                if self.clear_records > MAX_CLEAR_RECORDS || self.clear_bytes > MAX_CLEAR_BYTES {
                    return Err(DropReason::Limit);
                }
                Ok(())
            }
            // Queued by the library until the keys are there, hence counted too.
            (0, CHANGE_CIPHER_SPEC) if !established && sequence(header) < MAX_CLEAR_SEQUENCE => self.count_next_epoch(),
            // A clear alert proves nothing: if the peer has really given up, the handshake times out.
            (0, _) => Err(DropReason::NotAuthentic),
            // The library does not decrypt these: a forged one would end the association or advance its epoch.
            (1, CHANGE_CIPHER_SPEC) => Err(DropReason::NotAuthentic),
            (1, APPLICATION_DATA) if established => Ok(()),
            (1, HANDSHAKE) => self.count_next_epoch(),
            (1, _) if established => Ok(()),
            (1, _) => self.count_next_epoch(),
            _ => Err(DropReason::NotAuthentic),
        }
    }

    fn count_next_epoch(&mut self) -> Result<(), DropReason> {
        self.next_epoch_records += 1;
        if self.next_epoch_records > MAX_NEXT_EPOCH_RECORDS {
            Err(DropReason::Limit)
        } else {
            Ok(())
        }
    }
}

fn epoch(header: &[u8; HEADER]) -> u16 {
    u16::from_be_bytes([header[3], header[4]])
}

fn sequence(header: &[u8; HEADER]) -> u64 {
    u64::from_be_bytes([0, 0, header[5], header[6], header[7], header[8], header[9], header[10]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(content_type: u8, epoch: u16, sequence: u64, body: &[u8]) -> Vec<u8> {
        let mut out = vec![content_type, 0xfe, 0xfd];
        out.extend(epoch.to_be_bytes());
        out.extend(&sequence.to_be_bytes()[2..]);
        out.extend((body.len() as u16).to_be_bytes());
        out.extend(body);
        out
    }

    fn passed(guard: &mut Guard, datagram: &[u8], established: bool) -> (usize, Result<(), DropReason>) {
        let mut passed = 0;
        let outcome = guard.split(datagram, established, |_| passed += 1);
        (passed, outcome)
    }

    #[test]
    fn handshake_records_pass_until_the_cap_and_then_the_association_has_failed() {
        let mut guard = Guard::default();
        for i in 0..256 {
            assert_eq!(
                passed(&mut guard, &record(HANDSHAKE, 0, i, &[1; 13]), false),
                (1, Ok(()))
            );
        }
        assert_eq!(
            passed(&mut guard, &record(HANDSHAKE, 0, 300, &[1; 13]), false),
            (0, Err(DropReason::Limit))
        );
        let mut guard = Guard::default();
        let datagram = record(HANDSHAKE, 0, 0, &vec![1; 8_000]);
        let taken = (0..20)
            .take_while(|_| passed(&mut guard, &datagram, false).1.is_ok())
            .count();
        assert_eq!(taken, 8, "64 KiB");
    }

    #[test]
    fn next_epoch_records_are_counted_before_the_handshake_ends() {
        let mut guard = Guard::default();
        let datagram = record(APPLICATION_DATA, 1, 0, &[0; 40]);
        let taken = (0..100_000)
            .take_while(|_| passed(&mut guard, &datagram, false).1.is_ok())
            .count();
        assert_eq!(taken, 64);
        assert_eq!(
            passed(&mut Guard::default(), &record(22, 2, 0, &[0; 40]), false),
            (0, Err(DropReason::NotAuthentic))
        );
    }

    #[test]
    fn clear_alerts_data_and_high_record_numbers_do_not_pass() {
        let mut guard = Guard::default();
        for content_type in [21, APPLICATION_DATA, 24, 99] {
            let datagram = record(content_type, 0, 0, &[2, 40]);
            assert_eq!(passed(&mut guard, &datagram, false), (0, Err(DropReason::NotAuthentic)));
        }
        let datagram = record(HANDSHAKE, 0, 1 << 40, &[1; 20]);
        assert_eq!(passed(&mut guard, &datagram, false), (0, Err(DropReason::NotAuthentic)));
    }

    #[test]
    fn application_data_is_not_counted_once_established() {
        let mut guard = Guard::default();
        for i in 0..10_000 {
            assert_eq!(
                passed(&mut guard, &record(APPLICATION_DATA, 1, i, &[0; 40]), true),
                (1, Ok(()))
            );
        }
    }

    proptest! {
        #[test]
        fn records_that_pass_are_whole_and_inside_the_datagram(datagram in prop::collection::vec(any::<u8>(), 0..300), e: bool) {
            let mut total = 0;
            let _ = Guard::default().split(&datagram, e, |r| total += r.bytes.len());
            prop_assert!(total <= datagram.len());
        }
    }
}
