//! How long the radio takes for what, by modulation.
//!
//! Ramp-up, ramp-down: product specifications of the nRF52832 (v1.4, 23.15) and nRF52840 (v1.7, 6.20.15); the normal
//! ramp-ups without a TIFS, and the delays between antenna and events, as published measurements of both have them.

use devices_core::Time;
use devices_radio::Phy;

/// Times of one modulation.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Timing {
    /// From TXEN and RXEN to READY with MODECNF0.RU = Fast.
    pub fast: Time,
    /// From TXEN to READY otherwise.
    pub tx_ramp_up: Time,
    /// From RXEN to READY otherwise.
    pub rx_ramp_up: Time,
    /// From DISABLE in a TX state to DISABLED.
    pub tx_ramp_down: Time,
    /// From DISABLE in an RX state to DISABLED.
    pub rx_ramp_down: Time,
    /// From START to the first bit at the antenna, and from an event to the bit it belongs to.
    pub tx_chain: Time,
    /// From a bit at the antenna to the event that belongs to it.
    pub rx_chain: Time,
}

const fn ns(ns: u64) -> Time {
    Time::from_ns(ns)
}

/// The times of a modulation.
pub const fn of(phy: Phy) -> Timing {
    let common = Timing {
        fast: ns(40_000),
        tx_ramp_up: ns(130_000),
        rx_ramp_up: ns(129_000),
        tx_ramp_down: ns(6_000),
        rx_ramp_down: ns(0),
        tx_chain: ns(600),
        rx_chain: ns(9_400),
    };
    match phy {
        Phy::Ble1M | Phy::Nordic1M | Phy::Nordic250K => common,
        Phy::Ble2M | Phy::Nordic2M => {
            Timing { tx_ramp_up: ns(129_000), tx_ramp_down: ns(4_000), rx_chain: ns(5_450), ..common }
        }
        Phy::BleCodedS2 => {
            Timing { tx_ramp_down: ns(10_000), rx_chain: ns(24_600), tx_chain: ns(2_200), ..common }
        }
        Phy::BleCodedS8 => {
            Timing { tx_ramp_down: ns(10_000), rx_chain: ns(29_600), tx_chain: ns(2_200), ..common }
        }
        Phy::Ieee802154 => Timing {
            tx_ramp_down: ns(21_000),
            rx_ramp_down: ns(500),
            tx_chain: ns(1_000),
            rx_chain: ns(22_000),
            ..common
        },
    }
}

/// From RSSISTART to RSSIEND.
pub const RSSI: Time = ns(250);

/// One energy detection, and a clear channel assessment: eight symbols of 802.15.4.
pub const EIGHT_SYMBOLS: Time = ns(128_000);

/// By how much a receiver that TIFS starts is early.
pub const RX_MARGIN: Time = ns(3_000);
