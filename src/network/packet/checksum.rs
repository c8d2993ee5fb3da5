//! The checksum of the Internet protocols (RFC 1071): sums of 16-bit words with the carries added.

use std::net::IpAddr;

/// Adds the words of `bytes` to a sum; a last odd byte counts as the high half of a word.
pub fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let sum = words.iter().fold(sum, |sum, word| sum + u64::from(u16::from_be_bytes(*word)));
    rest.iter().fold(sum, |sum, last| sum + (u64::from(*last) << 8))
}

/// Adds the carries, which makes 16 bits of it. This is what stands in a packet whose receiver or device adds the rest.
pub fn fold(mut sum: u64) -> u16 {
    while let carry @ 1.. = sum >> 16 {
        sum = (sum & 0xffff) + carry;
    }
    // The loop ends below 1 << 16.
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// What stands in a complete packet. The sum of a packet that holds it finishes as 0.
pub fn finish(sum: u64) -> u16 {
    !fold(sum)
}

/// The sum of the pseudo header: addresses, protocol and length (RFC 9293 section 3.1, RFC 8200 section 8.1).
pub fn pseudo(source: IpAddr, target: IpAddr, protocol: u8, length: usize) -> u64 {
    let sum = u64::from(protocol) + u64::try_from(length).unwrap_or(u64::MAX >> 1);
    add_address(add_address(sum, source), target)
}

fn add_address(sum: u64, address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => add(sum, &address.octets()),
        IpAddr::V6(address) => add(sum, &address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_has_its_sum() {
        assert_eq!(fold(add(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
    }

    #[test]
    fn an_odd_byte_is_the_high_half_of_a_word() {
        assert_eq!(fold(add(0, &[0x12])), 0x1200);
    }

    #[test]
    fn a_known_header_of_ipv4_finishes_as_zero() {
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8,
            0x00, 0xc7,
        ];
        assert_eq!(finish(add(0, &header)), 0);
    }

    #[test]
    fn a_packet_with_its_sum_finishes_as_zero_over_both_protocols() {
        let pairs: [(IpAddr, IpAddr); 2] = [
            ([192, 0, 0, 2].into(), [203, 0, 113, 7].into()),
            ("fd62::2".parse().expect("an address"), "2001:db8::1".parse().expect("an address")),
        ];
        for (source, target) in pairs {
            let mut message = vec![0x12, 0x34, 0, 53, 0, 11, 0, 0, 1, 2, 3];
            let sum = finish(add(pseudo(source, target, 17, message.len()), &message));
            message[6..8].copy_from_slice(&sum.to_be_bytes());
            assert_eq!(finish(add(pseudo(source, target, 17, message.len()), &message)), 0);
        }
    }
}
