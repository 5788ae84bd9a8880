//! The entropy device: virtio 1.2, section 5.4. Complete.
//!
//! Its bytes are those of the machine's seed: a guest's entropy is reproducible on purpose.

use super::device::{Io, VirtioDevice};
use devices_core::{Component, Ctx, RestoreError, Rng, state};

/// Most bytes given to one request; the driver asks again for more.
const PER_REQUEST: u64 = 4096;

/// An entropy source.
pub struct Entropy {
    rng: Rng,
    power_on: Rng,
}

impl Entropy {
    /// The stream of (`seed`, `name`).
    pub fn new(seed: u64, name: &str) -> Entropy {
        let rng = Rng::new(seed, name);
        Entropy { power_on: rng.clone(), rng }
    }
}

impl Component for Entropy {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.rng)
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.rng = state::decode(bytes)?;
        Ok(())
    }
}

impl VirtioDevice for Entropy {
    fn id(&self) -> u32 {
        4
    }

    fn features(&self) -> u64 {
        0
    }

    fn queues(&self) -> &'static [u16] {
        &[64]
    }

    fn config(&self) -> Vec<u8> {
        Vec::new()
    }

    fn reset(&mut self, _ctx: &mut Ctx, power: bool) {
        // A second driver, after a boot loader's, must not see the same bytes again.
        if power {
            self.rng = self.power_on.clone();
        }
    }

    fn notify(&mut self, io: &mut Io, queue: usize) {
        while let Some(mut chain) = io.pop(queue) {
            let mut bytes = vec![0; chain.writable.remaining().min(PER_REQUEST) as usize];
            self.rng.fill(&mut bytes);
            chain.writable.write(&io.memory, &bytes);
            io.complete(queue, &chain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::feature;
    use super::super::testing::{Driver, torture};
    use super::*;

    #[test]
    fn bytes_are_those_of_the_seed() {
        let mut driver = Driver::new(Entropy::new(7, "rng"), 0);
        let first = driver.ask(0, &[], 24).unwrap();
        let mut expected = vec![0; 24];
        Rng::new(7, "rng").fill(&mut expected);
        assert_eq!(first, expected);
        let saved = driver.bench.device.save();
        let second = driver.ask(0, &[], 100).unwrap();
        driver.start(0);
        assert_ne!(driver.ask(0, &[], 24).unwrap(), first, "the next driver gets other bytes");
        driver.start(0);
        driver.bench.device.restore(&saved).unwrap();
        driver.memory.clear();
        driver.poke(driver.table(0) + 0x802, &[1, 0]);
        driver.poke(driver.table(0) + 0x402, &[1, 0]);
        driver.resume(1);
        assert_eq!(driver.ask(0, &[], 100).unwrap(), second);
        driver.bench.call(devices_core::Device::reset);
        driver.start(0);
        assert_eq!(driver.ask(0, &[], 24).unwrap(), first, "power-on starts the stream again");
    }

    #[test]
    fn a_request_is_answered_in_part_if_it_is_large() {
        let mut driver = Driver::new(Entropy::new(7, "rng"), 0);
        assert_eq!(driver.ask(0, &[], 5000).unwrap().len(), 4096);
    }

    #[test]
    fn survives_anything() {
        torture(|| Box::new(Entropy::new(1, "rng")), feature::RING_RESET);
    }
}
