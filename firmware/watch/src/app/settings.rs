//! Settings, and how they survive the loss of power.
//!
//! A journal in two pages of flash: each change appends a record of 16 bytes with a sequence number and a CRC-32. When a page
//! is full, the other one is erased and begun. At every moment at least one complete record is in the flash, so that whatever
//! write or erase is cut short, the settings before it remain.

/// Which face the clock has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Face {
    Analog,
    Digital,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// From 1 to [`Settings::BRIGHTEST`].
    pub brightness: u8,
    pub face: Face,
    pub vibration: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { brightness: 3, face: Face::Analog, vibration: true }
    }
}

impl Settings {
    pub const BRIGHTEST: u32 = 3;

    /// Sets what `name` stands for; the value in words, or `None` where there is no such name or value.
    pub fn set(&mut self, name: &str, value: u32) -> Option<&'static str> {
        match (name, value) {
            ("brightness", 1..=Self::BRIGHTEST) => {
                self.brightness = value as u8;
                Some(["1", "2", "3"][value as usize - 1])
            }
            ("face", 0..=1) => {
                self.face = if value == 0 { Face::Analog } else { Face::Digital };
                Some(["analog", "digital"][value as usize])
            }
            ("vibration", 0..=1) => {
                self.vibration = value == 1;
                Some(["off", "on"][value as usize])
            }
            _ => None,
        }
    }

    /// A record: "WS", version, brightness, face, vibration, two unused bytes, sequence, CRC.
    fn record(self, sequence: u32) -> Record {
        let mut r = [0xff; RECORD];
        r[..3].copy_from_slice(b"WS\x01");
        (r[3], r[4], r[5]) = (self.brightness, u8::from(self.face == Face::Digital), self.vibration.into());
        r[8..12].copy_from_slice(&sequence.to_le_bytes());
        let crc = crc32(&r[..12]);
        r[12..].copy_from_slice(&crc.to_le_bytes());
        r
    }

    fn of(record: &Record) -> Option<(u32, Self)> {
        let word =
            |at: usize| u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
        if !record.starts_with(b"WS\x01") || word(12) != crc32(&record[..12]) {
            return None;
        }
        let mut settings = Self::default();
        settings.set("brightness", record[3].into())?;
        settings.set("face", record[4].into())?;
        settings.set("vibration", record[5].into())?;
        Some((word(8), settings))
    }
}

const RECORD: usize = 16;
type Record = [u8; RECORD];
/// Bytes of a page, the unit of erasure.
pub const PAGE: u32 = 4096;
const SLOTS: u32 = PAGE / RECORD as u32;

/// Two pages of flash, addressed from the first one's beginning. An erased byte is 0xff; writing clears bits.
pub trait Flash {
    fn read(&mut self, at: u32, bytes: &mut [u8]);
    fn write(&mut self, at: u32, bytes: &[u8]);
    /// Erases the page that begins at `page`.
    fn erase(&mut self, page: u32);
}

/// Where the newest record is.
#[derive(Clone, Copy)]
struct Newest {
    slot: u32,
    sequence: u32,
    settings: Settings,
}

pub struct Journal<F> {
    flash: F,
    newest: Option<Newest>,
}

impl<F: Flash> Journal<F> {
    /// Looks for the newest whole record.
    pub fn open(flash: F) -> Self {
        let mut journal = Self { flash, newest: None };
        for slot in 0..2 * SLOTS {
            // Sequence numbers wrap, so that they are compared by their difference.
            if let Some((sequence, settings)) = Settings::of(&journal.record(slot))
                && journal.newest.is_none_or(|n| sequence.wrapping_sub(n.sequence) as i32 > 0)
            {
                journal.newest = Some(Newest { slot, sequence, settings });
            }
        }
        journal
    }

    /// What was kept.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        self.newest.map(|n| n.settings)
    }

    /// Keeps `settings`; says whether they were read back as written.
    pub fn keep(&mut self, settings: Settings) -> bool {
        if self.settings() == Some(settings) {
            return true;
        }
        let (page, sequence) = match self.newest {
            Some(n) => (n.slot / SLOTS, n.sequence.wrapping_add(1)),
            None => (1, 1),
        };
        // The next unused slot of the page; a write cut short has spoilt those before it.
        let mut slot = (page * SLOTS..(page + 1) * SLOTS)
            .rev()
            .take_while(|&s| self.record(s) == [0xff; RECORD])
            .last()
            .filter(|_| self.newest.is_some());
        if slot.is_none() {
            let other = 1 - page;
            self.flash.erase(other * PAGE);
            slot = Some(other * SLOTS);
        }
        let slot = slot.unwrap_or(0);
        let record = settings.record(sequence);
        self.flash.write(slot * RECORD as u32, &record);
        let kept = self.record(slot) == record;
        if kept {
            self.newest = Some(Newest { slot, sequence, settings });
        }
        kept
    }

    fn record(&mut self, slot: u32) -> Record {
        let mut record = [0; RECORD];
        self.flash.read(slot * RECORD as u32, &mut record);
        record
    }
}

/// The CRC of IEEE 802.3.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c: u32, _| c >> 1 ^ if c & 1 != 0 { 0xedb8_8320 } else { 0 })
    })
}
