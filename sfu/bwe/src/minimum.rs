//! The least value of the last while.

/// Minimum over a moving window of time, in buckets.
#[derive(Debug)]
pub(crate) struct Minimum<const N: usize> {
    bucket: i64,
    values: [i64; N],
    newest: i64,
}

impl<const N: usize> Minimum<N> {
    pub(crate) fn new(bucket: i64) -> Self {
        Self {
            bucket,
            values: [i64::MAX; N],
            newest: i64::MIN / 2,
        }
    }

    pub(crate) fn add(&mut self, now: i64, value: i64) {
        let bucket = now.div_euclid(self.bucket);
        if bucket - self.newest >= N as i64 {
            self.values = [i64::MAX; N];
        } else {
            for skipped in self.newest + 1..=bucket {
                self.values[skipped.rem_euclid(N as i64) as usize] = i64::MAX;
            }
        }
        self.newest = self.newest.max(bucket);
        let place = &mut self.values[bucket.rem_euclid(N as i64) as usize];
        *place = (*place).min(value);
    }

    pub(crate) fn get(&self) -> Option<i64> {
        self.values.iter().copied().filter(|v| *v != i64::MAX).min()
    }
}
