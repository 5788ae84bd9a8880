//! The 2D side of virtio-gpu (virtio 1.2, section 5.7): one resource in our memory, shown on the first scanout.

use ui::{Rectangle, Size, Xrgb8888};

use super::{
    Error, Transport,
    queue::{Buffer, Queue},
};
use crate::dma::Dma;

const GET_DISPLAY_INFO: u32 = 0x100;
const RESOURCE_CREATE_2D: u32 = 0x101;
const SET_SCANOUT: u32 = 0x103;
const RESOURCE_FLUSH: u32 = 0x104;
const TRANSFER_TO_HOST_2D: u32 = 0x105;
const RESOURCE_ATTACH_BACKING: u32 = 0x106;
const OK_NODATA: u32 = 0x1100;
const OK_DISPLAY_INFO: u32 = 0x1101;

const FORMAT_B8G8R8X8: u32 = 2;
const RESOURCE: u32 = 1;
/// Every request begins with type, flags, fence, context and ring: 24 bytes.
const HEADER: usize = 24;
/// Requests lie at the start of the exchange page, answers in its upper half.
const ANSWER: usize = 2048;

pub struct Gpu {
    control: Queue,
    exchange: Dma,
    frame: Dma,
    pub size: Size,
}

impl Gpu {
    /// Starts the device and shows a black picture of the scanout's preferred size.
    pub fn new(transport: Transport) -> Result<Self, Error> {
        transport.begin(0)?;
        let control = Queue::new(transport, 0)?;
        transport.finish();
        let mut gpu = Self { control, exchange: Dma::new(4096), frame: Dma::new(0), size: Size::zero() };

        gpu.request(GET_DISPLAY_INFO, &[], OK_DISPLAY_INFO)?;
        let mode = |offset| gpu.exchange.read::<u32>(ANSWER + HEADER + offset);
        // The first scanout's rectangle is x, y, width, height; then whether it is on.
        let (width, height, on) = (mode(8), mode(12), mode(16));
        gpu.size =
            if on != 0 && width > 0 && height > 0 { Size::new(width, height) } else { Size::new(1920, 1080) };
        let Size { width, height } = gpu.size;

        gpu.request(RESOURCE_CREATE_2D, &[RESOURCE, FORMAT_B8G8R8X8, width, height], OK_NODATA)?;
        gpu.frame = Dma::new(width as usize * height as usize * 4);
        let address = gpu.frame.address();
        let backing = [RESOURCE, 1, address as u32, (address >> 32) as u32, width * height * 4, 0];
        gpu.request(RESOURCE_ATTACH_BACKING, &backing, OK_NODATA)?;
        gpu.request(SET_SCANOUT, &[0, 0, width, height, 0, RESOURCE], OK_NODATA)?;
        Ok(gpu)
    }

    /// The picture's pixels, row by row.
    pub fn pixels(&mut self) -> &mut [Xrgb8888] {
        self.frame.slice()
    }

    /// Brings a rectangle of the picture to the device.
    pub fn transfer(&mut self, r: Rectangle) -> Result<(), Error> {
        let [x, y, w, h] = parts(r);
        let offset = (u64::from(y) * u64::from(self.size.width) + u64::from(x)) * 4;
        let body = [x, y, w, h, offset as u32, (offset >> 32) as u32, RESOURCE, 0];
        self.request(TRANSFER_TO_HOST_2D, &body, OK_NODATA)
    }

    /// Shows what was transferred inside a rectangle.
    pub fn flush(&mut self, r: Rectangle) -> Result<(), Error> {
        let [x, y, w, h] = parts(r);
        self.request(RESOURCE_FLUSH, &[x, y, w, h, RESOURCE, 0], OK_NODATA)
    }

    fn request(&mut self, kind: u32, body: &[u32], expected: u32) -> Result<(), Error> {
        for at in (0..HEADER).step_by(4) {
            self.exchange.write(at, if at == 0 { kind } else { 0 });
        }
        for (i, &word) in body.iter().enumerate() {
            self.exchange.write(HEADER + i * 4, word);
        }
        let address = self.exchange.address();
        let request = Buffer { address, length: (HEADER + body.len() * 4) as u32, device_writes: false };
        let answer = Buffer { address: address + ANSWER as u64, length: 1024, device_writes: true };
        self.control.ask(&[request, answer]);
        match self.exchange.read::<u32>(ANSWER) {
            answer if answer == expected => Ok(()),
            other => Err(Error::Device(other)),
        }
    }
}

fn parts(r: Rectangle) -> [u32; 4] {
    [r.top_left.x.max(0) as u32, r.top_left.y.max(0) as u32, r.size.width, r.size.height]
}
