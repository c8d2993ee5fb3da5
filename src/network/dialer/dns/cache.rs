//! A small cache of what servers said, as they said it: the policy is applied to each answer anew.

use super::message::{Answer, Record};
use simple_dns::rdata::RData;
use simple_dns::{RCODE, TYPE};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Answers at most.
const MOST: usize = 1024;
/// Bytes of names and records, roughly, that one answer may have to be kept.
const LARGEST: usize = 64;
/// An answer is not kept longer.
const LONGEST: u32 = 3600;
/// A negative answer is not kept longer: what is missing may be made any moment.
const LONGEST_NEGATIVE: u32 = 60;

/// A canonical name and a kind.
type Key = (String, u16);

/// Answers by canonical name and kind.
#[derive(Debug, Default)]
pub struct Cache {
    kept: HashMap<Key, Kept>,
    /// The keys by age, so that room is made without a look at all of them.
    ages: BTreeMap<u64, Key>,
    next: u64,
}

#[derive(Debug)]
struct Kept {
    answer: Answer,
    /// Its place among the ages.
    age: u64,
    since: Instant,
    until: Instant,
}

impl Cache {
    /// An answer that still lives, its times to live so much shorter as it is old.
    pub fn get(&self, name: &str, kind: TYPE, now: Instant) -> Option<Answer> {
        let kept = self.kept.get(&(name.to_owned(), kind.into())).filter(|kept| kept.until > now)?;
        let age = u32::try_from(now.saturating_duration_since(kept.since).as_secs()).unwrap_or(u32::MAX);
        let mut answer = kept.answer.clone();
        let records = answer.chain.iter_mut().chain(&mut answer.records).chain(&mut answer.authority);
        records.for_each(|record| record.ttl = record.ttl.saturating_sub(age));
        Some(answer)
    }

    /// Keeps an answer as long as it says it lives.
    pub fn put(&mut self, name: &str, kind: TYPE, answer: &Answer, now: Instant) {
        let lives = lifetime(answer);
        if lives == 0 || answer.records.len() + answer.chain.len() > LARGEST {
            return;
        }
        let (key, age) = ((name.to_owned(), kind.into()), self.next);
        self.next += 1;
        let until = now + Duration::from_secs(lives.into());
        let kept = Kept { answer: answer.clone(), age, since: now, until };
        if let Some(replaced) = self.kept.insert(key.clone(), kept) {
            self.ages.remove(&replaced.age);
        }
        self.ages.insert(age, key);
        if self.kept.len() > MOST
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.kept.remove(&oldest);
        }
    }
}

/// Seconds that an answer lives: the shortest of its records; of a negative one what its start of authority says (RFC 2308, 5).
fn lifetime(answer: &Answer) -> u32 {
    if !answer.records.is_empty() {
        return shortest(answer).min(LONGEST);
    }
    match (answer.code, &answer.authority) {
        (RCODE::NoError | RCODE::NameError, Some(record)) => match &record.rdata {
            RData::SOA(start) => record.ttl.min(start.minimum).min(LONGEST_NEGATIVE),
            _ => 0,
        },
        _ => 0,
    }
}

/// The shortest time to live of an answer and of the way to it, seconds.
pub fn shortest(answer: &Answer) -> u32 {
    answer.chain.iter().chain(&answer.records).map(|record: &Record| record.ttl).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::{CLASS, Name};

    fn answer(ttl: u32) -> Answer {
        let record =
            Record::new(Name::new("a.example").unwrap(), CLASS::IN, ttl, RData::A(simple_dns::rdata::A { address: 1 }));
        Answer {
            code: RCODE::NoError,
            chain: Vec::new(),
            records: vec![record],
            last: "a.example".to_owned(),
            authority: None,
        }
    }

    #[test]
    fn an_answer_ages_and_dies() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.put("a.example", TYPE::A, &answer(10), now);
        let ttl = |seconds| {
            cache.get("a.example", TYPE::A, now + Duration::from_secs(seconds)).map(|found| found.records[0].ttl)
        };
        assert_eq!((ttl(0), ttl(4), ttl(10)), (Some(10), Some(6), None));
        assert!(cache.get("a.example", TYPE::AAAA, now).is_none());
    }

    #[test]
    fn the_cache_is_bounded_and_what_lives_no_time_is_not_kept() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.put("a.example", TYPE::A, &answer(0), now);
        assert!(cache.kept.is_empty());
        (0..3000).for_each(|number| cache.put(&format!("n{number}.example"), TYPE::A, &answer(10), now));
        assert_eq!(cache.kept.len(), MOST);
    }

    #[test]
    fn the_oldest_answer_makes_room_and_one_that_is_kept_anew_is_young_again() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        (0..MOST).for_each(|number| cache.put(&format!("n{number}.example"), TYPE::A, &answer(10), now));
        cache.put("n0.example", TYPE::A, &answer(10), now);
        cache.put("more.example", TYPE::A, &answer(10), now);
        let has = |name| cache.get(name, TYPE::A, now).is_some();
        assert!(has("n0.example") && !has("n1.example") && has("n2.example") && has("more.example"));
        assert_eq!((cache.kept.len(), cache.ages.len()), (MOST, MOST));
    }
}
