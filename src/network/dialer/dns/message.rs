//! DNS messages (RFC 1035, RFC 6891): questions from inside, questions to servers, and what comes back.
//!
//! What a message may make us do is bounded before it is parsed: the counts of its header are compared with what can be meant.

use crate::spec::network::{canonical_of_labels, is_below};
use simple_dns::rdata::{OPT, OPTCode, RData};
use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, SimpleDnsError, TYPE,
};
use std::net::IpAddr;

/// A record that borrows from no message.
pub type Record = ResourceRecord<'static>;

/// The size of UDP messages that we can take and say so (DNS flag day 2020).
pub const OUR_SIZE: u16 = 1232;
/// The longest answer by UDP, whatever the client says it can take.
const LONGEST_UDP: u16 = 4096;
/// Records in an answer that are read.
const MOST_RECORDS: u32 = 1000;
/// Steps of a chain of aliases.
pub const MOST_ALIASES: usize = 16;
/// Extended errors (RFC 8914): the policy, an answer without its special addresses, no server.
pub const BLOCKED: u16 = 15;
/// See [`BLOCKED`].
pub const FILTERED: u16 = 17;
/// See [`BLOCKED`].
pub const UNREACHABLE: u16 = 22;

/// A question from inside.
#[derive(Clone, Debug)]
pub struct Query {
    id: u16,
    /// As it was written, which the answer repeats letter by letter (draft-vixie-dnsext-dns0x20).
    question: Name<'static>,
    /// The name, canonical. `None`: no name of a host.
    pub name: Option<String>,
    /// What is asked for.
    pub kind: TYPE,
    recursion: bool,
    edns: Option<u16>,
}

/// What is made of a message from inside.
#[derive(Debug)]
pub enum Read {
    /// A question that can be answered.
    Query(Query),
    /// Something else, and the answer to it.
    Wrong(Vec<u8>),
    /// Nothing that has an answer: an answer, or too short.
    Nothing,
}

/// What a question is answered with.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The response code.
    pub code: RCODE,
    /// The aliases and the records.
    pub answers: Vec<Record>,
    /// The start of authority, for the time that a negative answer holds.
    pub authority: Option<Record>,
    /// Why, for a client that understands it.
    pub extended: Option<(u16, String)>,
}

impl Reply {
    /// A reply without records.
    pub fn empty(code: RCODE) -> Reply {
        Reply { code, answers: Vec::new(), authority: None, extended: None }
    }

    /// The same with an extended error.
    pub fn because(self, code: u16, text: &str) -> Reply {
        Reply { extended: Some((code, text.to_owned())), ..self }
    }
}

/// The fields of a header that are looked at before the rest: id, flags, counts.
fn header(bytes: &[u8]) -> Option<[u16; 6]> {
    let mut fields = [0; 6];
    let start = bytes.get(..12)?;
    for (field, pair) in fields.iter_mut().zip(start.chunks_exact(2)) {
        *field = u16::from_be_bytes(pair.try_into().ok()?);
    }
    Some(fields)
}

/// Reads a message from inside.
pub fn read_query(bytes: &[u8]) -> Read {
    let Some([id, flags, questions, answers, authorities, additional]) = header(bytes) else { return Read::Nothing };
    if flags & 0x8000 != 0 {
        return Read::Nothing;
    }
    let wrong = |code| Read::Wrong(bare(id, flags, code));
    if (flags >> 11) & 15 != 0 {
        return wrong(RCODE::NotImplemented);
    }
    // What else a client sends along is an OPT record, and perhaps a signature.
    if (questions, answers, authorities) != (1, 0, 0) || additional > 2 {
        return wrong(RCODE::FormatError);
    }
    let packet = match Packet::parse(bytes) {
        Ok(packet) => packet,
        Err(SimpleDnsError::InvalidQType(_)) => return wrong(RCODE::NotImplemented),
        Err(SimpleDnsError::InvalidQClass(_)) => return wrong(RCODE::Refused),
        Err(_) => return wrong(RCODE::FormatError),
    };
    let edns = packet.opt().map(|opt| (opt.udp_packet_size, opt.version));
    let recursion = packet.has_flags(PacketFlag::RECURSION_DESIRED);
    let Some(question) = packet.questions.into_iter().next() else { return wrong(RCODE::FormatError) };
    if edns.is_some_and(|(_, version)| version != 0) {
        return wrong(RCODE::NotImplemented);
    }
    let kind = match question.qtype {
        QTYPE::TYPE(kind) => kind,
        QTYPE::IXFR | QTYPE::AXFR | QTYPE::MAILA | QTYPE::MAILB | QTYPE::ANY => return wrong(RCODE::NotImplemented),
    };
    if question.qclass != QCLASS::CLASS(CLASS::IN) || question.unicast_response {
        return wrong(RCODE::Refused);
    }
    let name = canonical_of_labels(question.qname.as_bytes()).ok();
    let edns = edns.map(|(size, _)| size);
    Read::Query(Query { id, question: question.qname.into_owned(), name, kind, recursion, edns })
}

