//! Defects on purpose.

use std::str::FromStr;
use std::time::Duration;

/// One defect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// `drop=1%`: this share of the forwarded packets is not sent.
    Drop(f64),
    /// `stall=50ms`: the thread stands still for this long once a second.
    Stall(Duration),
    /// `leak=64`: this many bytes are lost for good with each forwarded packet.
    Leak(usize),
    /// `wrong-room=1%`: this share of the forwarded packets carries the payload of another room.
    WrongRoom(f64),
}

/// All defects of a forwarder; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// Share of packets that are dropped, 0 to 1.
    pub drop: f64,
    /// Standstill once a second.
    pub stall: Duration,
    /// Bytes lost per forwarded packet.
    pub leak: usize,
    /// Share of packets with another room's payload, 0 to 1.
    pub wrong_room: f64,
}

/// Not a defect that we know.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0:?} is no fault; there are drop=1%, stall=50ms, leak=64 (bytes a packet) and wrong-room=1%")]
pub struct FaultError(String);

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = || FaultError(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let share = || {
            let percent: f64 = value.trim_end_matches('%').parse().map_err(|_| wrong())?;
            if (0.0..=100.0).contains(&percent) {
                Ok(percent / 100.0)
            } else {
                Err(wrong())
            }
        };
        match name {
            "drop" => Ok(Self::Drop(share()?)),
            "wrong-room" => Ok(Self::WrongRoom(share()?)),
            "stall" => {
                let time = value.trim_end_matches("ms").parse().map_err(|_| wrong())?;
                Ok(Self::Stall(Duration::from_millis(time)))
            }
            "leak" => Ok(Self::Leak(value.parse().map_err(|_| wrong())?)),
            _ => Err(wrong()),
        }
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<T: IntoIterator<Item = Fault>>(faults: T) -> Self {
        let mut all = Self::default();
        for fault in faults {
            match fault {
                Fault::Drop(share) => all.drop = share,
                Fault::Stall(time) => all.stall = time,
                Fault::Leak(bytes) => all.leak = bytes,
                Fault::WrongRoom(share) => all.wrong_room = share,
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_written_as_people_write_them() {
        let texts = ["drop=1%", "stall=50ms", "leak=64", "wrong-room=0.5%"];
        let faults: Faults = texts.iter().map(|text| text.parse::<Fault>().unwrap()).collect();
        let expected = Faults {
            drop: 0.01,
            stall: Duration::from_millis(50),
            leak: 64,
            wrong_room: 0.005,
        };
        assert_eq!(faults, expected);
        for wrong in ["drop", "drop=x", "drop=101%", "crash=1"] {
            let error = wrong.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains("stall=50ms"), "{error}");
        }
    }
}
