//! The files inside the program.

use crate::source::SearchPath;

macro_rules! files {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../", $path)))),*] };
}

/// Every built-in file by path.
pub(crate) static FILES: &[(&str, &str)] = files![
    "boards/microbit.dts",
    "boards/mps2-an386.dts",
    "boards/nrf52840dk.dts",
    "boards/nrf52dk.dts",
    "boards/sensor.dts",
    "boards/tv.dts",
    "boards/virt-riscv32.dts",
    "boards/watch.dts",
    "soc/armv6-m.dtsi",
    "soc/armv7-m.dtsi",
    "soc/fe310-g002.dtsi",
    "soc/mps2.dtsi",
    "soc/nrf5.dtsi",
    "soc/nrf51822.dtsi",
    "soc/nrf52.dtsi",
    "soc/nrf52832.dtsi",
    "soc/nrf52840.dtsi",
    "soc/riscv-virt.dtsi",
    "include/dt-bindings/gpio/gpio.h",
    "include/dt-bindings/input/input.h",
    "include/dt-bindings/interrupt-controller/irq.h",
    "include/dt-bindings/interrupt-controller/riscv-hart.h",
    "include/dt-bindings/leds/common.h",
];

/// The built-in files, and nothing else.
pub(crate) fn search_path() -> SearchPath {
    SearchPath { directories: Vec::new(), builtin: FILES }
}

/// Names of the built-in boards, sorted.
pub(crate) fn board_names() -> impl Iterator<Item = &'static str> {
    FILES.iter().filter_map(|(path, _)| path.strip_prefix("boards/")?.strip_suffix(".dts"))
}