/// An answer that is only a header.
fn bare(id: u16, flags: u16, code: RCODE) -> Vec<u8> {
    let mut packet = Packet::new_reply(id);
    *packet.rcode_mut() = code;
    if flags & 0x100 != 0 {
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    // Twelve bytes always fit; where they did not, no answer is an answer too.
    packet.build_bytes_vec().unwrap_or_default()
}

impl Query {
    /// The longest answer that the client takes by UDP.
    pub fn udp_limit(&self) -> usize {
        usize::from(self.edns.unwrap_or(512).clamp(512, LONGEST_UDP))
    }

    /// The answer, of at most `limit` bytes: what does not fit is left out, and the answer says so.
    pub fn write(&self, reply: &Reply, limit: usize) -> Vec<u8> {
        match self.packet(reply).build_bytes_vec_compressed() {
            Ok(bytes) if bytes.len() <= limit => bytes,
            Ok(_) => {
                let empty = Reply::empty(reply.code);
                let mut packet = self.packet(&empty);
                packet.set_flags(PacketFlag::TRUNCATION);
                packet.build_bytes_vec_compressed().unwrap_or_default()
            }
            Err(_) => self.packet(&Reply::empty(RCODE::ServerFailure)).build_bytes_vec_compressed().unwrap_or_default(),
        }
    }

    fn packet<'a>(&'a self, reply: &'a Reply) -> Packet<'a> {
        let mut packet = Packet::new_reply(self.id);
        packet.set_flags(PacketFlag::RECURSION_AVAILABLE);
        if self.recursion {
            packet.set_flags(PacketFlag::RECURSION_DESIRED);
        }
        *packet.rcode_mut() = reply.code;
        packet.questions.push(Question::new(self.question.clone(), self.kind.into(), CLASS::IN.into(), false));
        packet.answers.clone_from(&reply.answers);
        packet.name_servers.extend(reply.authority.clone());
        if self.edns.is_some() {
            let opt_codes = reply.extended.iter().map(|(code, text)| {
                let data = [&code.to_be_bytes(), text.as_bytes()].concat();
                OPTCode { code: 15, data: data.into() }
            });
            *packet.opt_mut() = Some(OPT { opt_codes: opt_codes.collect(), udp_packet_size: OUR_SIZE, version: 0 });
        }
        packet
    }

    /// A record about the name that was asked for.
    pub fn record(&self, ttl: u32, data: RData<'static>) -> Record {
        ResourceRecord::new(self.question.clone(), CLASS::IN, ttl, data)
    }
}

/// A question to a server. `None`: the name cannot be written, which no canonical one is.
pub fn write_question(id: u16, name: &str, kind: TYPE, edns: bool) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(Name::new(name).ok()?, kind.into(), CLASS::IN.into(), false));
    if edns {
        *packet.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size: OUR_SIZE, version: 0 });
    }
    packet.build_bytes_vec().ok()
}

/// What a server said.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The response code.
    pub code: RCODE,
    /// Aliases from the name that was asked for, in order.
    pub chain: Vec<Record>,
    /// Records of the kind that was asked for, of the last name of the chain.
    pub records: Vec<Record>,
    /// That name.
    pub last: String,
    /// The start of authority.
    pub authority: Option<Record>,
}

/// What is made of a message from a server.
#[derive(Debug)]
pub enum Heard {
    /// The answer to the question.
    Answer(Box<Answer>),
    /// It is longer than UDP carries.
    Truncated,
    /// The server understood nothing, perhaps for the OPT record.
    NotUnderstood,
    /// An answer to another question, or none; somebody may have guessed.
    Unrelated,
    /// The answer to the question, and wrong.
    Broken,
}

