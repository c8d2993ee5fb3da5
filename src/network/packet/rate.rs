//! Limits bytes a second, for each direction of the whole sandbox, without loss: a token bucket that may go into debt by one send. Who
//! finds it empty waits; the windows of TCP do the rest.

/// Microseconds since some moment.
pub type Time = u64;

const SECOND: u64 = 1_000_000;

/// One direction.
#[derive(Debug)]
pub struct Bucket {
    rate: u64,
    level: i64,
    filled: Time,
}

impl Bucket {
    /// Full at the beginning.
    pub fn new(rate: u64, now: Time) -> Bucket {
        let mut bucket = Bucket { rate: rate.max(1), level: 0, filled: now };
        bucket.level = bucket.depth();
        bucket
    }

    /// What flows in 50 ms, and at least one packet of a usual size.
    fn depth(&self) -> i64 {
        i64::try_from(self.rate / 20).unwrap_or(i64::MAX).max(1500)
    }

    fn fill(&mut self, now: Time) {
        let passed = now.saturating_sub(self.filled).min(3600 * SECOND);
        let amount = u128::from(passed) * u128::from(self.rate) / u128::from(SECOND);
        // The time of a fraction of a byte is not lost.
        let used = amount * u128::from(SECOND) / u128::from(self.rate);
        self.filled = self.filled.max(now.saturating_sub(passed)) + u64::try_from(used).unwrap_or(0);
        self.level = self.level.saturating_add(i64::try_from(amount).unwrap_or(i64::MAX)).min(self.depth());
    }

    /// How many bytes may go now; 0: wait.
    pub fn available(&mut self, now: Time) -> usize {
        self.fill(now);
        if self.level <= 0 { 0 } else { usize::try_from(self.level.max(1500)).unwrap_or(usize::MAX) }
    }

    /// Whether it owes more than a quarter of a second.
    pub fn owes_much(&mut self, now: Time) -> bool {
        self.fill(now);
        self.level < -self.depth().saturating_mul(5)
    }

    /// Takes bytes out.
    pub fn take(&mut self, count: usize) {
        self.level = self.level.saturating_sub(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// When something may go again.
    pub fn when(&self, now: Time) -> Time {
        let missing = u128::from(self.level.min(0).unsigned_abs()) + 1;
        let wait = missing * u128::from(SECOND) / u128::from(self.rate) + 1;
        now.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX))
    }
}

/// Both directions, and without a limit neither.
#[derive(Debug, Default)]
pub struct Rate {
    /// From the sandbox.
    pub up: Option<Bucket>,
    /// To the sandbox.
    pub down: Option<Bucket>,
}

impl Rate {
    /// Sets the limit; the same again changes nothing.
    pub fn set(&mut self, rate: Option<u64>, now: Time) {
        if self.up.as_ref().map(|bucket| bucket.rate) != rate {
            self.up = rate.map(|rate| Bucket::new(rate, now));
            self.down = rate.map(|rate| Bucket::new(rate, now));
        }
    }

    /// When the first of those who wait may go on.
    pub fn when(&self, now: Time) -> Time {
        let empty = [&self.up, &self.down].into_iter().flatten().filter(|bucket| bucket.level <= 0);
        empty.map(|bucket| bucket.when(now)).min().unwrap_or(now).min(now + SECOND)
    }
}

/// How many bytes of `wanted` a direction lets go now.
pub fn allowed(bucket: &mut Option<Bucket>, now: Time, wanted: usize) -> usize {
    bucket.as_mut().map_or(wanted, |bucket| bucket.available(now).min(wanted))
}

/// Takes bytes out of a direction.
pub fn take(bucket: &mut Option<Bucket>, count: usize) {
    if let Some(bucket) = bucket {
        bucket.take(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lets_a_second_s_bytes_go() {
        let mut bucket = Some(Bucket::new(1_000_000, 0));
        let (mut now, mut sent) = (0, 0);
        while now < SECOND {
            let count = allowed(&mut bucket, now, 65480);
            take(&mut bucket, count);
            sent += count;
            now = if count == 0 { bucket.as_ref().map_or(now, |bucket| bucket.when(now)) } else { now };
        }
        // What the bucket held at first comes on top.
        assert!((1_000_000..=1_060_000).contains(&sent), "{sent}");
    }

    #[test]
    fn a_slow_rate_loses_no_fraction() {
        let mut bucket = Bucket::new(3, 0);
        bucket.take(1500);
        (1..=1000).for_each(|step| bucket.fill(step * 10_000));
        assert_eq!(bucket.level, 30);
    }
}
