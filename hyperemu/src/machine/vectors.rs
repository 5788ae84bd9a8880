//! How M-profile cores start: images go where they say, and the core reads its first stack pointer and its start address
//! from the vector table (ARM DDI 0403E, B1.5.3).

use crate::load::{Format, Segment};
use crate::machine::boot::{BootError, BootFiles, BootPlan, Start, check, check_overlaps};
use cpu_armm::ArmCore;
use cpu_core::GuestMemory;

/// Makes the plan. `table` is where the core looks for its vector table at power-on.
pub fn plan(memory: &GuestMemory, table: u64, files: BootFiles) -> Result<BootPlan, BootError> {
    for (given, what) in [(files.firmware.is_some(), "--firmware"), (files.initrd.is_some(), "--initrd")] {
        if given {
            let why =
                format!("a microcontroller has no use for {what}; give an IMAGE or --load FILE@ADDRESS");
            return Err(BootError::Nothing(why));
        }
    }
    let place = |image: crate::load::Image| match (image.format, image.entry) {
        (Format::Raw, None) => image.place(table),
        _ => image,
    };
    let parts: Vec<_> = files.extra.into_iter().chain(files.image).map(place).collect();
    check_overlaps(&parts.iter().collect::<Vec<_>>())?;
    // RAM is zero at power-on, and what is behind a segment in flash is no part of it.
    let loaded = parts.iter().flat_map(|part| &part.segments).filter(|segment| !segment.bytes.is_empty());
    let segments: Vec<Segment> = loaded.map(|segment| Segment { zeroes: 0, ..segment.clone() }).collect();
    let plan = check(BootPlan { segments, start: Start::Vectors { table } }, memory)?;
    // An image for another place than the start of flash brings its own table; a boot loader would lead there.
    let starts = plan.segments.iter().map(|segment| segment.addr);
    let Some(table) = std::iter::once(table).chain(starts).find(|&at| is_table(&plan.segments, memory, at))
    else {
        return Err(BootError::Nothing(format!(
            "no vector table at {table:#x} or at the start of a segment: its first word is a stack pointer in RAM, \
             its second an odd address of code"
        )));
    };
    Ok(BootPlan { start: Start::Vectors { table }, ..plan })
}

/// Whether a vector table that a core can start with is at `addr`.
fn is_table(segments: &[Segment], memory: &GuestMemory, addr: u64) -> bool {
    let word = |addr: u64| {
        let segment = segments.iter().rev().find(|s| s.addr <= addr && addr.saturating_add(4) <= s.end())?;
        let at = (addr - segment.addr) as usize;
        let bytes = segment.bytes.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_le_bytes).map(u64::from)
    };
    let (Some(stack), Some(start)) = (word(addr), word(addr.saturating_add(4))) else { return false };
    // The stack grows down: its pointer may be just behind memory.
    let is_stack = stack > 0 && memory.region(stack - 1, 1).is_some();
    addr.is_multiple_of(4) && is_stack && start & 1 != 0 && memory.region(start & !1, 2).is_some()
}

