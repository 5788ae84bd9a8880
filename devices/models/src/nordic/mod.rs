//! Peripherals of Nordic Semiconductor's nRF51 and nRF52 series.
//!
//! * [`block`]: tasks, events, shorts and interrupts, which all of them share.
//! * [`ppi`]: connects events to tasks of other peripherals.
//! * [`easydma`]: how they read and write RAM.
//! * [`clock`], [`timer`], [`rtc`], [`wdt`], [`ram`]: time, power and resets; timers only wake the scheduler for events.
//! * [`gpio`], [`gpiote`], [`qdec`]: pins, by themselves and in the hands of peripherals.
//! * [`nvmc`], [`protect`], [`ficr`]: flash, UICR and factory information.
//! * [`uart`], [`usbd`]: the console's ways out; [`usb_host`] is at the other end of the cable.
//! * [`adc`], [`comp`], [`analog`]: voltages, which are controls.
//! * [`serial`]: SPI and two-wire masters, which share addresses.
//! * [`hidden`]: what start-up code merely touches.
//! * [`radio`]: the 2.4 GHz radio; [`crypto`] is behind its companions [`ecb`], [`ccm`] and [`aar`].

pub mod aar;
pub mod adc;
pub mod analog;
pub mod block;
pub mod ccm;
pub mod clock;
pub mod comp;
mod compare;
pub mod crypto;
pub mod easydma;
pub mod ecb;
pub mod egu;
pub mod ficr;
pub mod gpio;
pub mod gpiote;
pub mod hidden;
pub mod i2s;
pub mod nvmc;
pub mod pdm;
pub mod ppi;
pub mod protect;
pub mod pwm;
pub mod qdec;
pub mod radio;
pub mod ram;
pub mod rng;
pub mod rtc;
pub mod saadc;
pub mod serial;
mod spi;
pub mod temp;
pub mod timer;
mod twi;
pub mod uart;
pub mod usb_host;
pub mod usbd;
pub mod wdt;

use devices_core::{BuildArgs, BuildError, Model};

/// The models of this folder.
pub static MODELS: &[Model] = &[
    adc::MODEL,
    ccm::MODEL,
    clock::MODEL,
    comp::MODEL,
    ecb::MODEL,
    egu::MODEL,
    ficr::MODEL,
    gpio::MODEL,
    gpiote::MODEL,
    hidden::MODEL,
    i2s::MODEL,
    nvmc::MODEL,
    pdm::MODEL,
    ppi::MODEL,
    pwm::MODEL,
    qdec::MODEL,
    radio::MODEL,
    rng::MODEL,
    rtc::MODEL,
    saadc::MODEL,
    serial::MODEL,
    temp::MODEL,
    timer::MODEL,
    uart::MODEL,
    usbd::MODEL,
    wdt::MODEL,
];

/// The bus address of a peripheral: where its first `reg` is.
pub(crate) fn base_address(args: &BuildArgs) -> Result<u32, BuildError> {
    let first = args.node.regs().first().and_then(|(base, _)| u32::try_from(*base).ok());
    first.ok_or_else(|| BuildError::property("reg", "an address below 4 GiB is expected"))
}
