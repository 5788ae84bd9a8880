//! Pictures in the device: where their pixels come from, and how they are coded.

use devices_core::GuestMemory;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a pixel in every format.
pub const PIXEL: u64 = 4;

/// Bytes that are saved as a block.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// A part of a picture, in pixels.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rect {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// To the right.
    pub width: u32,
    /// Downwards.
    pub height: u32,
}

impl Rect {
    /// Whether it is not empty and lies in a picture of this size.
    pub fn lies_in(&self, width: u32, height: u32) -> bool {
        let fits = |at: u32, len: u32, size: u32| len > 0 && at < size && len <= size - at;
        fits(self.x, self.width, width) && fits(self.y, self.height, height)
    }

    /// The common part, if there is one.
    pub fn and(&self, other: &Rect) -> Option<Rect> {
        let axis = |a: u32, a_len: u32, b: u32, b_len: u32| {
            let start = a.max(b);
            let end = a.saturating_add(a_len).min(b.saturating_add(b_len));
            (end > start).then(|| (start, end - start))
        };
        let (x, width) = axis(self.x, self.width, other.x, other.width)?;
        let (y, height) = axis(self.y, self.height, other.y, other.height)?;
        Some(Rect { x, y, width, height })
    }
}

/// Where red, green, blue and alpha (if any) are in the four bytes of a pixel.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    rgb: [u8; 3],
    alpha: Option<u8>,
}

/// The formats of virtio 1.2, section 5.7.6.8, by number; their names give the order of bytes in memory.
const FORMATS: [(u32, Layout); 8] = [
    (1, Layout { rgb: [2, 1, 0], alpha: Some(3) }),   // B8G8R8A8
    (2, Layout { rgb: [2, 1, 0], alpha: None }),      // B8G8R8X8
    (3, Layout { rgb: [1, 2, 3], alpha: Some(0) }),   // A8R8G8B8
    (4, Layout { rgb: [1, 2, 3], alpha: None }),      // X8R8G8B8
    (67, Layout { rgb: [0, 1, 2], alpha: Some(3) }),  // R8G8B8A8
    (68, Layout { rgb: [3, 2, 1], alpha: None }),     // X8B8G8R8
    (121, Layout { rgb: [3, 2, 1], alpha: Some(0) }), // A8B8G8R8
    (134, Layout { rgb: [0, 1, 2], alpha: None }),    // R8G8B8X8
];

impl Layout {
    /// Of a format's number.
    pub fn of(format: u32) -> Option<Layout> {
        FORMATS.iter().find(|known| known.0 == format).map(|known| known.1)
    }

    /// `0xAARRGGBB`; without alpha it is opaque.
    pub fn argb(&self, pixel: [u8; 4]) -> u32 {
        let byte = |index: u8| u32::from(pixel[usize::from(index & 3)]);
        let [r, g, b] = self.rgb;
        self.alpha.map_or(0xff, byte) << 24 | byte(r) << 16 | byte(g) << 8 | byte(b)
    }
}

/// The guest memory behind a resource: pieces that follow each other.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Backing {
    /// Where each piece starts in the whole, its address, its length.
    pieces: Vec<(u64, u64, u32)>,
    len: u64,
}

impl Backing {
    /// Appends a piece.
    pub fn add(&mut self, addr: u64, len: u32) {
        self.pieces.push((self.len, addr, len));
        self.len = self.len.saturating_add(len.into());
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Reads from `offset` on. What lies past the end stays as it was.
    fn read(&self, memory: &GuestMemory, mut offset: u64, mut into: &mut [u8]) {
        let mut index = self.pieces.partition_point(|piece| piece.0 <= offset).saturating_sub(1);
        while let Some(&(start, addr, len)) = self.pieces.get(index)
            && !into.is_empty()
        {
            let skip = offset - start;
            if skip < u64::from(len) {
                let part = (u64::from(len) - skip).min(into.len() as u64) as usize;
                let (now, rest) = into.split_at_mut(part);
                // Pieces were checked to be memory when they were attached.
                let _ = memory.read(addr.wrapping_add(skip), now);
                offset += part as u64;
                into = rest;
            }
            index += 1;
        }
    }
}

/// A picture.
#[derive(Clone, Serialize, Deserialize)]
pub struct Resource {
    /// Number of its format.
    pub format: u32,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// As the guest codes them, without padding.
    pub pixels: Bytes,
    /// Guest memory behind it.
    pub backing: Option<Backing>,
}

impl Resource {
    /// Bytes of a picture of this size.
    pub fn bytes(width: u32, height: u32) -> u64 {
        (u64::from(width) * u64::from(height)).saturating_mul(PIXEL)
    }

