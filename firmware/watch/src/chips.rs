//! The chips on the I2C bus: touch, motion and heart rate.

use embassy_nrf::twim::{self, Twim};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};

use watch_app::gesture::{Contact, Swipe};

/// The bus that they share.
pub struct Bus(Mutex<NoopRawMutex, Twim<'static>>);

impl Bus {
    pub fn new(twim: Twim<'static>) -> Self {
        Self(Mutex::new(twim))
    }

    /// Reads registers from `register` on.
    async fn read<const N: usize>(&self, address: u8, register: u8) -> Result<[u8; N], twim::Error> {
        let mut bytes = [0; N];
        self.0.lock().await.write_read(address, &[register], &mut bytes).await?;
        Ok(bytes)
    }

    async fn write(&self, address: u8, register: u8, value: u8) -> Result<(), twim::Error> {
        self.0.lock().await.write(address, &[register, value]).await
    }

    async fn write_all(&self, address: u8, pairs: &[(u8, u8)]) -> Result<(), twim::Error> {
        for &(register, value) in pairs {
            self.write(address, register, value).await?;
        }
        Ok(())
    }
}

/// The touch controller, a Hynitron CST816S. Document: "CST816S register declaration".
pub mod cst816s {
    use super::{Bus, Contact, Swipe, twim};

    const ADDRESS: u8 = 0x15;
    const GESTURE: u8 = 0x01;
    const CHIP_ID: u8 = 0xa7;
    const MOTION_MASK: u8 = 0xec;
    const IRQ_CONTROL: u8 = 0xfa;

    /// Asks for a pulse on the interrupt line at each contact, change and gesture. Call soon after the chip's reset: later
    /// it sleeps and answers only while it is touched.
    pub async fn init(bus: &Bus) -> Result<u8, twim::Error> {
        let [id] = bus.read(ADDRESS, CHIP_ID).await?;
        bus.write_all(ADDRESS, &[(MOTION_MASK, 0), (IRQ_CONTROL, 0x70)]).await?;
        Ok(id)
    }

    /// What touches the glass.
    pub async fn contact(bus: &Bus) -> Result<Contact, twim::Error> {
        let [gesture, fingers, xh, xl, yh, yl] = bus.read(ADDRESS, GESTURE).await?;
        let swipe = match gesture {
            1 => Some(Swipe::Down),
            2 => Some(Swipe::Up),
            3 => Some(Swipe::Left),
            4 => Some(Swipe::Right),
            _ => None,
        };
        let place = |high: u8, low: u8| i32::from(high & 0x0f) << 8 | i32::from(low);
        // The upper bits of x say what happens: 1 is the finger's leaving.
        let down = fingers > 0 && xh >> 6 != 1;
        Ok(Contact { x: place(xh, xl), y: place(yh, yl), down, swipe })
    }
}

/// The accelerometer, a Bosch BMA421. Document: the BMA423's datasheet (BST-BMA423-DS000), whose registers are the same.
pub mod bma421 {
    use super::{Bus, twim};

    const ADDRESS: u8 = 0x18;
    const CHIP_ID: u8 = 0x00;
    const FIFO_LENGTH: u8 = 0x24;
    const FIFO_DATA: u8 = 0x26;
    const SETUP: [(u8, u8); 10] = [
        (0x7c, 0x00), // PWR_CONF: no advanced power saving, which would forbid quick writes
        (0x40, 0x26), // ACC_CONF: 25 Hz, averages of 4
        (0x41, 0x01), // ACC_RANGE: 4 g
        (0x46, (FRAMES * FRAME) as u8), // FIFO_WTM
        (0x47, 0x00),
        (0x48, 0x00), // FIFO_CONFIG_0: the oldest gives way
        (0x49, 0x40), // FIFO_CONFIG_1: acceleration without headers
        (0x53, 0x0a), // INT1_IO_CTRL: driven, active high
        (0x58, 0x02), // INT_MAP_DATA: the watermark on INT1
        (0x7d, 0x04), // PWR_CTRL: the accelerometer on
    ];
    /// Bytes of a sample in the FIFO.
    const FRAME: usize = 6;
    /// Samples that raise the interrupt: half a second.
    const FRAMES: usize = 13;
    /// Samples read at most at once: the DMA counts to 255.
    pub const MOST: usize = 40;

    /// Switches it on; returns its identification.
    pub async fn init(bus: &Bus) -> Result<u8, twim::Error> {
        let [id] = bus.read(ADDRESS, CHIP_ID).await?;
        bus.write(ADDRESS, 0x7e, 0xb6).await?; // CMD: soft reset
        embassy_time::Timer::after_millis(2).await;
        bus.write(ADDRESS, SETUP[0].0, SETUP[0].1).await?;
        embassy_time::Timer::after_millis(1).await;
        bus.write_all(ADDRESS, &SETUP[1..]).await?;
        Ok(id)
    }

    /// Takes what the FIFO holds, in 1/1000 g, the oldest first; returns how many samples there were.
    pub async fn samples(bus: &Bus, samples: &mut [[i16; 3]; MOST]) -> Result<usize, twim::Error> {
        let length = u16::from_le_bytes(bus.read(ADDRESS, FIFO_LENGTH).await?) & 0x3fff;
        let count = (usize::from(length) / FRAME).min(MOST);
        if count == 0 {
            return Ok(0);
        }
        let mut bytes = [0; MOST * FRAME];
        let bytes = &mut bytes[..count * FRAME];
        bus.0.lock().await.write_read(ADDRESS, &[FIFO_DATA], bytes).await?;
        for (sample, frame) in samples.iter_mut().zip(bytes.as_chunks::<FRAME>().0) {
            let axis = |at: usize| {
                let raw = i16::from_le_bytes([frame[at], frame[at + 1]]);
                // 12 bits at the top of the word; 4 g are 32768.
                (i32::from(raw & !0xf) * 1000 / 8192) as i16
            };
            *sample = [axis(0), axis(2), axis(4)];
        }
        Ok(count)
    }
}

/// The heart-rate sensor, a Nanjing Tianyihexin HRS3300. Document: its datasheet, V1.1.
pub mod hrs3300 {
    use super::{Bus, twim};

    const ADDRESS: u8 = 0x44;
    const ID: u8 = 0x00;
    const ENABLE: u8 = 0x01;
    const C1DATAM: u8 = 0x08;
    const DRIVER: u8 = 0x0c;
    const RESOLUTION: u8 = 0x16;
    const GAIN: u8 = 0x17;

    /// The chip's identification; it stays off.
    pub async fn init(bus: &Bus) -> Result<u8, twim::Error> {
        let [id] = bus.read(ADDRESS, ID).await?;
        disable(bus).await?;
        Ok(id)
    }

    /// Begins to measure without pauses, 25 ms each.
    pub async fn enable(bus: &Bus) -> Result<(), twim::Error> {
        // 14 bits; no gain; the LED with 12.5 mA; on, without pauses.
        bus.write_all(ADDRESS, &[(RESOLUTION, 0x66), (GAIN, 0x00), (DRIVER, 0x2f), (ENABLE, 0xf0)]).await
    }

    pub async fn disable(bus: &Bus) -> Result<(), twim::Error> {
        bus.write_all(ADDRESS, &[(ENABLE, 0x70), (DRIVER, 0x00)]).await
    }

    /// The newest value: the light that comes back, 18 bits.
    pub async fn light(bus: &Bus) -> Result<u32, twim::Error> {
        let [_, middle, high, _, _, _, _, low]: [u8; 8] = bus.read(ADDRESS, C1DATAM).await?;
        let [middle, high, low] = [middle, high, low].map(u32::from);
        Ok((low & 0x30) << 12 | middle << 8 | (high & 0x0f) << 4 | low & 0x0f)
    }
}
