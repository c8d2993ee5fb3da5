//! Which names led to an address: what makes a rule about a name hold for an address.
//!
//! Kept as long as the answer lives, a minute more, since programs keep addresses longer than they should, and as long as a connection
//! to the address lives. Bounded: the oldest go first, and a program then has to ask again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a name holds beyond its time to live.
pub const GRACE: Duration = Duration::from_secs(60);
/// The longest time to live that is believed.
pub const LONGEST: Duration = Duration::from_secs(86_400);
/// Addresses at most.
const MOST_ADDRESSES: usize = 4096;
/// Names of one address at most.
const MOST_NAMES: usize = 32;

/// All names and where they led.
#[derive(Debug, Default)]
pub struct Bindings {
    bound: HashMap<IpAddr, Vec<(String, Instant)>>,
    held: HashMap<IpAddr, u32>,
}

impl Bindings {
    /// The sandbox asked for `name` and was told `address`, for this long.
    pub fn bind(&mut self, name: &str, address: IpAddr, lives: Duration, now: Instant) {
        let address = address.to_canonical();
        let until = now + lives.min(LONGEST) + GRACE;
        if !self.bound.contains_key(&address) && self.bound.len() >= MOST_ADDRESSES {
            self.make_room(now);
        }
        let names = self.bound.entry(address).or_default();
        if let Some((_, end)) = names.iter_mut().find(|(own, _)| own == name) {
            *end = until.max(*end);
            return;
        }
        if names.len() >= MOST_NAMES
            && let Some(oldest) = names.iter().enumerate().min_by_key(|(_, (_, end))| *end).map(|(index, _)| index)
        {
            names.swap_remove(oldest);
        }
        names.push((name.to_owned(), until));
    }

    /// The names that led to an address.
    pub fn names(&self, address: IpAddr, now: Instant) -> Vec<String> {
        let address = address.to_canonical();
        let held = self.held.contains_key(&address);
        let names = self.bound.get(&address).into_iter().flatten();
        names.filter(|(_, until)| held || *until > now).map(|(name, _)| name.clone()).collect()
    }

    /// A connection to the address lives.
    pub fn hold(&mut self, address: IpAddr) {
        *self.held.entry(address.to_canonical()).or_default() += 1;
    }

    /// A connection to the address has ended.
    pub fn release(&mut self, address: IpAddr) {
        let address = address.to_canonical();
        if let Some(count) = self.held.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.held.remove(&address);
            }
        }
    }

    /// Drops what has expired; if that is nothing, the address whose names expire first.
    fn make_room(&mut self, now: Instant) {
        let held = &self.held;
        let before = self.bound.len();
        self.bound.retain(|address, names| held.contains_key(address) || names.iter().any(|(_, until)| *until > now));
        if self.bound.len() < before {
            return;
        }
        let latest = |names: &Vec<(String, Instant)>| names.iter().map(|(_, until)| *until).max();
        let free = self.bound.iter().filter(|(address, _)| !held.contains_key(address));
        let first = free.min_by_key(|(_, names)| latest(names)).map(|(address, _)| *address);
        // Where a connection lives to each of them, one is dropped all the same: what is bounded stays bounded.
        if let Some(address) = first.or_else(|| self.bound.keys().next().copied()) {
            self.bound.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(93, 184, 216, 34));

    #[test]
    fn a_name_holds_a_minute_longer_than_its_answer_and_as_long_as_a_connection_lives() {
        let (mut bindings, now) = (Bindings::default(), Instant::now());
        bindings.bind("a.example", A, Duration::from_secs(5), now);
        assert_eq!(bindings.names(A, now + Duration::from_secs(64)), ["a.example"]);
        assert!(bindings.names(A, now + Duration::from_secs(66)).is_empty());
        bindings.hold(A);
        assert_eq!(bindings.names(A, now + Duration::from_secs(6600)), ["a.example"]);
        bindings.release(A);
        assert!(bindings.names(A, now + Duration::from_secs(66)).is_empty());
    }

    #[test]
    fn bindings_are_bounded_and_those_that_expire_first_go_first() {
        let (mut bindings, now) = (Bindings::default(), Instant::now());
        for number in 0..6000_u32 {
            let address = IpAddr::V4((0x0100_0000 + number).into());
            bindings.bind("a.example", address, Duration::from_secs(u64::from(number)), now);
        }
        assert_eq!(bindings.bound.len(), MOST_ADDRESSES);
        assert_eq!(bindings.names(IpAddr::V4((0x0100_0000 + 5999).into()), now).len(), 1);
        for number in 0..1000 {
            bindings.bind(&format!("n{number}.example"), A, Duration::from_secs(number), now);
        }
        assert_eq!(bindings.names(A, now).len(), MOST_NAMES);
    }

    #[test]
    fn an_ipv4_address_in_ipv6_form_is_the_same_address() {
        let (mut bindings, now) = (Bindings::default(), Instant::now());
        bindings.bind("a.example", "::ffff:93.184.216.34".parse().unwrap(), Duration::ZERO, now);
        assert_eq!(bindings.names(A, now), ["a.example"]);
    }
}
