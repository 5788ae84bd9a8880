//! Where emitted bytes go: a hot and a cold part, with the jumps between them resolved at the end.

use cpu_jit::backend::{Mark, Notes};
use dynasmrt::{AssemblyOffset, DynasmApi};

/// Bytes of one part; what the `dynasm!` macro writes to.
#[derive(Default)]
pub struct Bytes(pub Vec<u8>);

impl Extend<u8> for Bytes {
    fn extend<T: IntoIterator<Item = u8>>(&mut self, iter: T) {
        self.0.extend(iter);
    }
}

impl<'a> Extend<&'a u8> for Bytes {
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, iter: T) {
        self.0.extend(iter);
    }
}

impl DynasmApi for Bytes {
    fn offset(&self) -> AssemblyOffset {
        AssemblyOffset(self.0.len())
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        self.0.push(byte);
    }

    #[inline(always)]
    fn push_i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    #[inline(always)]
    fn push_i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn align(&mut self, alignment: usize, with: u8) {
        while !self.0.len().is_multiple_of(alignment) {
            self.0.push(with);
        }
    }
}

/// A place in the code of one unit.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum At {
    /// In the hot part.
    Hot(u32),
    /// In the cold part.
    Cold(u32),
    /// Anywhere: an executable address.
    Fixed(u64),
}

/// A 32-bit displacement to fill in, relative to its own end.
#[derive(Copy, Clone, Debug)]
pub struct Fixup {
    /// Where it stands.
    pub field: At,
    /// What it leads to.
    pub target: At,
}

/// Condition codes, as the low bits of a jump's opcode.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum Cc {
    O = 0,
    NO = 1,
    B = 2,
    AE = 3,
    E = 4,
    NE = 5,
    BE = 6,
    A = 7,
    S = 8,
    NS = 9,
    P = 10,
    NP = 11,
    L = 12,
    GE = 13,
    LE = 14,
    G = 15,
}

impl Cc {
    /// The opposite.
    pub fn not(self) -> Cc {
        const ALL: [Cc; 16] = [
            Cc::O,
            Cc::NO,
            Cc::B,
            Cc::AE,
            Cc::E,
            Cc::NE,
            Cc::BE,
            Cc::A,
            Cc::S,
            Cc::NS,
            Cc::P,
            Cc::NP,
            Cc::L,
            Cc::GE,
            Cc::LE,
            Cc::G,
        ];
        ALL[(self as usize ^ 1) & 15]
    }
}

/// The code of one unit while it is made.
#[derive(Default)]
pub struct Sink {
    /// What runs.
    pub hot: Bytes,
    /// What seldom runs.
    pub cold: Bytes,
    /// Displacements to fill in.
    pub fixups: Vec<Fixup>,
    /// Accesses that may fault in the host: the instruction, and where it goes on then.
    pub faults: Vec<(u32, u32)>,
    /// For a listing, where one is wanted.
    pub notes: Option<Notes>,
}

impl Sink {
    /// Empties it.
    pub fn clear(&mut self) {
        self.hot.0.clear();
        self.cold.0.clear();
        self.fixups.clear();
        self.faults.clear();
        if let Some(notes) = &mut self.notes {
            *notes = Notes::default();
        }
    }

    /// An instruction of the guest begins here.
    pub fn mark(&mut self, instruction: u32) {
        if let Some(notes) = &mut self.notes {
            let (hot, cold) = (self.hot.0.len() as u32, self.cold.0.len() as u32);
            notes.marks.push(Mark { instruction, hot, cold });
        }
    }

    /// The code has this function's address in it.
    pub fn name_function(&mut self, address: u64) {
        if let Some(notes) = &mut self.notes {
            notes.functions.push(address);
        }
    }

    /// Here in the hot part.
    pub fn here(&self) -> At {
        At::Hot(self.hot.0.len() as u32)
    }

    /// Here in the cold part.
    pub fn here_cold(&self) -> At {
        At::Cold(self.cold.0.len() as u32)
    }

    fn part(&mut self, cold: bool) -> &mut Bytes {
        if cold { &mut self.cold } else { &mut self.hot }
    }

    fn displacement(&mut self, cold: bool, target: At) -> usize {
        let at = self.part(cold).0.len() as u32;
        self.part(cold).push_i32(0);
        self.fixups.push(Fixup { field: if cold { At::Cold(at) } else { At::Hot(at) }, target });
        self.fixups.len() - 1
    }

    /// The next instruction of the hot part goes on here in the cold part where the host refuses its access.
    pub fn faults_to_here(&mut self) {
        self.faults.push((self.hot.0.len() as u32, self.cold.0.len() as u32));
    }

    /// A conditional jump from the hot part; gives the number of its fixup.
    pub fn jcc(&mut self, cc: Cc, target: At) -> usize {
        self.hot.0.extend([0x0f, 0x80 | cc as u8]);
        self.displacement(false, target)
    }

