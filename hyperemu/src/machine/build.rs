//! From a board's description to a machine.

use crate::firmware::sbi::Sbi;
use crate::host::log::Log;
use crate::load::Arch;
use crate::machine::boot::{BootPlan, Start};
use crate::machine::bus::{Slot, SystemBus};
use crate::machine::node::DtNode;
use crate::machine::pins;
use crate::machine::scheduler::Schedule;
use crate::machine::{Cpu, Machine, UnimplementedPolicy};
use cpu_armm::{ArmConfig, ArmCore};
use cpu_core::{GuestMemory, MemoryError, MemoryKind, RegionSpec, Time};
use cpu_riscv::isa::Features;
use cpu_riscv::{Hart, HartConfig, Mmu};
use devices_core::ctx::CHILD;
use devices_core::{BuildArgs, DeviceId, Model, Node, Resources, Target};
use machine_configs::{Board, Boot, Controller, Cpu as CpuNode, Description, DeviceIndex, DeviceNode};
use std::collections::BTreeMap;
use thiserror::Error;

/// A board can not be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A mistake in the board, at a place in its source.
    #[error(transparent)]
    Board(#[from] machine_configs::Error),
    /// Memory can not be made.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// What the user decides about a machine, apart from its board.
pub struct Options<'a> {
    /// What all randomness comes from.
    pub seed: u64,
    /// What to do about what is not modelled.
    pub policy: UnimplementedPolicy,
    /// Whether the emulator answers SBI calls.
    pub builtin_sbi: bool,
    /// Whether the semihosting sequence reaches the host.
    pub semihosting: bool,
    /// What the host lends.
    pub resources: &'a mut dyn Resources,
}

/// The instruction set of a board's cores.
pub fn arch(description: &Description) -> Arch {
    if description.cpus.iter().any(|cpu| cpu.arm.is_some()) {
        return Arch::ArmM;
    }
    let base = description.cpus.first().and_then(|cpu| cpu.isa_base.as_deref()).unwrap_or_default();
    if base.starts_with("rv32") { Arch::Riscv32 } else { Arch::Riscv64 }
}

/// Whether the board has something to tell the user about a `compatible`: a model, or that it needs none.
pub fn is_known(compatible: &str) -> bool {
    let name = [compatible];
    devices_models::model_for(&name).is_some()
        || devices_models::i2c_chip_for(&name).is_some()
        || devices_models::spi_chip_for(&name).is_some()
        || devices_models::analog_source_for(&name).is_some()
        || devices_models::power::PASSIVE.contains(&compatible)
}

fn model_of(node: &DeviceNode) -> Option<&'static Model> {
    let compatible: Vec<&str> = node.compatible.iter().map(String::as_str).collect();
    devices_models::model_for(&compatible)
}

/// More would cost the host gigabytes before the guest touches any of it.
const MAX_MEMORY: u64 = 256 << 30;

