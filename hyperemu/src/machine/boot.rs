//! What memory and cores hold when the power comes on.

use crate::load::{Format, Image, LoadError, Segment};
use crate::machine::{Cpu, Machine};
use cpu_core::{GuestMemory, MemoryKind};
use std::path::PathBuf;
use thiserror::Error;

/// How the first instruction is reached.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// The emulator is the firmware: the first hart starts in S-mode here, the others wait to be started.
    Supervisor {
        /// First instruction.
        pc: u64,
        /// Address of the devicetree.
        dtb: u64,
    },
    /// All harts start in M-mode here, with the hart's id in a0.
    Machine {
        /// First instruction.
        pc: u64,
        /// Address of the devicetree (a1).
        dtb: u64,
        /// Address of OpenSBI's `fw_dynamic_info` (a2), zero if there is none.
        dynamic_info: u64,
    },
    /// M-profile cores start as the vector table says: a stack pointer and an address.
    Vectors {
        /// Address of the table.
        table: u64,
    },
}

/// What memory and cores hold at power-on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootPlan {
    /// Written to memory in this order.
    pub segments: Vec<Segment>,
    /// Where the cores start.
    pub start: Start,
}

/// What the user wants to boot.
#[derive(Clone, Default, Debug)]
pub struct BootFiles {
    /// Runs in M-mode before the image.
    pub firmware: Option<Image>,
    /// The payload: a kernel or a bare-metal program.
    pub image: Option<Image>,
    /// The initial RAM disk, with its path.
    pub initrd: Option<(PathBuf, Vec<u8>)>,
    /// Further images, for memory only.
    pub extra: Vec<Image>,
    /// The image runs in M-mode without firmware.
    pub bare: bool,
}

/// The parts do not fit together or into memory.
#[derive(Debug, Error)]
pub enum BootError {
    /// A file can not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A part does not fit.
    #[error("{what} does not fit: {why}")]
    DoesNotFit {
        /// Which part.
        what: String,
        /// Where it should go and what to do.
        why: String,
    },
    /// There is nothing to run.
    #[error("there is nothing to run: {0}")]
    Nothing(String),
}

/// Everything that decides where things go.
pub struct Layout<'a> {
    /// Guest memory.
    pub memory: &'a GuestMemory,
    /// Base of main RAM.
    pub ram: u64,
    /// Its size.
    pub ram_size: u64,
    /// 32 or 64.
    pub xlen: u32,
    /// Where raw images and images without an entry go when nothing else is said.
    pub default_address: u64,
    /// Where an image without an entry point starts, if not at its first byte.
    pub reset_pc: Option<u64>,
}

/// Room for the devicetree and `fw_dynamic_info`, at the top of RAM below 4 GiB.
const DTB_ROOM: u64 = 0x20_0000;

