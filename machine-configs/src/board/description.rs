//! What the program builds a machine from.

use serde::Serialize;

use super::props::Props;
use crate::{error::Error, source::Span};

/// A compiled and validated board. All addresses are as the cores see them.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// Name of the board: the file's name without extension.
    pub name: String,
    /// The root's `model`, or the name.
    pub model: String,
    /// The root's `compatible`, most specific first.
    pub compatible: Vec<String>,
    /// One line about the board (`hyperemu,summary`).
    pub summary: String,
    /// Who starts the guest's first instruction.
    pub boot: Boot,
    /// The embedded image that runs when none is given.
    pub image: Option<String>,
    /// Where cores start when the image names no entry.
    pub reset_vector: Option<u64>,
    /// The window around the screen.
    pub window: Window,
    /// Cores, by their order in the tree.
    pub cpus: Vec<Cpu>,
    /// Ticks of the platform's timer each second.
    pub timebase_hz: u64,
    /// Memory, in order: main memory first.
    pub memory: Vec<MemoryRegion>,
    /// Every enabled node that stands for hardware, parents before children. Nodes of simple buses are flattened.
    pub devices: Vec<DeviceNode>,
    /// The device of `/chosen/stdout-path`.
    pub stdout: Option<DeviceIndex>,
    /// `/aliases` that name devices: alias and device, in order.
    pub aliases: Vec<(String, DeviceIndex)>,
    /// Devices without a model, filled by [`super::Board::classify`].
    pub unknown: Vec<UnknownNode>,
}

/// Position in [`Description::devices`].
pub type DeviceIndex = usize;

/// How a board starts (`hyperemu,boot`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Boot {
    /// In S-mode, with the emulator as SBI firmware; in M-mode with firmware given.
    Sbi,
    /// From flash, at the reset vector.
    Flash,
    /// As the vector table at the reset vector says.
    Vectors,
    /// At the entry of the image.
    Elf,
}

/// The window (`hyperemu,window-title`, `hyperemu,skin`, `hyperemu,window-size`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Title; the model's name by default.
    pub title: String,
    /// Name of the drawing around the screen.
    pub skin: Option<String>,
    /// Width and height in pixels, for boards without a screen.
    pub size: Option<(u32, u32)>,
}

/// One core.
#[derive(Clone, Debug, Serialize)]
pub struct Cpu {
    /// Full path.
    pub path: String,
    /// First label.
    pub label: Option<String>,
    /// `compatible`, most specific first.
    pub compatible: Vec<String>,
    /// `reg`: the hart id, or the MPIDR.
    pub reg: u64,
    /// Instructions each second.
    pub clock_hz: u64,
    /// `rv32i`, `rv64i`; None on other architectures.
    pub isa_base: Option<String>,
    /// Extensions in lower case, one each, as in `riscv,isa-extensions`.
    pub isa_extensions: Vec<String>,
    /// `mmu-type`, such as `riscv,sv57`.
    pub mmu: Option<String>,
    /// What an Arm M-profile core has; None on other architectures.
    pub arm: Option<ArmCore>,
    /// All properties.
    pub props: Props,
    /// Where it was written.
    #[serde(skip)]
    pub span: Span,
}

/// What an Arm M-profile core has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArmCore {
    /// The core as its `compatible` names it: `arm,cortex-m4f`.
    pub part: String,
    /// Bits of an interrupt's priority that exist (`arm,num-irq-priority-bits`): 2 to 8.
    pub priority_bits: u32,
    /// External interrupts that exist (`hyperemu,interrupts` of the controller): 1 to 496.
    pub interrupts: u32,
    /// Regions of the MPU (`arm,num-mpu-regions`); 0 without an MPU.
    pub mpu_regions: u32,
    /// Whether it has a floating-point unit.
    pub fpu: bool,
    /// Whether words of 0x22000000 and 0x42000000 are bits of what is at 0x20000000 and 0x40000000
    /// (`hyperemu,bit-band`).
    pub bit_band: bool,
}

/// What kind of memory a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryKind {
    /// Main memory (`device_type = "memory"`).
    Ram,
    /// Memory on the chip.
    Sram,
    /// Read-only.
    Rom,
}

/// One range of memory.
#[derive(Clone, Debug, Serialize)]
pub struct MemoryRegion {
    /// Full path.
    pub path: String,
    /// First label.
    pub label: Option<String>,
    /// `compatible`, empty for plain memory.
    pub compatible: Vec<String>,
    /// Kind.
    pub kind: MemoryKind,
    /// First byte.
    pub base: u64,
    /// Length in bytes.
    pub size: u64,
    /// Where it was written.
    #[serde(skip)]
    pub span: Span,
}

