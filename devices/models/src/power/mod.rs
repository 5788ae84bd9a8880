//! Power, reset and clock control.

pub mod battery;
pub mod fe310_prci;
pub mod mps2_scc;
pub mod syscon;

use devices_core::Model;
use devices_core::analog::AnalogModel;

/// The models of this folder.
pub static MODELS: &[Model] = &[fe310_prci::MODEL, mps2_scc::MODEL, syscon::MODEL];

/// The analog sources.
pub static ANALOG: &[AnalogModel] = &[battery::MODEL];

/// Compatibles of nodes that describe and do not act: the machine maps nothing for them and warns of nothing.
pub static PASSIVE: &[&str] = &[
    // Containers and processors.
    "simple-bus",
    "simple-mfd",
    "soc",
    "cpu-map",
    "operating-points-v2",
    "riscv,cpu-intc",
    "riscv,idle-state",
    "arm,idle-state",
    "riscv,pmu",
    "arm,v6m-nvic",
    "arm,v7m-nvic",
    "arm,armv6m-systick",
    "arm,armv7m-systick",
    // Registers of other nodes, by another name.
    "syscon-poweroff",
    "syscon-reboot",
    "syscon-reboot-mode",
    // Wires and clocks.
    "fixed-clock",
    "fixed-factor-clock",
    "regulator-fixed",
    "pwm-leds",
    "pwm-backlight",
    // Memory that other nodes map.
    "shared-dma-pool",
    "reserved-memory",
    // Descriptions for firmware.
    "linux,dummy-virt",
    "psci",
];

/// The identification registers of a block of the Cortex-M System Design Kit (ARM DDI 0479D): peripheral and
/// component ID, a byte in each word from 0xfd0 on.
pub(crate) fn cmsdk_id(part: u8, offset: u64) -> Option<u32> {
    let ids = [4, 0, 0, 0, part, 0xb8, 0x1b, 0, 0x0d, 0xf0, 0x05, 0xb1];
    let index = offset.checked_sub(0xfd0)? / 4;
    (offset.is_multiple_of(4)).then(|| ids.get(index as usize).copied().map(u32::from))?
}