/// Makes the plan. `dtb` gives the devicetree for the initrd's address range.
pub fn plan(
    layout: &Layout,
    files: BootFiles,
    dtb: impl FnOnce(Option<(u64, u64)>) -> Vec<u8>,
) -> Result<BootPlan, BootError> {
    let image = match (files.image, &files.firmware) {
        (Some(image), _) => Some(place(image, layout, files.firmware.is_some() || !files.bare)?),
        (None, Some(_)) => None,
        (None, None) => return Err(BootError::Nothing("give an IMAGE, --kernel or --firmware".into())),
    };
    let firmware = files.firmware.map(|firmware| match firmware.format {
        Format::Raw if firmware.entry.is_none() => firmware.place(layout.ram),
        _ => firmware,
    });
    let parts: Vec<&Image> = files.extra.iter().chain(&image).chain(&firmware).collect();
    check_overlaps(&parts)?;
    let mut segments = Vec::new();
    for part in &parts {
        segments.extend_from_slice(&part.segments);
    }
    let used = |segments: &[Segment]| {
        let inside =
            segments.iter().filter(|s| s.addr >= layout.ram && s.addr < layout.ram + layout.ram_size);
        inside.map(Segment::end).max().unwrap_or(layout.ram)
    };
    let kernel_end = match (&image, image.as_ref().map(|image| image.format)) {
        (Some(image), Some(Format::LinuxImage { image_size, .. })) => {
            image.segments[0].addr.saturating_add(image_size)
        }
        _ => 0,
    };
    let lowest_free = used(&segments).max(kernel_end);
    // 32-bit guests and firmware want the devicetree below 4 GiB; everybody finds it below 3 GiB.
    let top =
        (layout.ram + layout.ram_size).min(0xc000_0000.max(layout.ram + layout.ram_size.min(0x4000_0000)));
    let dtb_addr = top.saturating_sub(DTB_ROOM) & !(DTB_ROOM - 1);
    let mut initrd_range = None;
    if let Some((path, bytes)) = files.initrd {
        let start = dtb_addr.saturating_sub(bytes.len() as u64) & !0xfff;
        if start < lowest_free || start < layout.ram {
            return Err(BootError::DoesNotFit {
                what: path.display().to_string(),
                why: format!(
                    "{} bytes are free below the devicetree; give more --memory",
                    dtb_addr.saturating_sub(lowest_free)
                ),
            });
        }
        initrd_range = Some((start, start + bytes.len() as u64));
        segments.push(Segment { addr: start, bytes, zeroes: 0 });
    }
    let start = |dynamic_info, dtb| match (&firmware, &image) {
        (Some(firmware), _) => Start::Machine { pc: firmware.entry.unwrap_or(layout.ram), dtb, dynamic_info },
        (None, image) => {
            let pc = image.as_ref().and_then(|image| image.entry).unwrap_or(layout.default_address);
            if files.bare {
                Start::Machine { pc, dtb, dynamic_info: 0 }
            } else {
                Start::Supervisor { pc, dtb }
            }
        }
    };
    // A microcontroller has no room for a devicetree and nobody who reads it.
    if layout.ram_size < 4 * DTB_ROOM {
        let plan = BootPlan { start: start(0, 0), segments };
        return check(plan, layout.memory);
    }
    let blob = dtb(initrd_range);
    let info_addr = dtb_addr + DTB_ROOM - 0x1000;
    if dtb_addr < lowest_free || blob.len() as u64 > info_addr - dtb_addr {
        return Err(BootError::DoesNotFit {
            what: "the devicetree".into(),
            why: format!(
                "it goes to {dtb_addr:#x}, and the image reaches to {lowest_free:#x}; give more --memory"
            ),
        });
    }
    segments.push(Segment { addr: dtb_addr, bytes: blob, zeroes: 0 });
    if firmware.is_some() {
        let next = image.as_ref().and_then(|image| image.entry).unwrap_or(layout.default_address);
        segments.push(Segment { addr: info_addr, bytes: dynamic_info(next, layout.xlen), zeroes: 0 });
    }
    check(BootPlan { start: start(info_addr, dtb_addr), segments }, layout.memory)
}

fn is_ram(memory: &GuestMemory, addr: u64) -> bool {
    memory.region(addr, 1).is_some_and(|region| region.spec().kind == MemoryKind::Ram)
}

/// OpenSBI's `struct fw_dynamic_info`, version 2 (include/sbi/fw_dynamic.h).
fn dynamic_info(next: u64, xlen: u32) -> Vec<u8> {
    const MAGIC: u64 = 0x4942_534f;
    const VERSION: u64 = 2;
    const NEXT_MODE_S: u64 = 1;
    let fields = [MAGIC, VERSION, next, NEXT_MODE_S, 0, 0];
    let bytes = xlen as usize / 8;
    fields.iter().flat_map(|field| field.to_le_bytes().into_iter().take(bytes)).collect()
}