    /// A jump from the hot part.
    pub fn jmp(&mut self, target: At) -> usize {
        self.hot.0.push(0xe9);
        self.displacement(false, target)
    }

    /// A jump from the cold part.
    pub fn jmp_cold(&mut self, target: At) -> usize {
        self.cold.0.push(0xe9);
        self.displacement(true, target)
    }

    /// A conditional jump from the cold part.
    pub fn jcc_cold(&mut self, cc: Cc, target: At) -> usize {
        self.cold.0.extend([0x0f, 0x80 | cc as u8]);
        self.displacement(true, target)
    }

    /// A call from the cold part.
    pub fn call_cold(&mut self, target: At) -> usize {
        self.cold.0.push(0xe8);
        self.displacement(true, target)
    }

    /// A call from the hot part.
    pub fn call(&mut self, target: At) -> usize {
        self.hot.0.push(0xe8);
        self.displacement(false, target)
    }

    /// In the cold part: `x = [target]`, 8 bytes.
    pub fn load_x_cold(&mut self, x: u8, target: At) {
        let b = &mut self.cold.0;
        b.extend([0xc5, if x < 8 { 0xfb } else { 0x7b }, 0x10, 0x05 | (x & 7) << 3]);
        self.displacement(true, target);
    }

    /// In the hot part: `d = x op [target]`, 16 bytes, with the opcode of `vandps` and its like.
    pub fn bits_x(&mut self, opcode: u8, d: u8, x: u8, target: At) {
        let b = &mut self.hot.0;
        b.extend([0xc5, (if d < 8 { 0x80 } else { 0 }) | (!x & 15) << 3, opcode, 0x05 | (d & 7) << 3]);
        self.displacement(false, target);
    }

    /// Leads a fixup to here in the hot part.
    pub fn land(&mut self, fixup: usize) {
        let here = self.here();
        self.lead(fixup, here);
    }

    /// Leads a fixup to here in the cold part.
    pub fn land_cold(&mut self, fixup: usize) {
        let here = self.here_cold();
        self.lead(fixup, here);
    }

    /// Leads a fixup to `target`.
    pub fn lead(&mut self, fixup: usize, target: At) {
        if let Some(fixup) = self.fixups.get_mut(fixup) {
            fixup.target = target;
        }
    }

    /// Fills in all displacements for code whose parts will execute at these addresses.
    pub fn resolve(&mut self, hot: u64, cold: u64) {
        let address = |at: At| match at {
            At::Hot(offset) => hot + offset as u64,
            At::Cold(offset) => cold + offset as u64,
            At::Fixed(address) => address,
        };
        for fixup in &self.fixups {
            let displacement = address(fixup.target).wrapping_sub(address(fixup.field) + 4) as i32;
            let (part, at) = match fixup.field {
                At::Hot(at) => (&mut self.hot, at),
                At::Cold(at) => (&mut self.cold, at),
                At::Fixed(_) => continue,
            };
            if let Some(field) = part.0.get_mut(at as usize..at as usize + 4) {
                field.copy_from_slice(&displacement.to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_lead_to_either_part_and_to_shared_code() {
        let mut sink = Sink::default();
        let hot_start = sink.here();
        let stub = sink.here_cold();
        sink.jcc(Cc::NE, stub);
        let later = sink.jmp(stub);
        sink.call(At::Fixed(0x900));
        sink.jmp_cold(hot_start);
        let out = sink.jcc_cold(Cc::E, stub);
        sink.call_cold(At::Fixed(0x5000));
        sink.land(later);
        sink.land_cold(out);
        sink.resolve(0x1000, 0x8000);
        let field = |part: &Bytes, at: usize| i32::from_le_bytes(part.0[at..at + 4].try_into().unwrap());
        // Opcodes: conditional jumps have two bytes, the others one.
        assert_eq!((&sink.hot.0[..2], sink.hot.0[6], sink.hot.0[11]), (&[0x0f, 0x85][..], 0xe9, 0xe8));
        assert_eq!(field(&sink.hot, 2), 0x8000 - 0x1006);
        assert_eq!(field(&sink.hot, 7), 0x1010 - 0x100b, "behind all of the hot part");
        assert_eq!(field(&sink.hot, 12), 0x900 - 0x1010);
        assert_eq!(field(&sink.cold, 1), 0x1000 - 0x8005);
        assert_eq!(field(&sink.cold, 7), 0x8010 - 0x800b);
        assert_eq!(field(&sink.cold, 12), 0x5000 - 0x8010);
        sink.clear();
        assert_eq!((sink.here(), sink.here_cold(), sink.fixups.len()), (At::Hot(0), At::Cold(0), 0));
    }

    #[test]
    fn opposite_conditions_differ_in_their_low_bit() {
        for cc in [Cc::O, Cc::B, Cc::E, Cc::BE, Cc::S, Cc::P, Cc::L, Cc::LE] {
            assert_eq!((cc.not() as u8, cc.not().not()), (cc as u8 | 1, cc));
        }
    }
}