/// One entry of `reg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reg {
    /// First byte; the address or chip select on buses such as I2C and SPI.
    pub base: u64,
    /// Length in bytes; 0 on such buses.
    pub size: u64,
}

/// Who takes an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// The local controller of a core: position in [`Description::cpus`].
    Cpu(usize),
    /// A device.
    Device(DeviceIndex),
    /// Nobody: the controller is disabled. The entry keeps its place, since places are numbers to some controllers.
    None,
}

/// One interrupt output of a device, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interrupt {
    /// Where to.
    pub controller: Controller,
    /// Line and flags, `#interrupt-cells` of them.
    pub cells: Vec<u32>,
}

/// One entry of a property that refers to another node with arguments, such as `gpios` or `clocks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reference {
    /// The property.
    pub property: String,
    /// Position in the property.
    pub index: usize,
    /// Full path of the node referred to.
    pub path: String,
    /// The node referred to, if it is a device.
    pub target: Option<DeviceIndex>,
    /// Arguments: for GPIOs pin and flags.
    pub cells: Vec<u32>,
}

/// One node that stands for hardware.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceNode {
    /// Full path.
    pub path: String,
    /// Name with unit address.
    pub name: String,
    /// First label.
    pub label: Option<String>,
    /// `compatible`, most specific first; may be empty below another device.
    pub compatible: Vec<String>,
    /// The device it is part of or attached to; None on the cores' bus.
    pub parent: Option<DeviceIndex>,
    /// Devices attached to it, in order.
    pub children: Vec<DeviceIndex>,
    /// Whether `reg` holds addresses that cores can access.
    pub mapped: bool,
    /// `reg`, translated where `mapped`.
    pub reg: Vec<Reg>,
    /// Interrupt outputs, in order.
    pub interrupts: Vec<Interrupt>,
    /// References with arguments, by property and position.
    pub references: Vec<Reference>,
    /// Whether the guest does not see the node (`hyperemu,hidden`).
    pub hidden: bool,
    /// All properties, those under `hyperemu,` included.
    pub props: Props,
    /// Where it was written.
    #[serde(skip)]
    pub span: Span,
}

/// A device that no model claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnknownNode {
    /// Position in [`Description::devices`].
    pub device: DeviceIndex,
    /// Full path.
    pub path: String,
    /// `compatible`.
    pub compatible: Vec<String>,
    /// Where it was written, as file:line:column.
    pub position: String,
}

impl DeviceNode {
    /// The references of a property such as `gpios` or `reset-gpio`, in order.
    pub fn references<'a>(&'a self, property: &'a str) -> impl Iterator<Item = &'a Reference> + 'a {
        self.references.iter().filter(move |r| r.property == property)
    }

    /// The range of `reg` that `reg-names` calls `name`.
    pub fn reg_named(&self, name: &str) -> Option<Reg> {
        let names = self.props.get("reg-names")?.strings()?;
        self.reg.get(names.iter().position(|n| n == name)?).copied()
    }

    /// The range of `reg` at `index`, or an error that points at the node.
    pub fn reg_at(&self, index: usize) -> Result<Reg, Error> {
        self.reg.get(index).copied().ok_or_else(|| {
            let message = format!("`{}` needs at least {} ranges in `reg`", self.path, index + 1);
            self.props.error("reg", message).help("write `reg = <address size>;`")
        })
    }

    /// Label if there is one, else the name: how people call the device.
    pub fn display_name(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }
}

impl Description {
    /// The children of a device, in order.
    pub fn children(&self, device: DeviceIndex) -> impl Iterator<Item = (DeviceIndex, &DeviceNode)> {
        let children = self.devices.get(device).map_or(&[][..], |d| &d.children);
        children.iter().filter_map(|&i| Some((i, self.devices.get(i)?)))
    }

    /// The device with this path, label or alias.
    pub fn find(&self, name: &str) -> Option<DeviceIndex> {
        let by_name = |d: &DeviceNode| d.path == name || d.label.as_deref() == Some(name);
        self.devices
            .iter()
            .position(by_name)
            .or_else(|| self.aliases.iter().find(|(a, _)| a == name).map(|a| a.1))
    }

    /// Main memory.
    pub fn ram(&self) -> impl Iterator<Item = &MemoryRegion> {
        self.memory.iter().filter(|m| m.kind == MemoryKind::Ram)
    }
}