/// Gives an image without an address its place.
fn place(image: Image, layout: &Layout, supervised: bool) -> Result<Image, BootError> {
    match image.format {
        Format::LinuxImage { text_offset, .. } => Ok(image.place(layout.ram.wrapping_add(text_offset))),
        Format::Raw if image.entry.is_none() => {
            let addr =
                if supervised { layout.default_address } else { layout.reset_pc.unwrap_or(layout.ram) };
            Ok(image.place(addr))
        }
        _ if image.entry.is_none() => {
            let first = image.segments.iter().map(|segment| segment.addr).min();
            Ok(Image { entry: layout.reset_pc.or(first), ..image })
        }
        _ => Ok(image),
    }
}

/// Two files can not have one place.
pub(super) fn check_overlaps(parts: &[&Image]) -> Result<(), BootError> {
    let of_part = |(owner, part): (usize, &&Image)| {
        part.segments.iter().map(move |segment| (segment.addr, segment.end(), owner)).collect::<Vec<_>>()
    };
    let mut ranges: Vec<(u64, u64, usize)> = parts.iter().enumerate().flat_map(of_part).collect();
    ranges.sort_unstable();
    let mut last = (0, 0, 0);
    for range in ranges {
        if range.0 < last.1 && range.2 != last.2 {
            return Err(BootError::DoesNotFit {
                what: parts[range.2].path.display().to_string(),
                why: format!("at {:#x} it overlaps {}", range.0, parts[last.2].path.display()),
            });
        }
        if range.1 > last.1 {
            last = range;
        }
    }
    Ok(())
}

/// Every segment must lie in memory.
pub(super) fn check(plan: BootPlan, memory: &GuestMemory) -> Result<BootPlan, BootError> {
    for segment in &plan.segments {
        let size = segment.end() - segment.addr;
        if memory.region(segment.addr, size).is_none() {
            let ranges = memory.regions().iter().map(|region| {
                let spec = region.spec();
                format!("{:#x}-{:#x}", spec.base, spec.base + spec.size)
            });
            return Err(BootError::DoesNotFit {
                what: format!("a segment of {size:#x} bytes at {:#x}", segment.addr),
                why: format!("this board has memory at {}", ranges.collect::<Vec<_>>().join(", ")),
            });
        }
    }
    Ok(plan)
}

/// Why a machine starts.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Power {
    /// For the first time: everything is loaded.
    On,
    /// Again: ROM and flash hold what they held.
    Reset,
}

/// Puts the plan into effect on a machine whose RAM is zero and whose cores are reset.
pub fn apply(machine: &mut Machine, power: Power) {
    let memory = machine.bus.services.memory.clone();
    for segment in &machine.plan.segments {
        let result = match power {
            Power::On => memory.write_any(segment.addr, &segment.bytes),
            Power::Reset if is_ram(&memory, segment.addr) => memory.write(segment.addr, &segment.bytes),
            Power::Reset => Ok(()),
        };
        // The plan was checked against this memory.
        if let Err(error) = result {
            machine.log.warn(machine.schedule.now, error.to_string());
        }
    }
    let start = machine.plan.start;
    for (index, cpu) in machine.cores.iter_mut().enumerate() {
        let hart = match cpu {
            Cpu::RiscV(hart) => hart,
            Cpu::Arm(core) => {
                if let Start::Vectors { table } = start {
                    super::vectors::start(core, table, &memory);
                }
                if machine.itm.is_some() {
                    core.attach_trace();
                }
                continue;
            }
        };
        match start {
            Start::Vectors { .. } => {}
            Start::Supervisor { pc, dtb } if index == 0 => {
                let id = hart.config().hartid;
                hart.start_supervisor(pc, id, dtb);
            }
            Start::Supervisor { .. } => hart.set_stopped(true),
            Start::Machine { pc, dtb, dynamic_info } => {
                let id = hart.config().hartid;
                hart.set_pc(pc);
                hart.set_x(10, id);
                hart.set_x(11, dtb);
                hart.set_x(12, dynamic_info);
            }
        }
    }
}
