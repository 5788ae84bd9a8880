//! Random bytes by virtio-entropy (virtio 1.2, section 5.4).

use super::{
    Error, Transport,
    queue::{Buffer, Queue},
};
use crate::dma::Dma;

pub struct Rng {
    requests: Queue,
    memory: Dma,
}

impl Rng {
    pub fn new(transport: Transport) -> Result<Self, Error> {
        transport.begin(0)?;
        let requests = Queue::new(transport, 0)?;
        transport.finish();
        Ok(Self { requests, memory: Dma::new(8) })
    }

    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        let (mut value, mut have) = (0, 0);
        while have < 8 {
            let buffer = Buffer { address: self.memory.address(), length: 8, device_writes: true };
            // A device may give fewer bytes than asked for, but at least one.
            let count = self.requests.ask(&[buffer]).clamp(1, 8 - have);
            for i in 0..count as usize {
                value = value << 8 | u64::from(self.memory.read::<u8>(i));
            }
            have += count;
        }
        value
    }
}