/// Builds the machine, reset, with nothing loaded.
pub fn build(board: &Board, options: Options) -> Result<Machine, BuildError> {
    let description = &board.description;
    let regions = regions(description);
    if let Some(region) = regions.iter().find(|region| region.size > MAX_MEMORY) {
        let (name, base, size) = (region.name.clone(), region.base, region.size);
        return Err(MemoryError::BadRegion { name, base, size, why: "larger than 256 GiB" }.into());
    }
    let memory = GuestMemory::new(regions)?;
    let mut bus = SystemBus::new(memory.clone(), description.timebase_hz);
    let mut ids: BTreeMap<DeviceIndex, DeviceId> = BTreeMap::new();
    for (index, node) in description.devices.iter().enumerate() {
        let Some(model) = model_of(node).filter(|_| node.parent.is_none()) else { continue };
        let dt = DtNode::new(description, index);
        let name = unique_name(&bus, &dt);
        let mut args = BuildArgs {
            node: &dt,
            name: &name,
            seed: options.seed,
            memory: &memory,
            ram: description.ram().map(|region| region.size).sum(),
            cores: description.cpus.len() as u16,
            resources: options.resources,
        };
        let device = (model.build)(&mut args).map_err(|error| {
            node.props.error(error.property.as_deref().unwrap_or_default(), error.message)
        })?;
        let id = bus.add(Slot { name, path: node.path.clone(), summary: model.summary, device });
        ids.insert(index, id);
        for (region, reg) in node.reg.iter().enumerate().filter(|_| node.mapped) {
            if !model.ram.contains(&region) {
                bus.map(reg.base, reg.size, id, region);
            }
        }
    }
    wire(description, &mut bus, &ids);
    let cores = description
        .cpus
        .iter()
        .enumerate()
        .map(|(index, cpu)| match &cpu.arm {
            Some(arm) => Ok(arm_core(index, cpu, arm, &memory, description, options.semihosting)),
            None => hart(cpu, &memory, description, &options),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let of_itm =
        |node: &DeviceNode| node.compatible.iter().any(|name| name == devices_models::uart::itm::COMPATIBLE);
    let itm = description.devices.iter().position(of_itm).and_then(|index| ids.get(&index)).copied();
    let is_16550 = |node: &DeviceNode| node.compatible.iter().any(|name| name.starts_with("ns16550"));
    let console = description
        .stdout
        .filter(|&index| is_16550(&description.devices[index]))
        .and_then(|index| ids.get(&index))
        .copied();
    let sbi = options.builtin_sbi.then(|| Sbi::new(cores.len(), console));
    let schedule = Schedule::new(cores.len());
    let mut machine = Machine {
        name: description.name.clone(),
        cores,
        bus,
        schedule,
        plan: BootPlan { segments: Vec::new(), start: Start::Machine { pc: 0, dtb: 0, dynamic_info: 0 } },
        sbi,
        stdout: description.stdout.and_then(|index| ids.get(&index)).copied(),
        itm,
        policy: options.policy,
        log: Log::default(),
        seed: options.seed,
        resets: 0,
        wake_others: false,
        unimplemented_error: None,
    };
    machine.bus.reset(Time::ZERO);
    Ok(machine)
}

/// RAM and ROM of the board and of its devices.
fn regions(description: &Description) -> Vec<RegionSpec> {
    let mut specs = Vec::new();
    for region in &description.memory {
        let kind = match region.kind {
            machine_configs::MemoryKind::Rom => MemoryKind::Rom,
            _ => MemoryKind::Ram,
        };
        specs.push(RegionSpec { name: region.path.clone(), base: region.base, size: region.size, kind });
    }
    for node in description.devices.iter().filter(|node| node.parent.is_none()) {
        let Some(model) = model_of(node) else { continue };
        for (list, kind) in [(model.rom, MemoryKind::Rom), (model.ram, MemoryKind::Ram)] {
            // A model lists all regions that a node may have; a node may have fewer.
            for &region in list {
                let Some(reg) = node.reg.get(region) else { continue };
                let name = format!("{} {region}", node.path);
                specs.push(RegionSpec { name, base: reg.base, size: reg.size, kind });
            }
        }
    }
    specs
}

fn unique_name(bus: &SystemBus, node: &DtNode) -> String {
    let name = node.name();
    let taken = |name: &str| bus.slots.iter().any(|slot| slot.name == name);
    if !taken(name) {
        return name.to_string();
    }
    (1..).map(|n| format!("{name}{n}")).find(|name| !taken(name)).unwrap_or_default()
}

/// The device that `index` is or is part of, and the first line number of its own.
fn owner(
    description: &Description,
    ids: &BTreeMap<DeviceIndex, DeviceId>,
    index: DeviceIndex,
) -> Option<(DeviceId, u32)> {
    if let Some(&id) = ids.get(&index) {
        return Some((id, 0));
    }
    let parent = description.devices.get(index)?.parent?;
    let position = description.devices[parent].children.iter().position(|&child| child == index)?;
    Some((*ids.get(&parent)?, CHILD.wrapping_mul(position as u32 + 1)))
}

fn wire(description: &Description, bus: &mut SystemBus, ids: &BTreeMap<DeviceIndex, DeviceId>) {
    for (index, node) in description.devices.iter().enumerate() {
        let Some((from, base)) = owner(description, ids, index) else { continue };
        for (output, interrupt) in node.interrupts.iter().enumerate() {
            let (target, input) = match interrupt.controller {
                Controller::None => continue,
                Controller::Cpu(core) => (Target::Core(core), interrupt.cells.first().copied()),
                Controller::Device(controller) => {
                    let Some(&id) = ids.get(&controller) else { continue };
                    (Target::Device(id), bus.slots[id].device.interrupt_input(&interrupt.cells))
                }
            };
            if let Some(input) = input {
                bus.services.wires.connect(from, base + output as u32, target, input);
            }
        }
        let part = base / CHILD - u32::from(base > 0);
        pins::connect(description, ids, &mut bus.services.wires, node, (from, base), part);
    }
}

fn arm_core(
    index: usize,
    cpu: &CpuNode,
    arm: &machine_configs::ArmCore,
    memory: &GuestMemory,
    description: &Description,
    semihosting: bool,
) -> Cpu {
    let base = match arm.part.as_str() {
        "arm,cortex-m0" => ArmConfig::cortex_m0(),
        "arm,cortex-m0+" | "arm,cortex-m1" => {
            ArmConfig { unprivileged: true, vtor: true, ..ArmConfig::cortex_m0() }
        }
        "arm,cortex-m3" => ArmConfig::cortex_m3(),
        _ => ArmConfig::cortex_m4f(),
    };
    let config = ArmConfig {
        index,
        fpu: arm.fpu,
        mpu_regions: arm.mpu_regions as usize,
        priority_bits: arm.priority_bits,
        irqs: arm.interrupts,
        bit_band: arm.bit_band,
        vector_table: description.reset_vector.unwrap_or(0) as u32,
        period: period(cpu),
        semihosting,
        ..base
    };
    Cpu::Arm(Box::new(ArmCore::new(config, memory.clone())))
}

/// Of one cycle of a core's clock.
fn period(cpu: &CpuNode) -> Time {
    Time(Time::PER_SECOND / cpu.clock_hz.clamp(1, Time::PER_SECOND))
}

fn hart(
    cpu: &CpuNode,
    memory: &GuestMemory,
    description: &Description,
    options: &Options,
) -> Result<Cpu, BuildError> {
    if !cpu.compatible.iter().any(|name| name == "riscv") {
        let message =
            format!("there is no core for {:?}; \"riscv\" and \"arm,cortex-m4f\" are there", cpu.compatible);
        return Err(cpu.props.error("compatible", message).into());
    }
    let base = cpu.isa_base.as_deref().unwrap_or("rv64i");
    let extensions: Vec<&str> = cpu.isa_extensions.iter().map(String::as_str).collect();
    let mmu = match &cpu.mmu {
        None => Mmu::None,
        Some(name) => Mmu::from_devicetree(name)
            .ok_or_else(|| cpu.props.error("mmu-type", format!("there is no translation mode {name:?}")))?,
    };
    let config = HartConfig::new(cpu.reg, base, extensions, mmu)
        .map_err(|error| cpu.props.error("riscv,isa-extensions", error.to_string()))?;
    let firmware_calls = options.builtin_sbi && description.boot == Boot::Sbi;
    if firmware_calls && !config.extensions.contains(Features::SSTC) {
        let message =
            "the built-in SBI needs the extension \"sstc\" for its timer; add it, or start with --firmware";
        return Err(cpu.props.error("riscv,isa-extensions", message).into());
    }
    let config = HartConfig {
        period: period(cpu),
        reset_pc: description.reset_vector.unwrap_or(0),
        firmware_calls,
        semihosting: options.semihosting,
        ..config
    };
    Ok(Cpu::RiscV(Box::new(Hart::new(config, memory.clone()))))
}
