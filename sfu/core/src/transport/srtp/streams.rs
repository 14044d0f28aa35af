//! State by SSRC: a sorted vector, because a transport has tens of streams, lookups are per packet, and the order of a
//! hash map would depend on a hidden random number.

use crate::transport::MAX_SSRCS;

/// The table is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// At most [`MAX_SSRCS`] values by SSRC.
#[derive(Debug)]
pub(crate) struct Streams<T> {
    sorted: Vec<(u32, T)>,
}

impl<T> Streams<T> {
    pub(crate) fn new() -> Self {
        Self { sorted: Vec::new() }
    }

    pub(crate) fn get(&self, ssrc: u32) -> Option<&T> {
        let at = self.sorted.binary_search_by_key(&ssrc, |(key, _)| *key).ok()?;
        self.sorted.get(at).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, ssrc: u32) -> Option<&mut T> {
        let at = self.sorted.binary_search_by_key(&ssrc, |(key, _)| *key).ok()?;
        self.sorted.get_mut(at).map(|(_, value)| value)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.sorted.len() >= MAX_SSRCS
    }

    /// Adds an SSRC that is not there yet.
    pub(crate) fn insert(&mut self, ssrc: u32, value: T) -> Result<(), Full> {
        if self.is_full() {
            return Err(Full);
        }
        if let Err(at) = self.sorted.binary_search_by_key(&ssrc, |(key, _)| *key) {
            self.sorted.insert(at, (ssrc, value));
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }
}
