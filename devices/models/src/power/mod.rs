//! Power, reset and clock control.

pub mod fe310_prci;
pub mod syscon;

use devices_core::Model;

/// The models of this folder.
pub static MODELS: &[Model] = &[fe310_prci::MODEL, syscon::MODEL];

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
