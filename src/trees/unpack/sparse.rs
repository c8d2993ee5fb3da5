//! Sparse files: which bytes of a file an archive holds, in the four ways in which GNU tar has written that down.

use super::pax::decimal;
use tar::{GnuExtSparseHeader, GnuSparseHeader};

/// Where the bytes go that the archive holds. All others are zeros, and take no place on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// The length of the file.
    pub size: u64,
    /// First byte and length of each part, ascending and apart from each other; together what the archive holds.
    pub parts: Vec<(u64, u64)>,
}

/// What the extended header of a sparse file says.
#[derive(Debug, Default)]
pub struct SparseRecords {
    pub name: Option<Vec<u8>>,
    major: Option<u64>,
    minor: Option<u64>,
    size: Option<u64>,
    real_size: Option<u64>,
    count: Option<u64>,
    /// Offsets and lengths in turn, from one record or from many.
    numbers: Vec<u64>,
}

/// How the map of a sparse file is written down.
#[derive(Debug, PartialEq, Eq)]
pub enum Layout {
    /// No sparse file.
    Dense,
    /// In the extended header.
    Header(Map),
    /// Before the content, for a file of this length.
    Content(u64),
}

impl SparseRecords {
    /// A record `GNU.sparse.NAME`; none if it makes no sense.
    pub fn take(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        match name {
            b"name" => self.name = Some(value.to_vec()),
            b"major" => self.major = Some(decimal(value)?),
            b"minor" => self.minor = Some(decimal(value)?),
            b"size" => self.size = Some(decimal(value)?),
            b"realsize" => self.real_size = Some(decimal(value)?),
            b"numblocks" => self.count = Some(decimal(value)?),
            // They come in turn; were they to come in another order, the map would not fit the content.
            b"offset" | b"numbytes" => {
                let offset = self.numbers.len().is_multiple_of(2);
                (offset == (name == b"offset")).then_some(())?;
                self.numbers.push(decimal(value)?);
            }
            b"map" => {
                for number in value.split(|byte| *byte == b',') {
                    self.numbers.push(decimal(number)?);
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// How the file is laid out of which the archive holds `stored` bytes.
    pub fn layout(&self, stored: u64) -> Result<Layout, String> {
        let sizes = (self.size, self.real_size);
        // A name alone would be another name for some readers, and none for others.
        let nothing = self.numbers.is_empty() && self.name.is_none() && self.count.is_none();
        match (self.major, self.minor, sizes) {
            (None, None, (None, None)) if nothing => Ok(Layout::Dense),
            (Some(1), Some(0), (None, Some(size))) if self.numbers.is_empty() => Ok(Layout::Content(size)),
            // Versions 0.0 and 0.1 name themselves or do not.
            (None | Some(0), None | Some(0 | 1), (Some(size), None) | (None, Some(size))) => {
                let halves = self.numbers.as_chunks::<2>();
                let counted = self.count.is_none_or(|count| count == halves.0.len() as u64);
                if !halves.1.is_empty() || !counted {
                    return Err("has a map of its holes that is not whole".to_owned());
                }
                let parts = halves.0.iter().map(|[offset, length]| (*offset, *length)).collect();
                Map::new(size, parts, stored).map(Layout::Header)
            }
            _ => Err("is sparse in a way that is not known here".to_owned()),
        }
    }
}

impl Map {
    /// A map that fits the file and what the archive holds of it.
    pub fn new(size: u64, parts: Vec<(u64, u64)>, stored: u64) -> Result<Map, String> {
        let misfit = || "has a map of its holes that does not fit its content".to_owned();
        let (mut end, mut sum) = (0u64, 0u64);
        for (offset, length) in &parts {
            if *offset < end {
                return Err(misfit());
            }
            end = offset.checked_add(*length).ok_or_else(misfit)?;
            sum += length;
        }
        if end > size || sum != stored {
            return Err(misfit());
        }
        Ok(Map { size, parts })
    }
}

/// Parts as the old GNU header has them, up to the first that is empty.
pub fn old_parts(slots: &[GnuSparseHeader], field: impl Fn(&[u8]) -> Option<u64>) -> Option<Vec<(u64, u64)>> {
    let used = slots.iter().take_while(|slot| slot.offset[0] != 0 && slot.numbytes[0] != 0);
    used.map(|slot| field(&slot.offset).zip(field(&slot.numbytes))).collect()
}

/// A block that continues the old GNU header.
pub fn continuation(block: &[u8; 512]) -> GnuExtSparseHeader {
    let mut header = GnuExtSparseHeader::new();
    *header.as_mut_bytes() = *block;
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(records: &[(&str, &str)]) -> Option<SparseRecords> {
        let mut all = SparseRecords::default();
        records.iter().try_for_each(|(name, value)| all.take(name.as_bytes(), value.as_bytes()))?;
        Some(all)
    }

    #[test]
    fn every_version_of_gnu_tar_is_understood() {
        let map = || Layout::Header(Map { size: 100, parts: vec![(0, 10), (50, 5), (100, 0)] });
        let in_turn = [("size", "100"), ("numblocks", "3"), ("offset", "0"), ("numbytes", "10"), ("offset", "50")];
        let in_turn = [&in_turn[..], &[("numbytes", "5"), ("offset", "100"), ("numbytes", "0")]].concat();
        assert_eq!(records(&in_turn).expect("records").layout(15), Ok(map()));
        let one = [("size", "100"), ("numblocks", "3"), ("map", "0,10,50,5,100,0")];
        assert_eq!(records(&one).expect("records").layout(15), Ok(map()));
        let before = [("major", "1"), ("minor", "0"), ("realsize", "100")];
        assert_eq!(records(&before).expect("records").layout(512), Ok(Layout::Content(100)));
        assert_eq!(SparseRecords::default().layout(7), Ok(Layout::Dense));
    }

    #[test]
    fn maps_that_do_not_fit_are_refused() {
        for (parts, stored) in [
            (vec![(0, 10)], 11),
            (vec![(0, 10), (5, 5)], 15),
            (vec![(50, 10), (0, 5)], 15),
            (vec![(95, 10)], 10),
            (vec![(u64::MAX, 2)], 2),
            (vec![(0, u64::MAX), (u64::MAX, 1)], 0),
        ] {
            assert!(Map::new(100, parts.clone(), stored).is_err(), "{parts:?}");
        }
        for wrong in [
            &[("size", "1"), ("map", "0,1,2")][..],
            &[("size", "1"), ("numblocks", "2"), ("map", "0,1")],
            &[("map", "0,1")],
            &[("name", "a")],
            &[("numblocks", "0")],
            &[("major", "2"), ("minor", "0"), ("realsize", "1")],
            &[("major", "1"), ("minor", "0"), ("realsize", "1"), ("map", "0,1")],
        ] {
            assert!(records(wrong).expect("records").layout(1).is_err(), "{wrong:?}");
        }
        for wrong in [&[("numbytes", "1")][..], &[("offset", "1"), ("offset", "1")], &[("map", "0,,1")], &[("x", "1")]]
        {
            assert!(records(wrong).is_none(), "{wrong:?}");
        }
    }
}
