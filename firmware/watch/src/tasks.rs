//! What waits for the world: one task each for touch, motion, pulse, power, button and motor.
//!
//! Each sleeps until an interrupt or a slow timer, then tells the program by [`EVENTS`].

use embassy_futures::select::{Either, select, select3};
use embassy_nrf::{
    Peri,
    gpio::{Input, Output},
    gpiote::InputChannel,
    peripherals::{P0_31, SAADC},
    saadc::{self, Saadc},
};
use embassy_sync::{blocking_mutex::raw::CriticalSectionRawMutex, channel::Channel, signal::Signal};
use embassy_time::{Duration, Ticker, Timer, with_timeout};
use watch_app::{Supply, gesture::Contact, pulse};

use crate::{
    Irqs,
    chips::{Bus, bma421, cst816s, hrs3300},
    println,
};

pub enum Event {
    Contact(Contact),
    /// The side button; whether it was held.
    Button(bool),
    Light(u32),
    Acceleration([i16; 3]),
    Supply(Supply),
}

pub static EVENTS: Channel<CriticalSectionRawMutex, Event, 16> = Channel::new();
/// Whether the pulse is wanted.
pub static MEASURE: Signal<CriticalSectionRawMutex, bool> = Signal::new();
/// The motor shall tick.
pub static BUZZ: Signal<CriticalSectionRawMutex, ()> = Signal::new();

/// Holding the button longer than this is another wish.
const LONG: Duration = Duration::from_millis(700);
const BOUNCE: Duration = Duration::from_millis(20);
const TICK: Duration = Duration::from_millis(35);

#[embassy_executor::task]
pub async fn touch(bus: &'static Bus, mut interrupt: InputChannel<'static>, mut reset: Output<'static>) {
    reset.set_low();
    Timer::after_millis(10).await;
    reset.set_high();
    Timer::after_millis(50).await;
    if let Err(e) = cst816s::init(bus).await {
        println!("watch: cst816s at 0x15: {e:?}");
    }
    let mut pulse = interrupt.wait();
    loop {
        pulse.await;
        // Listening begins again before the chip is read, so that no pulse is missed.
        pulse = interrupt.wait();
        if let Ok(contact) = cst816s::contact(bus).await {
            EVENTS.send(Event::Contact(contact)).await;
        }
    }
}

#[embassy_executor::task]
pub async fn motion(bus: &'static Bus, mut interrupt: Input<'static>) {
    if let Err(e) = bma421::init(bus).await {
        println!("watch: bma421 at 0x18: {e:?}");
        return;
    }
    let mut samples = [[0; 3]; bma421::MOST];
    loop {
        // High as long as the FIFO holds its watermark.
        interrupt.wait_for_high().await;
        match bma421::samples(bus, &mut samples).await {
            Ok(count) if count > 0 => {
                for &sample in &samples[..count] {
                    EVENTS.send(Event::Acceleration(sample)).await;
                }
            }
            Ok(_) => Timer::after_secs(1).await,
            Err(e) => {
                println!("watch: bma421 at 0x18: {e:?}");
                Timer::after_secs(10).await;
            }
        }
    }
}

#[embassy_executor::task]
pub async fn heart(bus: &'static Bus) {
    if let Err(e) = hrs3300::init(bus).await {
        println!("watch: hrs3300 at 0x44: {e:?}");
        return;
    }
    loop {
        while !MEASURE.wait().await {}
        let _ = hrs3300::enable(bus).await;
        let mut ticker = Ticker::every(Duration::from_hz(pulse::RATE.into()));
        loop {
            match select(ticker.next(), MEASURE.wait()).await {
                Either::First(()) => {
                    if let Ok(light) = hrs3300::light(bus).await {
                        EVENTS.send(Event::Light(light)).await;
                    }
                }
                Either::Second(true) => {}
                Either::Second(false) => break,
            }
        }
        let _ = hrs3300::disable(bus).await;
    }
}

/// Half the battery's voltage is on AIN7; both status lines are active low.
#[embassy_executor::task]
pub async fn power(
    mut saadc: Peri<'static, SAADC>,
    mut pin: Peri<'static, P0_31>,
    mut charging: Input<'static>,
    mut powered: Input<'static>,
) {
    loop {
        let channel = saadc::ChannelConfig::single_ended(pin.reborrow());
        let mut sample = [0];
        Saadc::new(saadc.reborrow(), Irqs, saadc::Config::default(), [channel]).sample(&mut sample).await;
        // 4096 are 3.6 V, six times the reference.
        let millivolts = sample[0].max(0) as u32 * 7200 / 4096;
        let supply = Supply { millivolts, charging: charging.is_low(), powered: powered.is_low() };
        EVENTS.send(Event::Supply(supply)).await;
        select3(Timer::after_secs(60), charging.wait_for_any_edge(), powered.wait_for_any_edge()).await;
    }
}

#[embassy_executor::task]
pub async fn button(mut pin: Input<'static>) {
    loop {
        pin.wait_for_high().await;
        Timer::after(BOUNCE).await;
        if pin.is_low() {
            continue;
        }
        let long = with_timeout(LONG, pin.wait_for_low()).await.is_err();
        EVENTS.send(Event::Button(long)).await;
        pin.wait_for_low().await;
        Timer::after(BOUNCE).await;
    }
}

#[embassy_executor::task]
pub async fn motor(mut pin: Output<'static>) {
    loop {
        BUZZ.wait().await;
        pin.set_low();
        Timer::after(TICK).await;
        pin.set_high();
    }
}
