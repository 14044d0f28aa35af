//! Who takes part in calls now, for those outside the shards who have to ask now and then.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

/// Names of those who have a transport, with the number of rooms. Written when somebody comes or goes, read when a relay
/// is asked to go on: neither is a packet.
#[derive(Clone, Default)]
pub(crate) struct Roster(Arc<RwLock<HashMap<String, usize>>>);

impl Roster {
    pub(crate) fn enter(&self, name: &str) {
        if let Ok(mut people) = self.0.write() {
            *people.entry(name.to_owned()).or_default() += 1;
        }
    }

    pub(crate) fn leave(&self, name: &str) {
        if let Ok(mut people) = self.0.write()
            && let Some(rooms) = people.get_mut(name)
        {
            *rooms -= 1;
            if *rooms == 0 {
                people.remove(name);
            }
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.read().is_ok_and(|people| people.contains_key(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_in_two_rooms_is_there_until_both_are_left() {
        let roster = Roster::default();
        roster.enter("ivan");
        roster.enter("ivan");
        roster.leave("ivan");
        assert!(roster.has("ivan"));
        roster.leave("ivan");
        roster.leave("ivan");
        assert!(!roster.has("ivan"));
    }
}