/// Starts a core that was reset. A table where it looks at reset needs nothing: it reads that itself.
pub fn start(core: &mut ArmCore, table: u64, memory: &GuestMemory) {
    if table == u64::from(core.config().vector_table) {
        return;
    }
    let word = |at: u64| memory.read_le(at, 4).map_or(0, |word| word as u32);
    core.set_vector_table(table as u32);
    core.set_r(13, word(table));
    core.set_pc(word(table.wrapping_add(4)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::resources::HostResources;
    use crate::load::Image;
    use crate::machine::build::{self, Options};
    use crate::machine::scheduler::Limit;
    use crate::machine::testing::run_until;
    use crate::machine::{Machine, Stop, UnimplementedPolicy, boot};
    use cpu_core::{MemoryKind, RegionSpec, Time};
    use devices_core::{HostOutput, Rng};

    fn memory() -> GuestMemory {
        let region = |name: &str, base, kind| RegionSpec { name: name.into(), base, size: 0x1_0000, kind };
        GuestMemory::new(vec![
            region("flash", 0, MemoryKind::Rom),
            region("ram", 0x2000_0000, MemoryKind::Ram),
        ])
        .unwrap()
    }

    fn image(addr: u64, words: &[u32]) -> Image {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let segments = vec![Segment { addr, bytes, zeroes: 0x10_0000 }];
        Image { path: "x.hex".into(), format: Format::IntelHex, segments, entry: None }
    }

    fn table(image: Image) -> Result<u64, String> {
        let files = BootFiles { image: Some(image), ..BootFiles::default() };
        match plan(&memory(), 0, files).map_err(|error| error.to_string())?.start {
            Start::Vectors { table } => Ok(table),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_table_is_found() {
        assert_eq!(table(image(0, &[0x2001_0000, 0x101])), Ok(0));
        assert_eq!(table(image(0x8000, &[0x2000_1000, 0x8101])), Ok(0x8000), "behind a boot loader");
    }

    /// The board mps2-an386 with an image of this repository.
    fn mps2(image: &str) -> Machine {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware/armm-tests/images/");
        let board = crate::cli::BoardArgs::default().compile("mps2-an386").unwrap();
        let mut resources = HostResources::default();
        let policy = UnimplementedPolicy::Warn;
        let options =
            Options { seed: 1, policy, builtin_sbi: false, semihosting: false, resources: &mut resources };
        let mut machine = build::build(&board, options).unwrap();
        let image = crate::load::load(&format!("{path}{image}"), crate::load::Arch::ArmM).unwrap();
        let files = BootFiles { image: Some(image), ..BootFiles::default() };
        machine.plan = plan(&machine.bus.services.memory, 0, files).unwrap();
        boot::apply(&mut machine, boot::Power::On);
        machine
    }

    fn result(machine: &Machine) -> (u128, u64, String) {
        let serial = machine.bus.services.output.iter().map(|(_, output)| match output {
            HostOutput::Serial(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        });
        (machine.state_hash(), machine.instructions(), serial.collect())
    }

    #[test]
    fn a_run_cut_anywhere_and_one_after_a_reset_are_the_same() {
        let end = Time::from_ms(40);
        let mut whole = mps2("exceptions.elf");
        assert_eq!(run_until(&mut whole, end), Stop::Boundary);
        let (hash, instructions, text) = result(&whole);
        assert!(text.lines().count() > 100, "{text}");
        let mut rng = Rng::new(7, "cuts");
        let (mut cut, mut cuts) = (mps2("exceptions.elf"), 0);
        while cut.now() < end {
            let count = cut.instructions() + 1 + rng.next_u64() % 500;
            match cut.round(Limit { instructions: Some((0, count)), time: Some(end) }) {
                Stop::Instructions => cuts += 1,
                stop => assert_eq!(stop, Stop::Boundary),
            }
        }
        assert!(cuts > 500, "{cuts} cuts");
        assert_eq!(result(&cut), (hash, instructions, text.clone()));
        // From power-on again: the program's text comes once more.
        whole.bus.services.output.clear();
        whole.reset();
        assert_eq!(run_until(&mut whole, Time(end.0 * 2)), Stop::Boundary);
        assert_eq!(result(&whole).2, text);
    }

    #[test]
    fn what_can_not_start_is_said() {
        for words in [&[0x2001_0000, 0x100][..], &[0x2001_0000, 0x3000_0001], &[0x2002_0000, 0x101], &[0]] {
            let error = table(image(0, words)).unwrap_err();
            assert!(error.contains("vector table at 0x0"), "{error}");
        }
        let error = table(image(0x1_0000, &[0x2001_0000, 0x101])).unwrap_err();
        assert!(error.contains("0x10000") && error.contains("0x0-0x10000"), "{error}");
    }
}