/// Reads a message from a server.
pub fn read_answer(bytes: &[u8], id: u16, name: &str, kind: TYPE) -> Heard {
    let Some([theirs, flags, questions, counts @ ..]) = header(bytes) else { return Heard::Unrelated };
    if theirs != id || flags & 0x8000 == 0 || (flags >> 11) & 15 != 0 {
        return Heard::Unrelated;
    }
    let code = RCODE::from(flags & 15);
    if matches!(code, RCODE::FormatError | RCODE::NotImplemented) {
        return Heard::NotUnderstood;
    }
    if questions != 1 || counts.iter().map(|count| u32::from(*count)).sum::<u32>() > MOST_RECORDS {
        return Heard::Unrelated;
    }
    if flags & 0x200 != 0 {
        // What was cut off may make the rest unreadable.
        return Heard::Truncated;
    }
    let Ok(packet) = Packet::parse(bytes) else { return Heard::Broken };
    let asked = packet.questions.first().is_some_and(|question| {
        question.qtype == QTYPE::TYPE(kind)
            && question.qclass == QCLASS::CLASS(CLASS::IN)
            && canonical_of_labels(question.qname.as_bytes()).is_ok_and(|theirs| theirs == name)
    });
    if !asked {
        return Heard::Unrelated;
    }
    match follow(packet, code, name, kind) {
        Some(answer) => Heard::Answer(Box::new(answer)),
        None => Heard::Broken,
    }
}

/// Follows the aliases of an answer. What is not on the way from the name is none of ours. `None`: it leads in a circle, or to no name.
fn follow(packet: Packet<'_>, code: RCODE, name: &str, kind: TYPE) -> Option<Answer> {
    let records = packet.answers.into_iter().filter(|record| record.class == CLASS::IN && !record.cache_flush);
    let named: Vec<(String, ResourceRecord<'_>)> =
        records.filter_map(|record| Some((canonical_of_labels(record.name.as_bytes()).ok()?, record))).collect();
    let mut answer = Answer { code, chain: Vec::new(), records: Vec::new(), last: name.to_owned(), authority: None };
    loop {
        let own = |of: TYPE| named.iter().filter(move |(_, record)| record.rdata.type_code() == of);
        answer.records = own(kind)
            .filter(|(owner, _)| *owner == answer.last)
            .map(|(_, record)| record.clone().into_owned())
            .collect();
        let alias = own(TYPE::CNAME).find(|(owner, _)| *owner == answer.last);
        let (true, Some((_, alias))) = (answer.records.is_empty(), alias) else { break };
        let RData::CNAME(target) = &alias.rdata else { break };
        if answer.chain.len() >= MOST_ALIASES {
            return None;
        }
        answer.last = canonical_of_labels(target.0.as_bytes()).ok()?;
        answer.chain.push(alias.clone().into_owned());
    }
    let of_zone = |record: &ResourceRecord<'_>| {
        let is_start = record.rdata.type_code() == TYPE::SOA && record.class == CLASS::IN;
        is_start && is_zone_of(&record.name, &answer.last)
    };
    answer.authority = packet.name_servers.into_iter().find(of_zone).map(ResourceRecord::into_owned);
    Some(answer)
}

/// Whether a canonical name lies in a zone, or is its top. The root has no labels.
fn is_zone_of(zone: &Name<'_>, name: &str) -> bool {
    let is_root = zone.as_bytes().next().is_none();
    is_root || canonical_of_labels(zone.as_bytes()).is_ok_and(|zone| zone == name || is_below(name, &zone))
}

/// The address that a record says.
pub fn address(record: &Record) -> Option<IpAddr> {
    match &record.rdata {
        RData::A(a) => Some(IpAddr::V4(a.address.into())),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.address.into())),
        _ => None,
    }
}

/// The address that a name of a reverse question stands for (RFC 1035, 3.5; RFC 3596, 2.5).
pub fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(numbers) = name.strip_suffix(".in-addr.arpa") {
        let turned: Vec<&str> = numbers.split('.').rev().collect();
        return turned.join(".").parse().ok().map(IpAddr::V4);
    }
    let digits: Vec<&str> = name.strip_suffix(".ip6.arpa")?.split('.').collect();
    if digits.len() != 32 || digits.iter().any(|digit| digit.len() != 1) {
        return None;
    }
    let bits = u128::from_str_radix(&digits.into_iter().rev().collect::<String>(), 16).ok()?;
    Some(IpAddr::V6(bits.into()))
}