    /// Whether its parts agree: for restored state.
    pub fn is_sound(&self) -> bool {
        Layout::of(self.format).is_some()
            && self.pixels.0.len() as u64 == Resource::bytes(self.width, self.height)
    }

    /// Copies a part from guest memory, whose first pixel is at `offset` there.
    pub fn transfer(&mut self, memory: &GuestMemory, part: &Rect, offset: u64) {
        let Some(backing) = &self.backing else { return };
        let stride = u64::from(self.width) * PIXEL;
        for row in 0..u64::from(part.height) {
            let from = offset.saturating_add(row * stride);
            let at = ((u64::from(part.y) + row) * stride + u64::from(part.x) * PIXEL) as usize;
            let len = (u64::from(part.width) * PIXEL) as usize;
            if let Some(pixels) = self.pixels.0.get_mut(at..at + len) {
                backing.read(memory, from, pixels);
            }
        }
    }

    /// The pixels of a row, from `x` on, as `0xAARRGGBB`.
    pub fn row(&self, x: u32, y: u32, width: u32) -> impl Iterator<Item = u32> {
        let layout = Layout::of(self.format).unwrap_or(FORMATS[0].1);
        let at = ((u64::from(y) * u64::from(self.width) + u64::from(x)) * PIXEL) as usize;
        let bytes = self.pixels.0.get(at..at + (u64::from(width) * PIXEL) as usize).unwrap_or_default();
        bytes.as_chunks::<4>().0.iter().map(move |pixel| layout.argb(*pixel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use devices_core::bench::{RAM, bench_memory};

    #[test]
    fn every_format_is_read_as_its_name_says() {
        let names =
            ["BGRA", "BGRX", "ARGB", "XRGB", "RGBA", "XBGR", "ABGR", "RGBX"].map(|name| name.as_bytes());
        for ((number, layout), name) in FORMATS.iter().zip(names) {
            let value = |c: u8| match c {
                b'R' => 0x12,
                b'G' => 0x34,
                b'B' => 0x56,
                _ => 0x78,
            };
            let pixel = [0, 1, 2, 3].map(|i| value(name[i]));
            let alpha = if name.contains(&b'A') { 0x78 } else { 0xff };
            assert_eq!(layout.argb(pixel), alpha << 24 | 0x12_3456, "{number}");
        }
        assert!(Layout::of(0).is_none() && Layout::of(5).is_none());
    }

    #[test]
    fn parts_are_cut() {
        let rect = |x, y, width, height| Rect { x, y, width, height };
        assert!(rect(2, 2, 8, 8).lies_in(10, 10));
        for bad in [rect(3, 2, 8, 8), rect(10, 0, 1, 1), rect(0, 0, 0, 1), rect(u32::MAX, 0, u32::MAX, 1)] {
            assert!(!bad.lies_in(10, 10), "{bad:?}");
        }
        assert_eq!(rect(0, 0, 5, 5).and(&rect(3, 4, 9, 9)), Some(rect(3, 4, 2, 1)));
        assert_eq!(rect(0, 0, 5, 5).and(&rect(5, 0, 1, 1)), None);
    }

    #[test]
    fn transfers_gather_scattered_rows() {
        let memory = bench_memory();
        let mut backing = Backing::default();
        let bytes: Vec<u8> = (0..64).collect();
        // A picture of 4 x 4, in pieces of 10, 0, 30 and 20 bytes: the last four are missing.
        let mut from = 0;
        for (piece, len) in [(0u64, 10usize), (1, 0), (2, 30), (3, 20)] {
            let addr = RAM + 0x1000 * (4 - piece);
            memory.write(addr, &bytes[from..from + len]).unwrap();
            backing.add(addr, len as u32);
            from += len;
        }
        let pixels = Bytes(vec![0xee; 64]);
        let mut resource = Resource { format: 1, width: 4, height: 4, pixels, backing: Some(backing) };
        resource.transfer(&memory, &Rect { x: 1, y: 1, width: 2, height: 3 }, 20);
        let mut expected = vec![0xee; 64];
        for row in 1..4 {
            let at = 16 * row + 4;
            expected[at..at + 8].copy_from_slice(&bytes[at..at + 8]);
        }
        assert_eq!(resource.pixels.0, expected);
        resource.transfer(&memory, &Rect { x: 0, y: 0, width: 4, height: 4 }, 0);
        assert_eq!(resource.pixels.0[..60], bytes[..60]);
        assert_eq!(resource.pixels.0[60..], [0xee; 4]);
        resource.transfer(&memory, &Rect { x: 0, y: 0, width: 4, height: 4 }, u64::MAX);
    }
}
